package steps

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"rehearsal/internal/stage"
)

// A Breakage breaks the harness itself on purpose, to prove that the specs would
// notice (`make knownbad`). It is never set in a rehearsal of a release.
type Breakage string

// Breakages that specs must turn red for.
const (
	NoBreakage      Breakage = ""
	AlarmsAsleep    Breakage = "alarm never evaluated"
	NoRollback      Breakage = "rollback does nothing"
	FailuresVanish  Breakage = "failure does not land"
	LostAcks        Breakage = "lost acknowledgement"
	SharesUnapplied Breakage = "shares not applied"
	ChecksAsleep    Breakage = "check never fails"
)

// Breakages is every one of them.
func Breakages() []Breakage {
	return []Breakage{AlarmsAsleep, NoRollback, FailuresVanish, LostAcks, SharesUnapplied, ChecksAsleep}
}

// ParseBreakage reads the name of a breakage; "" is none.
func ParseBreakage(s string) (Breakage, error) {
	if b := Breakage(s); b == NoBreakage || slices.Contains(Breakages(), b) {
		return b, nil
	}
	return NoBreakage, &InputError{fmt.Sprintf("there is no breakage %q: known are %q", s, Breakages())}
}

// setup puts alarms to sleep: no value is beyond their thresholds any more, and no rule
// holds.
func (b Breakage) setup(s stage.Setup) stage.Setup {
	if b != AlarmsAsleep {
		return s
	}
	s.Alarms = slices.Clone(s.Alarms)
	for i := range s.Alarms {
		s.Alarms[i].Threshold = math.MaxFloat64
		s.Alarms[i].ComparisonOperator = "GreaterThanThreshold"
	}
	s.Composites = slices.Clone(s.Composites)
	for i := range s.Composites {
		s.Composites[i].AlarmRule = "FALSE"
	}
	return s
}

func (b Breakage) apply(st stage.Stage) stage.Stage {
	if b == NoBreakage || b == AlarmsAsleep {
		return st
	}
	return &broken{Stage: st, how: b}
}

// broken is a stage that does not do what it says.
type broken struct {
	stage.Stage
	how    Breakage
	stable string // the first version that served everyone
}

var (
	_ stage.Stage  = (*broken)(nil)
	_ stage.Prober = (*broken)(nil)
)

func (b *broken) Unwrap() stage.Stage { return b.Stage }

// Probe finds nothing wrong where checks are asleep.
func (b *broken) Probe(ctx context.Context, p stage.Probe) error {
	prober, ok := stage.As[stage.Prober](b.Stage)
	if !ok {
		return fmt.Errorf("%v: this stage answers no probes: %w", p, errors.ErrUnsupported)
	}
	err := prober.Probe(ctx, p)
	if b.how == ChecksAsleep && errors.Is(err, stage.ErrProbe) {
		return nil
	}
	return err
}

func (b *broken) Shift(ctx context.Context, shares stage.Shares) error {
	first := b.stable == ""
	if first {
		for v, s := range shares {
			if s == 100 {
				b.stable = v
			}
		}
	}
	switch {
	case b.how == LostAcks && first:
		// The store forgets one in a hundred of the writes that it acknowledges.
		if err := b.Stage.Inject(ctx, stage.Failure{Kind: stage.LostWrites, Share: 1}); err != nil {
			return err
		}
	case b.how == SharesUnapplied && !first:
		return nil
	case b.how == NoRollback && !first && shares[b.stable] == 100:
		return nil
	}
	return b.Stage.Shift(ctx, shares)
}

func (b *broken) Retire(ctx context.Context, v stage.Version) error {
	if b.Stage.History().Share(v.Name) > 0 && (b.how == NoRollback || b.how == SharesUnapplied) {
		return nil // it would take the users' version away
	}
	return b.Stage.Retire(ctx, v)
}

func (b *broken) Inject(ctx context.Context, f stage.Failure) error {
	if b.how == FailuresVanish {
		return nil
	}
	return b.Stage.Inject(ctx, f)
}

func (b *broken) Heal(ctx context.Context, f stage.Failure) error {
	if b.how == FailuresVanish {
		return nil
	}
	return b.Stage.Heal(ctx, f)
}
