// Command rehearse rehearses releases: see README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"rehearsal/steps"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once; the reaper cleans up after it
	root, l := command(), langOf(os.Args[1:])
	localise(root, l)
	err := root.ExecuteContext(ctx)
	stop()
	var status exitStatus
	switch {
	case err == nil:
	case errors.As(err, &status):
		os.Exit(int(status))
	default:
		fmt.Fprintf(os.Stderr, "rehearse: %s\n", l.Text(err.Error()))
		os.Exit(steps.ExitInput)
	}
}

// exitStatus ends the process with a status after all has been said.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "rehearse",
		Short: "Rehearse a release: staging copy, failures, alarms, rollback",
		Long: `Rehearse raises a staging copy of a service, releases a version to it by the
team's own plan, injects failures, and checks that CloudWatch alarms detect them
and that rolling back restores service. The scenarios are Gherkin; the same ones
run on a simulator in virtual time and in real containers.

Exit status: 0 verified, 1 a promise was broken, 2 the input is wrong,
3 inconclusive (nothing may be concluded, so a gate must not open).`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	addLang(root)
	root.InitDefaultVersionFlag()
	root.AddCommand(
		initCommand(),
		verifyCommand(),
		planCommand(),
		compareCommand(),
		scheduleCommand(),
		watchCommand(),
		stepsCommand(),
		reportCommand(),
		lintCommand(),
		doctorCommand(),
		knownBadCommand(),
		releaseCommand(),
		pipelineCommand(),
		confirmCommand(),
		workerCommand(),
		checkCommand(),
		capacityCommand(),
		parityCommand(),
		cloudwatchCommand(),
		alarmsCommand(),
		docsCommand(),
		conformanceCommand(),
		runsCommand(),
		evidenceCommand(),
		versionCommand(),
		manCommand(),
	)
	addExamples(root)
	addCompletions(root)
	return root
}
