package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rehearsal/internal/evidence"
	"rehearsal/internal/lang"
	"rehearsal/internal/project"
	"rehearsal/steps"
)

// signer is the key that --evidence-key names; nil for none.
func (f *flags) signer() (*evidence.PrivateKey, error) {
	if f.evidenceKey == "" {
		return nil, nil //nolint:nilnil // no key is no error
	}
	if f.report == "" {
		return nil, errors.New("--evidence-key needs --report: the evidence is of what stands in the report folder")
	}
	key, err := evidence.ReadPrivate(f.evidenceKey)
	if err != nil {
		return nil, fmt.Errorf("--evidence-key: %w", err)
	}
	return key, nil
}

func evidenceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "evidence",
		Short: "Check or replay the evidence of a run, or make a key to sign it with",
	}
	c.AddCommand(evidenceVerifyCommand(), evidenceReplayCommand(), evidenceKeyCommand())
	return c
}

func evidenceVerifyCommand() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use:   "verify FOLDER",
		Short: "Hold a report folder against its evidence, and the evidence against a key",
		Long: `Verify checks that evidence.json in the folder of a report was signed with the key, and
that every file of the report is as it was: none changed, none missing, none added.

Exit status: 0 it holds, 1 it does not, 2 there is no evidence or no key to check it by,
3 no key was given, so that anyone may have written it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out := speaks(c)
			_, err := holds(c.Context(), args[0], key, out)
			return err
		},
	}
	c.Flags().StringVar(&key, "key", "", "the public key: PEM, or a line as ssh-keygen writes it")
	return c
}

// holds checks the evidence of a folder and says what it is of, or what does not hold.
func holds(ctx context.Context, folder, keyFile string, out speaker) (*evidence.Evidence, error) {
	var key *evidence.PublicKey
	var err error
	if keyFile != "" {
		if key, err = evidence.ReadPublic(keyFile); err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
	}
	e, err := evidence.Check(ctx, folder, key)
	if err != nil {
		return nil, err
	}
	if len(e.Wrong) > 0 {
		out.wrap("The evidence in %s does not hold:", folder)
		const most = 20
		for _, w := range e.Wrong[:min(most, len(e.Wrong))] {
			out.wrap("  %s", out.Text(w))
		}
		if more := len(e.Wrong) - most; more > 0 {
			out.wrap("  and %d more", more)
		}
		return e, exitStatus(steps.ExitBroken)
	}
	p := e.Predicate
	out.wrap("%s: %d files are as they were when the run ended.", folder, len(e.Subject))
	commit := p.Run.Commit
	switch {
	case commit == "":
		commit = out.Sprintf("no known commit")
	case p.Run.Dirty:
		commit = out.Sprintf("%s with changes that no commit has", commit)
	}
	out.wrap("It states: %s, %s at %s, %d passed, %d failed, %d inconclusive, by rehearse %s with seed %d.",
		p.Run.Service, out.Text(p.Verdict), commit, p.Passed, p.Failed, p.Unknown, p.Versions.Rehearse, p.Run.Seed)
	for _, name := range e.Others {
		out.wrap("%s is the report of another run, and was not looked at.", name)
	}
	switch {
	case e.Signed:
		out.wrap("It is signed with the key given, %s.", strings.Join(e.SignedBy, ", "))
		return e, nil
	case len(e.SignedBy) == 0:
		out.wrap("It is not signed: anyone may have written it.")
	default:
		out.wrap("Its signature, by %s, was not checked: name the public key with --key. Anyone may have written it.", strings.Join(e.SignedBy, ", "))
	}
	return e, exitStatus(steps.ExitInconclusive)
}

func evidenceReplayCommand() *cobra.Command {
	var key, file string
	c := &cobra.Command{
		Use:   "replay FOLDER",
		Short: "Run the simulated part of a run again from its evidence, and compare byte by byte",
		Long: `Replay holds the folder against its evidence first. Then it runs the scenarios again on
the simulated stage, with the seed of the evidence, and compares every history byte by
byte, and what came of every scenario. Start it where the run was started, at its commit.
Scenarios that push to a pipeline are left out: their jobs are real work.

Exit status: 0 the same, 1 something differs or the evidence does not hold, 2 wrong
input, 3 nothing of the run was simulated.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out := speaks(c)
			e, err := holds(c.Context(), args[0], key, out)
			var status exitStatus
			unsigned := errors.As(err, &status) && status == steps.ExitInconclusive // what is replayed needs no signature
			if err != nil && !unsigned {
				return err
			}
			return replay(c.Context(), e.Predicate, args[0], file, out)
		},
	}
	c.Flags().StringVar(&key, "key", "", "the public key with which to check the signature")
	c.Flags().StringVarP(&file, "file", "f", "", "the rehearsal to run (default: as the evidence names it)")
	return c
}

// replay runs the simulated part of a run again and says where it differs.
func replay(ctx context.Context, p evidence.Predicate, folder, file string, out speaker) error {
	if !slices.Contains(p.Run.Stages, steps.Simulated) {
		out.wrap("Nothing of this run was simulated: there is nothing to replay.")
		return exitStatus(steps.ExitInconclusive)
	}
	elsewhere := file != ""
	if !elsewhere {
		file = p.Run.File
	}
	project, err := project.Load(ctx, file)
	if err != nil {
		return fmt.Errorf("the evidence is of %s: start this where that run was started, or name the rehearsal with --file: %w", p.Run.File, err)
	}
	features := p.Run.Features
	if elsewhere && !p.Run.Part {
		features = []string{project.Features}
	}
	now, err := inputsOf(project, features)
	if err != nil {
		return err
	}
	if b := build(); b != p.Versions.Rehearse {
		out.wrap("The version of rehearse is another: it was %s, and is %s.", p.Versions.Rehearse, b)
	}
	if elsewhere {
		out.wrap("The rehearsal is another by name: whether its files have changed is not known.")
	} else {
		for _, ch := range evidence.InputsChanged(p.Inputs, now) {
			out.wrap("%s %s since the run.", ch.Name, out.Text(ch.How))
		}
	}
	tmp, err := os.MkdirTemp("", "rehearse-replay-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	project.Production = nil // parity is of the day, not of the simulation
	pipelines := map[string]bool{}
	specs, err := steps.ReadSpecs(project, features, p.Run.Tags)
	if err != nil {
		return err
	}
	for _, s := range specs {
		if slices.Contains(s.Tags, steps.PipelineTag) {
			pipelines[s.Name] = true
		}
	}
	if len(pipelines) == len(specs) {
		out.wrap("Nothing of this run was simulated: there is nothing to replay.")
		return exitStatus(steps.ExitInconclusive)
	}
	r := steps.Rehearsal{Project: project, Features: features, Tags: p.Run.Tags, Stages: []string{steps.Simulated}, Seed: p.Run.Seed, Pace: p.Run.Pace, NoPipelines: true, Report: tmp}
	if _, err := r.Verify(ctx); err != nil {
		return err
	}
	of, differences, err := evidence.CompareSimulated(folder, tmp, func(scenario string) bool { return pipelines[scenario] })
	if err != nil {
		return err
	}
	if len(differences) == 0 && of == 0 {
		out.wrap("No scenario of this run was simulated: there is nothing to compare.")
		return exitStatus(steps.ExitInconclusive)
	}
	if len(differences) == 0 {
		out.wrap("%d scenarios were simulated again: every history is the same, byte by byte, and so is what came of each (but for how long it took).", of)
		return nil
	}
	out.wrap("%d scenarios were simulated again, and differ in %d:", of, len(differences))
	const most = 10
	for _, d := range differences[:min(most, len(differences))] {
		out.wrap("  %s (%s:%d)", d.Scenario, d.File, max(1, d.Line))
		for _, side := range []struct{ what, text string }{{"recorded: %s", d.Recorded}, {"replayed: %s", d.Replayed}} {
			text := side.text
			if text == "" {
				text = out.Sprintf("nothing")
			}
			fmt.Fprintf(out, "    %s\n", lang.Cut(lang.Clean(out.Sprintf(side.what, text)), 400))
		}
	}
	if more := len(differences) - most; more > 0 {
		out.wrap("  and %d more", more)
	}
	return exitStatus(steps.ExitBroken)
}

func evidenceKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make an ed25519 key in FILE, for you alone, and its public half in FILE.pub",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := evidence.MakePair(args[0])
			if err != nil {
				return err
			}
			out := speaks(c)
			out.wrap("%s is the key %s: keep it where only the pipeline that rehearses can read it.", args[0], id)
			out.wrap("%s is its public half: give it to whoever checks evidence, by a way that you trust.", args[0]+".pub")
			return nil
		},
	}
}
