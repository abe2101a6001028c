package steps

import (
	"context"
	"errors"
	"fmt"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

func stubPhrases() []Phrase {
	asked := func(times func(Args) check.Times) func(context.Context, *World, Args) error {
		return func(ctx context.Context, w *World, a Args) error {
			return w.stubAsked(ctx, a.Text("dependency"), a.Text("method"), a.Text("path"), times(a))
		}
	}
	exactly := func(a Args) check.Times {
		return check.Times{Least: int64(a.Count("times")), Most: int64(a.Count("times"))}
	}
	atLeast := func(a Args) check.Times { return check.Times{Least: int64(a.Count("times")), Most: -1} }
	return []Phrase{
		{"Then", `the stub {dependency:stub} was asked {method} {path} {times:count} times`,
			`スタブ {dependency:stub} は {method} {path} を {times:count} 回受けた`, asked(exactly)},
		{"Then", `the stub {dependency:stub} was asked {method} {path} at least {times:count} times`,
			`スタブ {dependency:stub} は {method} {path} を {times:count} 回以上受けた`, asked(atLeast)},
		{"Then", `the stub {dependency:stub} was never asked {method} {path}`,
			`スタブ {dependency:stub} は {method} {path} を一度も受けていない`,
			asked(func(Args) check.Times { return check.Times{} })},
	}
}

// stubAsked holds what a stub was asked against what it should have been. The simulated
// stage has no stubs: only containers can show it.
func (w *World) stubAsked(ctx context.Context, name, method, path string, times check.Times) error {
	if d, ok := w.setup.Dependency(name); !ok || d.Stub == nil {
		return &InputError{fmt.Sprintf("%q is not one of the stubs in rehearsal.yaml", name)}
	}
	if w.stage == nil {
		return &InputError{"nothing was done yet that the stub could have been asked about: a When must come first"}
	}
	witness, ok := stage.As[stage.Witness](w.stage)
	if !ok {
		return fmt.Errorf("%w: this stage does not know what stubs are asked", errors.ErrUnsupported)
	}
	err := witness.Witness(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return w.find(check.Finding{
			Check:  fmt.Sprintf("%s was asked %s %s %s", name, method, path, times),
			Detail: "the model asks no stub; only containers can show what it is asked",
		})
	}
	if err != nil {
		return err
	}
	return w.find(check.AskedTimes(w.history(), name, method, path, times))
}
