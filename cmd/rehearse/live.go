package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/report"
	"rehearsal/steps"
)

// screenOf is out as a terminal on which a run is drawn; nil where it is none, or where
// plain lines are wanted.
func screenOf(out io.Writer, l lang.Lang) *report.Screen {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("CI") != "" || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &report.Screen{
		Size: func() (int, int) {
			cols, rows, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0, 0
			}
			return cols, rows
		},
		Colour: os.Getenv("NO_COLOR") == "", // https://no-color.org
		Lang:   l,
	}
}

// notifier tells the run and the view what happens in the scenarios.
func notifier(run *live.Run, view *report.View) func(on string, n steps.Notice) {
	return func(on string, n steps.Notice) {
		if n.Spec == nil {
			run.Tell(func(s *live.State, _ time.Time) { s.Plan(on, n.Total) })
			return
		}
		id := on + " " + n.Spec.Where()
		run.Tell(func(s *live.State, now time.Time) { s.Begin(id, on, n.Spec.Name, now) })
		switch {
		case n.Stage != nil:
			run.Stage(id, n.Stage.History())
		case n.Plan != nil:
			run.Release(id, n.Plan, n.Version)
		case n.Result != nil:
			why := ""
			if n.Result.Err != nil {
				why = n.Result.Err.Error()
			}
			view.End(id, n.Result.Verdict, resultLine(view.Lang, n.Result), why)
		default:
			run.Tell(func(s *live.State, _ time.Time) { s.Step(id, n.Step) })
		}
	}
}

func addServe(c *cobra.Command, address *string) {
	c.Flags().StringVar(address, "serve", "", "show the run in a browser as well: --serve chooses a free port for this machine alone, --serve=8080 is that port for this machine alone, --serve=:8080 can be reached by others too; on a terminal the verdict stays until Ctrl-C, elsewhere the server ends with the run")
	c.Flags().Lookup("serve").NoOptDefVal = "127.0.0.1:0"
}

// serveAt shows the run in browsers; nil where nobody asked for it.
func serveAt(address string, run *live.Run, l lang.Lang) (*live.Server, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // no server is no error
	}
	return live.Serve(run, address, l)
}

// over says that the run is, to those who watch it in browsers. Where a person may still
// want to look, the verdict stays until they have seen it; a script waits for the exit
// status.
func over(ctx context.Context, out speaker, err error, run *live.Run, server *live.Server, person bool) error {
	status := steps.ExitVerified
	var exit exitStatus
	switch {
	case errors.As(err, &exit):
		status = int(exit)
	case err != nil:
		status = steps.ExitInput
	}
	run.Tell(func(s *live.State, _ time.Time) {
		s.Over, s.Status, s.Verdict = true, status, report.Conclusion(status)
	})
	if server == nil {
		return err
	}
	if wrong := err != nil && status == steps.ExitInput && !errors.As(err, &exit); person && ctx.Err() == nil && !wrong {
		out.say("%s shows it until Ctrl-C", server.URL)
		<-ctx.Done()
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = server.Close(short) // who did not fetch the end by now is cut off
	return err
}
