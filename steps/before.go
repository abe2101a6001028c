package steps

import (
	"context"
	"fmt"
	"maps"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

func beforePhrases() []Phrase {
	return []Phrase{
		{"Given", `version {version} needs migration {migration}`,
			`版 {version} はマイグレーション {migration} を必要とする`,
			func(_ context.Context, w *World, a Args) error {
				v, err := w.version(a.Text("version"))
				if err != nil {
					return err
				}
				if w.setup.Migrations == nil {
					return &InputError{fmt.Sprintf("%s does not say how to ask which migration the database is at: add migrations", w.suite.Project.File)}
				}
				v.Migration = a.Text("migration")
				w.setup.Versions = maps.Clone(w.setup.Versions)
				w.setup.Versions[v.Name] = v
				return nil
			}},
		{"When", `version {version} is checked before its release`,
			`版 {version} をリリース前に確認する`,
			func(ctx context.Context, w *World, a Args) error { return w.checkBefore(ctx, a.Text("version")) }},
		{"Then", `every check before the release passes`,
			`リリース前の確認にすべて合格する`,
			func(_ context.Context, w *World, _ Args) error { return w.checksPass() }},
		{"Then", `the check {check} passes`,
			`確認 {check} に合格する`,
			func(_ context.Context, w *World, a Args) error { return w.checked(a.Text("check"), true) }},
		{"Then", `the check {check} fails`,
			`確認 {check} は不合格になる`,
			func(_ context.Context, w *World, a Args) error { return w.checked(a.Text("check"), false) }},
	}
}

// A Checked is one question before a release, and what was found.
type Checked struct {
	Before release.Before
	OK     bool
	Said   string
	Took   time.Duration // release time
}

// askBefore asks everything that can be asked before v is released, whatever the plan
// asks, and tells each answer as it comes.
func askBefore(ctx context.Context, st stage.Stage, setup *stage.Setup, v release.Versions, alarms []string, tell func(Checked)) error {
	for _, b := range release.AllBefore(setup) {
		began := st.History().Now()
		said, ok, err := b.Ask(ctx, st, v, alarms)
		if err != nil {
			return err
		}
		tell(Checked{b, ok, said, st.History().Now() - began})
	}
	return nil
}

func (w *World) checkBefore(ctx context.Context, version string) error {
	if err := w.prepare(ctx); err != nil {
		return err
	}
	vs, err := w.versions(version)
	if err != nil {
		return err
	}
	w.before = nil
	return askBefore(ctx, w.stage, &w.setup, vs, w.suite.Project.Plan.Alarms, func(c Checked) { w.before = append(w.before, c) })
}

func (w *World) checksPass() error {
	if w.before == nil {
		return errNothingChecked
	}
	for _, c := range w.before {
		if err := w.find(c.finding(true)); err != nil {
			return err
		}
	}
	return nil
}

var errNothingChecked = &InputError{"nothing was checked: a When that checks a version before its release must come first"}

func (w *World) checked(name string, want bool) error {
	if w.before == nil {
		return errNothingChecked
	}
	for _, c := range w.before {
		if c.Before.String() == name {
			return w.find(c.finding(want))
		}
	}
	return &InputError{fmt.Sprintf("the check %q was not made: there is nothing about it in %s", name, w.suite.Project.File)}
}

func (c Checked) finding(want bool) check.Finding {
	f := check.Finding{Check: c.Before.String(), Detail: fmt.Sprintf("%s: %s", c.Before, c.Said)}
	if c.OK != want {
		f.Verdict = check.Failed
		if !want {
			f.Detail = fmt.Sprintf("the check %q passed, and should have failed: %s", c.Before, c.Said)
		}
	}
	return f
}
