package watch

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Recording is the history of a rehearsal, which stands for the simulated releases.
// What it holds is what users saw, so only what the load balancer shows of requests is
// predicted by it.
type Recording struct {
	History *stage.History
	Names   stage.Monitoring
	New     string // the version that was released
	Seed    uint64
}

// Predict makes as many releases of the recorded one as are asked for, all that chance
// alone could have made of it: each request that was really sent is counted as often as
// a Poisson draw says (a bootstrap). So few requests make wide bands.
func (r Recording) Predict(m *Measures, releases int) (*Prediction, error) {
	began, ended, err := r.span()
	if err != nil {
		return nil, err
	}
	all := make([]*played, releases)
	for i := range all {
		chance := rand.New(rand.NewPCG(r.Seed, uint64(i)))
		epoch := time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC).Add(time.Duration(chance.IntN(60)) * time.Second)
		store := r.store(epoch, chance)
		source := func(q int, from time.Time, n int) []alarm.Point {
			return store.Points(m.Questions[q].Input, m.Questions[q].Period, from, n)
		}
		all[i] = look(m, source, epoch.Add(began), epoch.Add(ended))
		var after []stage.Event
		for _, e := range r.History.Events() {
			if e.At >= began {
				after = append(after, e)
			}
		}
		all[i].events(after, began, r.New)
		all[i].length, all[i].result = ended-began, r.result()
		store.Close()
	}
	return gather(m, all), nil
}

// span is from where the release begins, which is where its first step does, until the
// last traffic.
func (r Recording) span() (began, ended time.Duration, err error) {
	found := false
	for e := range r.History.All(stage.Stepped) {
		began, found = e.At, true
		break
	}
	for e := range r.History.All(stage.Served) {
		ended = max(ended, e.Traffic.To)
	}
	shifted := false
	for e := range r.History.All(stage.Shifted) {
		shifted = shifted || e.Shares[r.New] > 0
	}
	switch {
	case !found:
		return 0, 0, errors.New("no release was recorded in it: want the history of a scenario that releases, as rehearse verify --report leaves it in histories/")
	case !shifted:
		return 0, 0, fmt.Errorf("%s got no traffic in it: want the history of a release of that version", r.New)
	case ended-began < 3*time.Minute:
		return 0, 0, fmt.Errorf("it has %s of traffic from its first step on: too little to predict anything", brief(ended-began))
	}
	return began, ended, nil
}

// result is released where the version has all traffic at the end.
func (r Recording) result() release.Result {
	if r.History.Share(r.New) == 100 {
		return release.Released
	}
	return release.RolledBack
}

// store is a CloudWatch that holds what a load balancer would have published.
func (r Recording) store(epoch time.Time, chance *rand.Rand) *cloudwatch.Store {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	groups := map[string]string{} // of versions, which take turns
	for e := range r.History.All(stage.Served) {
		t := e.Traffic
		if t.Requests == 0 {
			continue
		}
		names := [][]alarm.Dimension{{{Name: "LoadBalancer", Value: r.Names.LoadBalancer}}}
		if n := len(r.Names.TargetGroups); n > 0 && e.Version != "" {
			if _, ok := groups[e.Version]; !ok {
				groups[e.Version] = r.Names.TargetGroups[len(groups)%n]
			}
			names = append(names, append(names[0][:1:1], alarm.Dimension{Name: "TargetGroup", Value: groups[e.Version]}))
		}
		// A request that was sent stands for as many as this.
		each := 1.0
		if n := t.Latencies.Total(); n > 0 {
			each = max(1, float64(t.Requests-t.Failed)/float64(n))
		}
		draw := func(n float64) float64 { return each * poisson(chance, n/each) }
		failed := draw(float64(t.Failed))
		good := draw(float64(t.Requests - t.Failed))
		var took alarm.Distribution
		for _, c := range t.Latencies {
			took.Add(c.Took.Seconds(), each*poisson(chance, float64(c.N)))
		}
		at := epoch.Add(t.From)
		for _, of := range names {
			put := func(metric string, n float64) {
				if n > 0 {
					s.SeriesIn("Count", elb, metric, of...).AddValue(at, 1, n)
				}
			}
			put("RequestCount", good+failed)
			put("HTTPCode_Target_2XX_Count", good)
			put("HTTPCode_Target_5XX_Count", failed)
			if took.Count > 0 {
				s.SeriesIn("Seconds", elb, "TargetResponseTime", of...).Add(at, &took)
			}
		}
	}
	return s
}

// poisson draws how often something happens that happens mean times on average (Knuth's
// method; above 30 the normal distribution with its mean and variance).
func poisson(chance *rand.Rand, mean float64) float64 {
	switch {
	case mean <= 0:
		return 0
	case mean > 30:
		return max(0, math.Round(mean+math.Sqrt(mean)*chance.NormFloat64()))
	}
	n, p, limit := 0.0, chance.Float64(), math.Exp(-mean)
	for p > limit {
		n++
		p *= chance.Float64()
	}
	return n
}
