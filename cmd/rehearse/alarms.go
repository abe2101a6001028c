package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/alarm"
	"rehearsal/internal/project"
)

func alarmsCommand() *cobra.Command {
	o := foresight{scene: alarm.DefaultScene(), fails: 50, latency: 900 * time.Millisecond, slow: 100, used: 95}
	c := &cobra.Command{
		Use:   "alarms FILE",
		Short: "Say of every alarm what it watches, how soon it goes off, and what it can never see",
		Long: `Alarms reads what "aws cloudwatch describe-alarms --output json" prints, and says of
every alarm what it watches, how soon it goes off at the earliest and at the
latest after a failure of a given size begins, when it recovers, whether anything
feeds it in the staging copy, and what it can never see.

The service's traffic, tasks and latencies are those of rehearsal.yaml where there
is one, unless flags say otherwise.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out, err := o.outlook(c, args[0])
			if err != nil {
				return err
			}
			return out.Describe(c.OutOrStdout(), readersLang(c))
		},
	}
	f := c.Flags()
	f.StringVarP(&o.file, "file", "f", "rehearsal.yaml", "the rehearsal whose staging copy feeds the alarms")
	f.Var(&o.fails, "fails", "failure: this share of the requests is answered with a 5xx")
	f.DurationVar(&o.latency, "latency", o.latency, "failure: answers take this much longer")
	f.Var(&o.slow, "slow", "failure: this share of the answers takes --latency longer")
	f.IntVar(&o.down, "down", 0, "failure: this many tasks stop answering (default all of them)")
	f.Var(&o.used, "used", "failure: the tasks use this share of their CPU and memory")
	f.Var((*rate)(&o.scene.Rate), "rate", "requests per second, such as 200/s")
	f.IntVar(&o.scene.Replicas, "tasks", o.scene.Replicas, "tasks behind the balancer")
	f.DurationVar(&o.scene.Median, "median", o.scene.Median, "half of the answers take no longer than this")
	f.DurationVar(&o.scene.P99, "p99", o.scene.P99, "99% of the answers take no longer than this")
	f.DurationVar(&o.scene.Delay, "delay", o.scene.Delay, "how long after its minute a metric reaches CloudWatch")
	return c
}

// foresight is what is asked.
type foresight struct {
	file              string
	scene             alarm.Scene
	fails, slow, used share
	latency           time.Duration
	down              int
}

func (o *foresight) outlook(c *cobra.Command, file string) (*alarm.Outlook, error) {
	survey, err := alarm.SurveyFile(filepath.Clean(file))
	if err != nil {
		return nil, err
	}
	out := &alarm.Outlook{Scene: &o.scene, Survey: survey}
	changed := c.Flags().Changed
	switch _, err := os.Stat(o.file); {
	case err == nil:
		p, err := project.Load(c.Context(), o.file)
		if err != nil {
			return nil, err
		}
		out.Fed = p.Fed
		given := o.scene
		p.Scene(&o.scene)
		for flag, keep := range map[string]func(){
			"rate": func() { o.scene.Rate = given.Rate }, "tasks": func() { o.scene.Replicas = given.Replicas },
			"median": func() { o.scene.Median = given.Median }, "p99": func() { o.scene.P99 = given.P99 },
		} {
			if changed(flag) {
				keep()
			}
		}
	case changed("file") || !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file: name your rehearsal.yaml with --file", o.file)
	}
	if o.down == 0 {
		o.down = o.scene.Replicas
	}
	if err := o.wrong(); err != nil {
		return nil, err
	}
	out.Failures = []alarm.Failure{
		{Trouble: alarm.Failing, Share: float64(o.fails)},
		{Trouble: alarm.Slowing, Share: float64(o.slow), Delay: o.latency},
		{Trouble: alarm.Stopping, Tasks: o.down},
		{Trouble: alarm.Filling, Share: float64(o.used)},
		{Trouble: alarm.Silence},
	}
	return out, nil
}

// wrong is what no service can be.
func (o *foresight) wrong() error {
	const most = 24 * time.Hour
	switch s := &o.scene; {
	case o.latency <= 0 || o.latency > most:
		return errors.New("--latency: want a duration above 0 and up to a day, such as 900ms")
	case s.Replicas < 1 || s.Replicas > 1000:
		return errors.New("--tasks: want 1 to 1000")
	case o.down < 1 || o.down > s.Replicas:
		return fmt.Errorf("--down: want 1 to %d, the tasks that there are", s.Replicas)
	case s.Median <= 0 || s.P99 < s.Median || s.P99 > most:
		return fmt.Errorf("--median %s and --p99 %s: want durations above 0, the second no shorter than the first", s.Median, s.P99)
	case s.Delay < 0 || s.Delay > most:
		return errors.New("--delay: want a duration of up to a day, such as 60s")
	}
	return nil
}

// share is a flag in percent: "50%" or "50".
type share float64

func (s *share) String() string { return strconv.FormatFloat(float64(*s), 'f', -1, 64) + "%" }
func (s *share) Type() string   { return "percent" }

// Set reads the flag.
func (s *share) Set(text string) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(v > 0 && v <= 100) {
		return errors.New("want a percentage above 0% and up to 100%, such as 50%")
	}
	*s = share(v)
	return nil
}

// rate is a flag in requests per second: "200/s" or "200".
type rate float64

func (r *rate) String() string { return strconv.FormatFloat(float64(*r), 'f', -1, 64) + "/s" }
func (r *rate) Type() string   { return "rate" }

// Set reads the flag.
func (r *rate) Set(text string) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(v > 0 && v <= 1e9) {
		return errors.New("want requests per second above 0, such as 200/s")
	}
	*r = rate(v)
	return nil
}
