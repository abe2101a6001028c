package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rehearsal/internal/lang"
	"rehearsal/internal/scaffold"
)

func initCommand() *cobra.Command {
	var o scaffold.Options
	var dryRun bool
	var fromECS string
	c := &cobra.Command{
		Use:   "init [folder]",
		Short: "Write the first rehearsal of a service: from its compose file, or from its ECS task definition",
		Long: `Init reads the compose file of a folder (or, with --from-ecs, what "aws ecs
describe-task-definition" and "describe-services" print), finds out what it can of the
service that is released, and writes rehearsal.yaml, release.yaml, alarms.json where no
alarms are given, and a first feature that passes as it is. What it could not find out
stands in those files behind QUESTION. Nothing is overwritten: all of the files are
written, or none.`,
		Example: `  rehearse init
  rehearse init --service web --image web:1.5 --alarms production-alarms.json
  rehearse init --from-ecs taskdef.json service.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, w := c.Context(), speaks(c)
			o.Folder = "."
			o.Japanese = w.Lang == lang.Japanese
			if c.Flags().Changed("rate") && o.Rate < 1 {
				return fmt.Errorf("--rate %d: at least 1 request per second", o.Rate)
			}
			described := []string{fromECS}
			if fromECS != "" {
				for len(args) > 0 && strings.HasSuffix(args[0], ".json") {
					described, args = append(described, args[0]), args[1:]
				}
			}
			switch {
			case len(args) == 1:
				o.Folder = args[0]
			case len(args) > 1:
				return fmt.Errorf("init takes one folder, not %q", args)
			}
			if info, err := os.Stat(o.Folder); err != nil || !info.IsDir() {
				return fmt.Errorf("%s: there is no such folder: name the one with the compose file", o.Folder)
			}
			if in := c.InOrStdin(); !o.Guess && isTerminal(in) {
				p := &person{bufio.NewReader(in), w}
				o.Ask = func(question string, options []string, suggestion string) (string, error) {
					return p.ask(ctx, w.Text(question), options, suggestion)
				}
			}
			var d *scaffold.Draft
			var err error
			if fromECS != "" {
				d, err = scaffold.FromECS(ctx, o, described...)
			} else {
				d, err = scaffold.FromCompose(ctx, o)
			}
			if err != nil {
				return err
			}
			if dryRun {
				for _, f := range d.Files {
					fmt.Fprintf(w, "==> %s\n%s\n", filepath.Join(o.Folder, f.Name), f.Data)
				}
				return nil
			}
			if err := d.Write(ctx); err != nil {
				return err
			}
			sayDraft(w, d)
			return nil
		},
	}
	c.Flags().StringVar(&o.Compose, "compose", "", "the compose file, where it has a name of its own")
	c.Flags().StringVar(&o.Service, "service", "", "the service of the compose file (or container of the task) that is released")
	c.Flags().StringVar(&o.Image, "image", "", "image of the new version (default: the stable one, released again)")
	c.Flags().StringVar(&o.StableImage, "stable-image", "", "image that production runs (default: as the compose file says)")
	c.Flags().StringVar(&o.Alarms, "alarms", "", "file with the output of aws cloudwatch describe-alarms (default: a first set is written)")
	c.Flags().IntVar(&o.Rate, "rate", 0, fmt.Sprintf("requests per second that users send (default %d)", scaffold.DefaultRate))
	c.Flags().BoolVar(&o.Guess, "yes", false, "ask nothing; take the likeliest service where several could be meant")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print the files and write none")
	c.Flags().StringVar(&fromECS, "from-ecs", "", "start from the output of aws ecs describe-task-definition; that of describe-services may follow")
	return c
}

func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// sayDraft says what was found and written, what is left to answer, and how to go on.
func sayDraft(w speaker, d *scaffold.Draft) {
	w.say("Found:")
	for _, line := range d.Found {
		fmt.Fprintf(w, "  %s\n", w.Text(line))
	}
	fmt.Fprintln(w)
	w.say("Written:")
	for _, f := range d.Files {
		fmt.Fprintf(w, "  %s\n", filepath.Join(d.Folder, f.Name))
	}
	if all := d.Questions(); len(all) > 0 {
		fmt.Fprintln(w)
		w.say("Only you know (it passes without, and means more with):")
		for _, q := range all {
			fmt.Fprintf(w, "  %s:%d: %s\n", filepath.Join(d.Folder, q.File), q.Line, w.Text(q.Text))
		}
	}
	file, pace := "", ""
	if filepath.Clean(d.Folder) != "." {
		file = " --file " + filepath.Join(d.Folder, "rehearsal.yaml")
	}
	if d.Pace < 60 {
		pace = fmt.Sprintf(" --pace %d", d.Pace)
	}
	fmt.Fprintln(w)
	w.say("Next:")
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, next := range [][2]string{
		{"rehearse verify --stage sim" + file, "on the simulated stage: a second, no Docker"},
		{"rehearse plan" + file, "the release plan as people read it"},
		{"rehearse doctor" + file, "what a rehearsal in containers needs"},
		{"rehearse verify" + file + pace, "in containers too"},
	} {
		fmt.Fprintf(table, "  %s\t# %s\n", next[0], w.Text(next[1]))
	}
	_ = table.Flush() // an error of w is its owner's to see, as with Fprint
}

// A person answers questions at a terminal.
type person struct {
	in  *bufio.Reader
	out speaker
}

func (p *person) ask(ctx context.Context, question string, options []string, suggestion string) (string, error) {
	for {
		fmt.Fprint(p.out, question)
		if len(options) > 0 {
			fmt.Fprintf(p.out, " (%s)", strings.Join(options, ", "))
		}
		if suggestion != "" {
			fmt.Fprintf(p.out, " [%s]", suggestion)
		}
		fmt.Fprint(p.out, " ")
		line, err := p.line(ctx)
		answer := strings.TrimSpace(line)
		if err != nil && answer == "" {
			if errors.Is(err, io.EOF) {
				return "", errors.New("no answer: give it as a flag (rehearse init --help), or take the suggestions with --yes")
			}
			return "", err
		}
		if answer == "" {
			answer = suggestion
		}
		if len(options) == 0 || slices.Contains(options, answer) {
			return answer, nil
		}
		p.out.say("%q is not one of them.", answer)
	}
}

// line reads a line, or ends when the process is to end: a read cannot be interrupted, so
// it is left behind.
func (p *person) line(ctx context.Context) (string, error) {
	type reply struct {
		line string
		err  error
	}
	got := make(chan reply, 1)
	go func() {
		line, err := p.in.ReadString('\n')
		got <- reply{line, err}
	}()
	select {
	case r := <-got:
		return r.line, r.err
	case <-ctx.Done():
		return "", errors.New("interrupted: nothing was written")
	}
}
