package steps

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/project"
	"rehearsal/internal/stage"
)

// A Rehearsed is what the Givens of a scenario break of a release.
type Rehearsed struct {
	Name  string // of the scenario
	Where string // file:line
	// Version is the one that the scenario releases; "" where it releases none by name.
	Version string
	Fails   []stage.Failure // from the start
	Later   []RehearsedLater
}

// A RehearsedLater is a failure that comes at a moment, for a while.
type RehearsedLater struct {
	Failure stage.Failure
	Moment  stage.Moment
	Lasts   time.Duration
}

var errNoStage = errors.New("the Givens are only read: no stage is raised")

// Failures is what the scenarios break, each kind of it once, in the language ("en",
// "ja") where there are any in it. What needs a stage to be said is left out.
func Failures(ctx context.Context, p *project.Project, language string) ([]Rehearsed, error) {
	if p.Features == "" {
		return nil, nil
	}
	specs, err := ReadSpecs(p, []string{p.Features}, "")
	if err != nil {
		return nil, err
	}
	all, _, err := vocabulary(p)
	if err != nil {
		return nil, err
	}
	spoken := slices.ContainsFunc(specs, func(s *Spec) bool { return s.Language == language })
	var out []Rehearsed
	for _, s := range specs {
		if s.Language != language && spoken {
			continue // the same, said again
		}
		r, ok := givens(ctx, p, s, all)
		if ok && !slices.ContainsFunc(out, r.same) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (r Rehearsed) same(o Rehearsed) bool {
	return r.Version == o.Version && slices.Equal(r.Fails, o.Fails) && slices.Equal(r.Later, o.Later)
}

// givens reads one scenario.
func givens(ctx context.Context, p *project.Project, s *Spec, all []form) (r Rehearsed, ok bool) {
	w := &World{setup: p.Setup, spec: s}
	w.suite = &Suite{Project: p, Raise: func(context.Context, stage.Setup, uint64, io.Writer) (stage.Stage, error) { return nil, errNoStage }}
	r = Rehearsed{Name: s.Name, Where: s.Where()}
	for _, text := range s.meant {
		for _, f := range all {
			m := f.re.FindStringSubmatch(text)
			if m == nil || len(f.means) > 0 {
				continue
			}
			a := f.args(m[1:])
			switch f.phrase.Keyword {
			case "Given":
				if f.phrase.do(ctx, w, a) != nil {
					return r, false
				}
			case "When":
				if strings.Contains(f.phrase.English, "is released as") {
					r.Version = a.Text("version")
				}
			}
			break
		}
	}
	r.Fails = w.fails
	for _, l := range w.later {
		r.Later = append(r.Later, RehearsedLater{l.failure, l.moment, l.lasts})
	}
	broken := len(r.Fails)+len(r.Later) > 0 || len(p.Setup.Versions[r.Version].Simulated) > 0
	return r, r.Version != "" && broken
}
