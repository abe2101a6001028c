package steps

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rehearsal/internal/alarm"
	"rehearsal/internal/containers"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A CheckRun is what `rehearse check` does: it raises the staging copy with Stable serving
// everyone and asks everything that can be asked before Version is released.
type CheckRun struct {
	Rehearsal
	Stable  string // "" is the version whose image the compose file names
	Version string // "" is the only other one
	Tell    func(Checked)
}

// Names fills in the versions that were not named. Its error is an *InputError.
func (c *CheckRun) Names() error {
	p := c.Project
	names := slices.Sorted(maps.Keys(p.Setup.Versions))
	if c.Stable == "" {
		image := p.Compose.Services[p.Setup.Service].Image
		for _, name := range names {
			if p.Setup.Versions[name].Image == image {
				c.Stable = name
			}
		}
		if c.Stable == "" {
			return &InputError{fmt.Sprintf("which version serves now? No version has the image %q that the compose file gives %s: name one of %q with --stable", image, p.Setup.Service, names)}
		}
	}
	if c.Version == "" {
		others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == c.Stable })
		if len(others) != 1 {
			return &InputError{fmt.Sprintf("which version is to be released? Name one of %q", others)}
		}
		c.Version = others[0]
	}
	for _, name := range []string{c.Stable, c.Version} {
		if !slices.Contains(names, name) {
			return &InputError{fmt.Sprintf("there is no version %q: %s", name, nearestName(name, names))}
		}
	}
	if c.Stable == c.Version {
		return &InputError{fmt.Sprintf("%q serves already: name another version to be released", c.Version)}
	}
	return nil
}

// Check makes the checks, on the first of Stages, and returns the exit status. An error
// that is no *InputError says that nothing may be concluded.
func (c *CheckRun) Check(ctx context.Context) (status int, err error) {
	if err := c.Names(); err != nil {
		return ExitInput, err
	}
	st, err := c.raise(ctx)
	if err != nil {
		return ExitInconclusive, err
	}
	defer func() {
		if closeErr := st.Close(context.WithoutCancel(ctx)); closeErr != nil {
			status, err = ExitInconclusive, errors.Join(err, fmt.Errorf("closing the stage: %w", closeErr))
		}
	}()
	setup := &c.Project.Setup
	stable, released := setup.Versions[c.Stable], setup.Versions[c.Version]
	if err := st.Deploy(ctx, stable); err != nil {
		return ExitInconclusive, fmt.Errorf("deploying %s, which should serve: %w", c.Stable, err)
	}
	if err := st.Shift(ctx, stage.Shares{c.Stable: 100}); err != nil {
		return ExitInconclusive, fmt.Errorf("giving the traffic to %s: %w", c.Stable, err)
	}
	// The alarms need some minutes of traffic to be judged. One that is not OK by then is
	// told by the check itself.
	watched := c.Project.Plan.Alarms
	if _, err := st.Wait(ctx, steadyWithin, func(h *stage.History) bool {
		return h.Now() >= steadyFor && !slices.ContainsFunc(watched, func(name string) bool { return h.AlarmState(name) != alarm.OK })
	}); err != nil {
		return ExitInconclusive, err
	}
	err = askBefore(ctx, st, setup, release.Versions{Stable: &stable, New: released}, watched, func(one Checked) {
		if !one.OK {
			status = ExitBroken
		}
		c.Tell(one)
	})
	if err != nil {
		return ExitInconclusive, err
	}
	return status, nil
}

func (c *CheckRun) raise(ctx context.Context) (stage.Stage, error) {
	setup := c.Project.Setup
	if c.Stages[0] == Simulated {
		return simulate(ctx, setup, c.Seed, nil)
	}
	engine, err := c.Engine(ctx)
	if err != nil {
		return nil, err
	}
	images, err := containers.NewImages(engine, c.Progress, c.Project.Recipes...)
	if err != nil {
		return nil, err
	}
	// The new version's image is not among them: nothing of it is started.
	needed := slices.DeleteFunc(c.Project.Images(), func(ref string) bool {
		return ref != setup.Versions[c.Stable].Image && slices.ContainsFunc(slices.Collect(maps.Values(setup.Versions)), func(v stage.Version) bool { return v.Image == ref })
	})
	if err := images.EnsureAll(ctx, append(needed, containers.HarnessImages()...)...); err != nil {
		return nil, err
	}
	return c.contain(engine, images)(ctx, setup, c.Seed, nil)
}

// Line is a check as the terminal has it.
func (c Checked) Line() string {
	verdict := "ok  "
	if !c.OK {
		verdict = "FAIL"
	}
	return fmt.Sprintf("%s %-26s %7s  %s", verdict, c.Before, c.Took.Round(1e6).String(), strings.TrimSpace(c.Said))
}
