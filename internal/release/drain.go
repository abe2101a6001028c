package release

import "math"

// A Drain is the moment of a release at which one version drains while the other takes
// over: what is the case before, and after.
type Drain struct{ From, To Point }

// A Point is who serves at some moment of a release.
type Point struct {
	Share    float64 // percent of the traffic on the new version
	Old, New int     // replicas
}

// Drain is that moment of the plan at which the fewest replicas serve, of an old version
// with so many replicas and a new one. Where several moments have as few it is the last:
// then the new version bears everything.
//
// A rolling release drains replicas before it starts the next ones; every other strategy
// keeps both versions whole until everyone is on the new one, and drains the old one then.
func (p *Plan) Drain(old, fresh int) Drain {
	if p.Strategy != Rolling {
		before := 0.0
		if steps := p.Schedule(old); len(steps) > 1 {
			before = steps[len(steps)-2].Share
		}
		return Drain{Point{before, old, fresh}, Point{100, 0, fresh}}
	}
	now := Point{0, old, 0}
	var tightest Drain
	fewest := math.MaxInt
	meet := func(next Point) {
		if n := next.Old + next.New; next.Old < now.Old && n <= fewest {
			fewest, tightest = n, Drain{now, next}
		}
		now = next
	}
	for _, b := range p.batches(old, fresh) {
		if b.room < now.Old {
			meet(follows(b.started, b.room))
		}
		now = Point{now.Share, now.Old, b.reached}
		meet(follows(b.reached, b.left))
	}
	return tightest
}

// follows is the point at which the traffic follows the replicas.
func follows(fresh, old int) Point {
	return Point{100 * float64(fresh) / float64(fresh+old), old, fresh}
}

// A batch is one step of a rolling release.
type batch struct {
	started, reached int // replicas of the new version before it, and after
	room, left       int // replicas of the old version while it starts, and after it
}

// batches is every step of a rolling release of a version with so many replicas in the
// place of one with whole.
func (p *Plan) batches(whole, wanted int) (all []batch) {
	size := p.Batch.Of(wanted)
	least := max(int(math.Ceil(float64(max(wanted, whole))*p.MinimumHealthy/100-1e-9)), 1)
	for n := 0; n < wanted; {
		b := batch{started: n, reached: min(n+size, wanted)}
		n = b.reached
		b.left = (whole*(wanted-n) + wanted - 1) / wanted
		b.room = max(b.left, least-b.started)
		all = append(all, b)
	}
	return all
}
