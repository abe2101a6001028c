package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/capacity"
	"rehearsal/internal/check"
	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
	"rehearsal/steps"
)

func capacityCommand() *cobra.Command {
	f := &flags{}
	run := &steps.CapacityRun{}
	var require, asJSON string
	c := &cobra.Command{
		Use:   "capacity [version]",
		Short: "Find the highest load at which the plan keeps the objective while one version drains",
		Long: `Brings a stage to that moment of the plan at which the fewest replicas serve: one
version drains while the other takes over. It does so under one load after the other: the
load is doubled until the objective is broken, the limit is then closed in on, and the
highest load that was kept is held once more. The objective is that of rehearsal.yaml
(objective: p99, errors), or of the flags.

In containers time runs as the wall does: what is measured is what this machine and the
limits of the compose file (or --cpus) carry. The simulated stage knows what of a replica
you state (simulation: concurrency, service, cpu).

Exit status: 0 the limit is known, and is as high as --require says; 1 it is not, or the
two stages are further apart than the tolerance; 2 the input is wrong; 3 the machine could
not make the load that would tell, or nothing tells what the simulated service bears.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f.pace, f.parallel = 1, 1
			times, err := parseTimes(require)
			if err != nil {
				return err
			}
			r, err := f.rehearsal(c.Context(), []string{"."})
			if err != nil {
				return err
			}
			s := &capacitySayer{c.OutOrStdout(), readersLang(c), run, times}
			r.Progress = func(line string) { s.line(s.lang.Text(line)) }
			r.Engine = func(ctx context.Context) (*containers.Engine, error) { return engine(ctx, r.Progress) }
			if len(args) == 1 {
				run.Version = args[0]
			}
			run.Rehearsal = *r
			if err := run.Aim(); err != nil {
				return err
			}
			status, err := s.run(c.Context(), r.Stages, asJSON)
			if err == nil && status != steps.ExitVerified {
				err = exitStatus(status)
			}
			return err
		},
	}
	c.Flags().StringVarP(&f.file, "file", "f", "rehearsal.yaml", "the rehearsal that says what is released")
	c.Flags().StringVar(&f.stage, "stage", "containers", "sim, containers or both")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of everything that chance decides")
	c.Flags().StringVar(&run.Stable, "stable", "", "the version that serves (default: the one whose image the compose file names)")
	c.Flags().DurationVar(&run.Objective.P99, "p99", 0, "within what time 99 % of the answers must come (default: objective in rehearsal.yaml)")
	c.Flags().Float64Var(&run.Objective.Errors, "errors", 0, "how many percent of the requests may fail (default: objective in rehearsal.yaml)")
	c.Flags().Float64Var(&run.CPUs, "cpus", 0, "how many CPUs a replica may use, such as 0.25 (default: as the compose file says)")
	c.Flags().Float64Var(&run.From, "from", 0, "the first load to try, in requests per second (default: traffic: rate)")
	c.Flags().Float64Var(&run.Most, "most", 10000, "the highest load to try, in requests per second")
	c.Flags().Float64Var(&run.Precision, "precision", 0.1, "how near the limit is closed in on, as a share of it")
	c.Flags().DurationVar(&run.Length, "hold", 10*time.Second, "how long each load is held at least")
	c.Flags().StringVar(&require, "require", "1x", "how many times the traffic of rehearsal.yaml must be kept: 1.5x is a headroom of a half")
	c.Flags().StringVar(&asJSON, "json", "", "file to write every step to")
	return c
}

// parseTimes reads "1.5x".
func parseTimes(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 1) {
		return 0, fmt.Errorf("--require %q: want how many times the traffic of rehearsal.yaml, such as 1.5x", text)
	}
	return v, nil
}

// A capacitySayer runs on one stage after the other and says what is found.
type capacitySayer struct {
	out     io.Writer
	lang    lang.Lang
	order   *steps.CapacityRun
	require float64
}

func (s *capacitySayer) say(format string, args ...any) {
	s.line(s.lang.Sprintf(format, args...))
}

// line prints a line: broken where it is for people to read, whole where CI keeps it.
func (s *capacitySayer) line(text string) {
	text = lang.Clean(text)
	if f, ok := s.out.(*os.File); ok && isTerminal(f) {
		text = strings.Join(lang.Wrap(text, "  ", 80), "\n")
	}
	fmt.Fprintln(s.out, text)
}

func (s *capacitySayer) run(ctx context.Context, stages []string, asJSON string) (int, error) {
	worst := steps.ExitVerified
	found := map[string]*capacity.Result{}
	for _, name := range stages {
		status := steps.ExitInconclusive
		if why := s.order.Unlimited(); name == steps.Simulated && why != "" {
			if len(stages) == 1 {
				return 0, errors.New(why)
			}
			s.say("INCONCLUSIVE: %s", s.lang.Text(why))
		} else {
			var err error
			if status, err = s.one(ctx, name, found); err != nil {
				return 0, err
			}
		}
		worst = worse(worst, status)
	}
	if p, m := found[steps.Simulated], found[steps.Containers]; p != nil && m != nil && p.Kept > 0 && m.Kept > 0 {
		worst = worse(worst, s.beside(p, m))
	}
	if m := found[steps.Containers]; m != nil {
		s.suggest(m)
	}
	return worst, writeWhole(asJSON, func(w io.Writer) error { return writeSteps(w, found) })
}

// worse is the status that counts of two: a broken promise before what is not known.
func worse(a, b int) int {
	if a == steps.ExitBroken || b == steps.ExitBroken {
		return steps.ExitBroken
	}
	return max(a, b)
}

// one looks for the limit on one stage.
func (s *capacitySayer) one(ctx context.Context, name string, found map[string]*capacity.Result) (int, error) {
	run := *s.order
	run.Stages = []string{name}
	run.Step = s.step
	s.head(name)
	began := clock.Wall()
	r, err := run.Capacity(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		s.say("interrupted: the stage was taken down; nothing may be concluded")
		return steps.ExitInconclusive, nil
	case err != nil && r == nil:
		return 0, err
	case err != nil:
		s.say("INCONCLUSIVE: %s", err)
		return steps.ExitInconclusive, nil
	}
	found[name] = r
	rate := run.Project.Setup.Traffic.Rate
	if r.Kept > 0 {
		s.say("%.4g requests per second are kept while %s drains, %.3g times the traffic of %.4g (%s)", r.Kept, run.Stable, r.Kept/rate, rate, clock.Since(began).Round(100*time.Millisecond).String())
	}
	own := s.where(r)
	wanted := s.require * rate
	switch {
	case r.Kept >= wanted && r.Kept > 0:
		if r.Bound != "" {
			s.say("The limit is higher: %s", s.lang.Text(r.Bound))
		}
		return steps.ExitVerified, nil
	case r.Broke == 0 || !own:
		why := s.lang.Text(cmp.Or(r.Bound, "the limit is not the service's own"))
		s.say("INCONCLUSIVE: %g requests per second are required; %s", wanted, why)
		return steps.ExitInconclusive, nil
	}
	if r.Kept == 0 {
		s.say("NOT KEPT: %s", s.lang.Text(r.Bound))
	}
	s.say("NOT ENOUGH: %g requests per second are required, %g times the traffic", wanted, s.require)
	return steps.ExitBroken, nil
}

// row prints a line of the table, the first column to the left, the others to the right.
func (s *capacitySayer) row(first string, others ...string) {
	line := lang.Pad(first, 10)
	for i, cell := range others {
		line += strings.Repeat(" ", max(1, []int{9, 10, 10, 20, 8}[i]-lang.Columns(cell))) + cell
	}
	s.line(line)
}

func (s *capacitySayer) head(name string) {
	s.row(s.lang.Text(name), s.lang.Text("load"), "p50", "p99", s.lang.Text("95 % between"), s.lang.Text("errors"))
}

// step prints a load that was held.
func (s *capacitySayer) step(st capacity.Step) {
	ms := func(d time.Duration) string {
		if d == math.MaxInt64 {
			return "?"
		}
		return d.Round(100 * time.Microsecond).String()
	}
	_, failed, _ := st.Served.Errors()
	s.row(s.lang.Text(st.Standing.String()), fmt.Sprintf("%.4g/s", st.Rate), ms(st.Served.P50), ms(st.Served.P99),
		ms(st.Served.Low)+" "+fmt.Sprintf("%9s", ms(st.Served.Top)), fmt.Sprintf("%.2f %%", failed))
	if st.Why != "" {
		s.line("  " + s.lang.Text(st.Why))
	}
}

// where says where the limit is, and whether it is the service's own.
func (s *capacitySayer) where(r *capacity.Result) (own bool) {
	for _, st := range r.Steps {
		if st.Rate != r.Broke || st.Standing != check.Over {
			continue
		}
		if r.Kept > 0 {
			s.say("The limit is between %.4g and %.4g requests per second", r.Kept, r.Broke)
		}
		text, own := st.Where()
		if text != "" {
			s.say("At %.4g requests per second %s", st.Rate, s.lang.Text(text))
		}
		return own
	}
	return true
}

// beside lays what was predicted beside what was measured.
func (s *capacitySayer) beside(predicted, measured *capacity.Result) int {
	apart := 100 * (measured.Kept - predicted.Kept) / predicted.Kept
	s.say("Predicted %.4g, measured %.4g requests per second: %+.0f %%", predicted.Kept, measured.Kept, apart)
	tolerance := s.order.Project.Tolerance.Capacity
	if tolerance == 0 {
		tolerance = check.DefaultTolerance.Capacity
	}
	switch {
	case math.Abs(apart) <= tolerance:
		return steps.ExitVerified
	case measured.Broke == 0 && apart < 0:
		s.say("INCONCLUSIVE: the measured limit is only known to be higher than %.4g", measured.Kept)
		return steps.ExitInconclusive
	}
	s.say("FURTHER APART than the %g %% of tolerance: capacity: state what was measured", tolerance)
	return steps.ExitBroken
}

// suggest says what was measured of a replica, to be stated for the simulated stage.
func (s *capacitySayer) suggest(r *capacity.Result) {
	var each time.Duration
	for _, st := range r.Steps {
		if st.Rate == r.Kept && st.CPU > 0 {
			each = st.CPU
		}
	}
	if each == 0 {
		return
	}
	setup := s.order.Project.Setup
	stated := setup.CapacityOf(setup.Versions[s.order.Version]).CPU
	if stated > 0 && math.Abs(float64(each-stated)) <= float64(stated)/5 {
		return
	}
	s.say("A request took %s of CPU of %s: for the simulated stage, write", each.Round(10*time.Microsecond).String(), s.order.Version)
	s.line(fmt.Sprintf("  versions: {%s: {capacity: {cpu: %s}}}", s.order.Version, each.Round(10*time.Microsecond)))
}

// writeSteps writes everything that was held, by stage.
func writeSteps(w io.Writer, found map[string]*capacity.Result) error {
	type row struct {
		Rate     float64        `json:"rate"`
		Standing string         `json:"standing"`
		Why      string         `json:"why,omitempty"`
		P50      time.Duration  `json:"p50"`
		P99      time.Duration  `json:"p99"`
		Low      time.Duration  `json:"p99Low"`
		Top      time.Duration  `json:"p99Top"`
		Requests int64          `json:"requests"`
		Failed   int64          `json:"failed"`
		Late     time.Duration  `json:"late"`
		CPU      time.Duration  `json:"cpu,omitempty"`
		Uses     []capacity.Use `json:"uses,omitempty"`
	}
	type result struct {
		Kept  float64 `json:"kept"`
		Broke float64 `json:"broke"`
		Bound string  `json:"bound,omitempty"`
		Steps []row   `json:"steps"`
	}
	all := map[string]result{}
	for name, r := range found {
		out := result{r.Kept, r.Broke, r.Bound, nil}
		for _, st := range r.Steps {
			v := st.Served
			out.Steps = append(out.Steps, row{st.Rate, st.Standing.String(), st.Why, v.P50, v.P99, v.Low, v.Top, v.Requests, v.Failed, v.Late, st.CPU, st.Uses})
		}
		all[name] = out
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}
