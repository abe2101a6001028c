package sim

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"rehearsal/internal/stage"
)

// A Campaign is what befalls many simulated releases: each Trial is drawn from the
// mix by the campaign's seed and its own number alone. So every plan that is tried
// meets the same failures at the same moments (common random numbers), and the
// trials of a longer campaign begin with those of a shorter one.
type Campaign struct {
	Setup   stage.Setup
	Mix     []Fate
	Version string // the new version: failures that are its own hit it alone
	Seed    uint64
}

// A Nature is what kind of thing befalls a release. It is a closed set.
type Nature string

const (
	Good  Nature = "good"  // nothing
	Fluke Nature = "fluke" // a good version; something that is not its doing disturbs everyone for a while
	Bad   Nature = "bad"   // the version has a failure of its own
)

// Natures is every nature.
func Natures() []Nature { return []Nature{Good, Fluke, Bad} }

// Any stands for one that is drawn, each as likely as the others.
const Any = "any"

// A Fate is one thing that may befall a release. Sizes are drawn from their spans,
// so that each doubling is as likely as the next: failures are small more often
// than large, and differ by orders of magnitude. Moments are drawn evenly.
type Fate struct {
	Nature     Nature
	Weight     float64           // how often, beside the other fates
	Kind       stage.FailureKind // of a fluke and of a bad version
	Dependency string            // a name, or Any
	Request    string            // a name, or Any; "" is all requests
	Variable   string
	Value      string
	Share      Span[float64]       // percent of the requests
	Delay      Span[time.Duration] // of an answer
	After      Span[time.Duration] // of a crash: since its version took traffic
	PerRequest Span[float64]       // bytes
	// Moment is when it comes. Of a bad version: since that first got traffic; 0 is
	// from its start. Of a fluke: since the release began.
	Moment Span[time.Duration]
	Lasts  Span[time.Duration] // of a fluke
}

// A Span is a value from From to To.
type Span[T float64 | time.Duration] struct{ From, To T }

// size draws a value such that each doubling is as likely as the next.
func (s Span[T]) size(chance *rand.Rand) T {
	u := chance.Float64() // drawn whatever the span is: what is drawn next does not hang on it
	if s.From <= 0 || s.From == s.To {
		return s.From + T(u*float64(s.To-s.From))
	}
	return T(float64(s.From) * math.Pow(float64(s.To)/float64(s.From), u))
}

// moment draws a value evenly.
func (s Span[T]) moment(chance *rand.Rand) T {
	return s.From + T(chance.Float64()*float64(s.To-s.From))
}

// A Trial is what befalls one release.
type Trial struct {
	Seed    uint64 // of its stage
	Fate    int    // index into the mix
	Nature  Nature
	Failure stage.Failure // none where it is good
	Moment  time.Duration // see Fate
	Lasts   time.Duration // of a fluke
}

// Trial draws what befalls release number i. The campaign must pass Check.
func (c *Campaign) Trial(i int) Trial {
	chance := rand.New(rand.NewPCG(c.Seed, uint64(i)))
	t := Trial{Seed: chance.Uint64()}
	sum := 0.0
	for _, f := range c.Mix {
		sum += f.Weight
	}
	at := chance.Float64() * sum
	for t.Fate = range c.Mix {
		if at -= c.Mix[t.Fate].Weight; at < 0 {
			break
		}
	}
	f := c.Mix[t.Fate]
	t.Nature = f.Nature
	if f.Nature == Good {
		return t
	}
	t.Failure = stage.Failure{
		Kind: f.Kind, Variable: f.Variable, Value: f.Value,
		Share: f.Share.size(chance), Delay: f.Delay.size(chance).Round(time.Millisecond), After: f.After.moment(chance).Round(time.Second),
		PerRequest: int64(f.PerRequest.size(chance)),
	}
	t.Failure.Dependency = pick(chance, f.Dependency, namesOf(c.Setup.Dependencies, func(d stage.Dependency) string { return d.Name }))
	t.Failure.Request = pick(chance, f.Request, namesOf(c.Setup.Traffic.Requests, func(r stage.Request) string { return r.Name }))
	t.Moment = f.Moment.moment(chance).Round(time.Second)
	t.Lasts = f.Lasts.moment(chance).Round(time.Second)
	if f.Nature == Bad {
		t.Failure.Version = c.Version
	}
	return t
}

// pick is name, or one of all where that is Any.
func pick(chance *rand.Rand, name string, all []string) string {
	u := chance.Float64()
	if name != Any || len(all) == 0 {
		return name
	}
	return all[int(u*float64(len(all)))]
}

// Check says what is wrong with the mix.
func (c *Campaign) Check() error {
	if len(c.Mix) == 0 {
		return errors.New("the mix is empty: want at least one fate, such as {is: good, weight: 1}")
	}
	var wrong []error
	for i, f := range c.Mix {
		if err := f.Check(&c.Setup, c.Version); err != nil {
			wrong = append(wrong, fmt.Errorf("fate %d: %w", i+1, err))
		}
	}
	return errors.Join(wrong...)
}

// Check says what is wrong with f for releases of version on that setup.
func (f Fate) Check(s *stage.Setup, version string) error {
	if !(f.Weight > 0) || math.IsInf(f.Weight, 0) {
		return fmt.Errorf("a weight of %g: want more than 0", f.Weight)
	}
	for _, span := range []struct {
		name     string
		from, to float64
	}{
		{"share", f.Share.From, f.Share.To}, {"perRequest", f.PerRequest.From, f.PerRequest.To},
		{"delay", f.Delay.From.Seconds(), f.Delay.To.Seconds()}, {"after", f.After.From.Seconds(), f.After.To.Seconds()},
		{"moment", f.Moment.From.Seconds(), f.Moment.To.Seconds()}, {"lasts", f.Lasts.From.Seconds(), f.Lasts.To.Seconds()},
	} {
		if !(span.from >= 0 && span.from <= span.to) {
			return fmt.Errorf("%s: the span begins below 0 or ends before it begins: write the smaller first", span.name)
		}
	}
	switch f.Nature {
	case Good:
		if f != (Fate{Nature: Good, Weight: f.Weight}) {
			return errors.New("nothing befalls a good release: it has a weight and nothing else")
		}
		return nil
	case Bad:
		switch {
		case f.Lasts.To > 0:
			return errors.New("lasts: what is wrong with a version does not go away by itself: leave it out, or make it a fluke")
		case f.Moment.To > 0 && f.Kind == stage.Hang && f.Dependency != "":
			return fmt.Errorf("moment: to hang on a dependency is in the version from its start: leave the moment out")
		}
	case Fluke:
		switch f.Kind {
		case stage.Errors, stage.Latency, stage.DependencyDown, stage.DependencySlow:
		default:
			return fmt.Errorf("a fluke cannot be %q: it disturbs every version for a while: want %q, %q, %q or %q",
				f.Kind, stage.Errors, stage.Latency, stage.DependencyDown, stage.DependencySlow)
		}
		if f.Lasts.From <= 0 {
			return errors.New(`a fluke goes away by itself: add "lasts: 1m to 4m", say`)
		}
		version = ""
	default:
		return fmt.Errorf("unknown %q: a release is one of %q", f.Nature, Natures())
	}
	if why := f.Lacks(s); why != "" {
		return errors.New(why)
	}
	for _, end := range []stage.Failure{
		{Share: f.Share.From, Delay: f.Delay.From, After: f.After.From, PerRequest: int64(f.PerRequest.From)},
		{Share: f.Share.To, Delay: f.Delay.To, After: f.After.To, PerRequest: int64(f.PerRequest.To)},
	} {
		end.Kind, end.Version, end.Variable, end.Value = f.Kind, version, f.Variable, f.Value
		if end.Dependency = f.Dependency; f.Dependency == Any {
			end.Dependency = s.Dependencies[0].Name
		}
		if end.Request = f.Request; f.Request == Any {
			end.Request = s.Traffic.Requests[0].Name
		}
		if err := checkFailure(s, end); err != nil {
			return err
		}
	}
	return nil
}

// Lacks says what the service lacks for f to befall it: "" where it lacks nothing.
func (f Fate) Lacks(s *stage.Setup) string {
	switch {
	case f.Dependency == Any && len(s.Dependencies) == 0:
		return fmt.Sprintf("%s: the service has no dependency", f.Kind)
	case f.Kind == stage.MemoryLeak && s.MemoryLimit == 0:
		return fmt.Sprintf("%s: the service has no memory limit to reach", f.Kind)
	}
	return ""
}
