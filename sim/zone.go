package sim

import (
	"slices"

	"rehearsal/internal/stage"
)

// A batch is split by zones only where one is lost: until then its replicas share their
// fate wherever they are.

// loseZone has every replica of v in the zone of p exit.
func (s *Stage) loseZone(v *version, p *present) {
	for _, b := range slices.Clone(v.batches) {
		for _, part := range s.byLostZone(b) {
			if part.zone == p.Zone && part.process != exited {
				s.exit(part, zoneIsLost(p))
				s.land(p, v.spec.Name)
			}
		}
	}
}

func zoneIsLost(p *present) string { return "zone " + p.Zone + " is lost" }

// lost is the failure that has taken the zone of b, or nil.
func (s *Stage) lost(b *batch) *present {
	for _, p := range b.version.present {
		if p.Kind == stage.ZoneLost && p.Zone == b.zone {
			return p
		}
	}
	return nil
}

// byLostZone splits b, in place, by the zones of its replicas where a zone is lost, and is
// all parts of it.
func (s *Stage) byLostZone(b *batch) []*batch {
	v := b.version
	if b.zone != "" || !slices.ContainsFunc(v.present, func(p *present) bool { return p.Kind == stage.ZoneLost }) {
		return []*batch{b}
	}
	in := map[string]int{}
	for n := range b.replicas {
		in[s.ZoneOf(b.first+n)]++
	}
	var parts []*batch
	whole := *b
	for _, zone := range s.ZoneNames() {
		if in[zone] == 0 {
			continue
		}
		part := b // the first part keeps what is planned for the batch
		if len(parts) > 0 {
			other := whole
			part = &other
			v.batches = append(v.batches, part)
		}
		part.zone, part.replicas = zone, in[zone]
		parts = append(parts, part)
	}
	return parts
}
