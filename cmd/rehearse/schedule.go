package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/alarm"
	"rehearsal/internal/clock"
	"rehearsal/internal/compare"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/schedule"
	"rehearsal/steps"
)

// timetable is what schedule is asked.
type timetable struct {
	file, plan, profile, metric, gaps, freeze string
	days, hours, zone, from                   string
	ahead, show                               int
	perUser                                   float64
	now                                       bool
}

func scheduleCommand() *cobra.Command {
	o := &timetable{}
	c := &cobra.Command{
		Use:   "schedule",
		Short: "Propose when to release: fewest users exposed, people awake, alarms that can see",
		Long: `Schedule looks for moments at which the plan may start: its window is open, nothing
of the release and its way back falls into a freeze, people are awake until it is over,
and there is enough traffic for the alarms to see. Of these it proposes those that
expose the fewest users if it goes wrong, with a heat map of the week.

The traffic is hourly numbers of requests, as CSV (time,requests) or as this prints it:

  aws cloudwatch get-metric-data --start-time ... --end-time ... \
    --metric-data-queries '[{"Id":"requests","MetricStat":{"Period":3600,"Stat":"Sum",
    "Metric":{"Namespace":"AWS/ApplicationELB","MetricName":"RequestCount",
    "Dimensions":[{"Name":"LoadBalancer","Value":"app/..."}]}}}]'

With --now it says whether the release may start now, for a pipeline to ask.
Exit status: 0 there is an opening (with --now: it may start), 1 there is none (with
--now: it may not; the next opening is told), 2 the input is wrong.`,
		Example: `  rehearse schedule --profile requests.json --freeze holidays.ics
  rehearse schedule --now || exit 1`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.StringVarP(&o.file, "file", "f", "rehearsal.yaml", "the rehearsal whose service is released")
	f.StringVar(&o.plan, "plan", "", "plan file (default: the team's own)")
	f.StringVar(&o.profile, "profile", "", "file of hourly requests: get-metric-data JSON, or CSV")
	f.StringVar(&o.metric, "metric", "", "Id or Label of the series in --profile, where there are several")
	f.StringVar(&o.gaps, "gaps", string(schedule.FillGaps), "hours missing in --profile: fill (from other weeks), zero (nobody came) or refuse")
	f.StringVar(&o.freeze, "freeze", "", "iCalendar file whose events are freezes")
	f.StringVar(&o.days, "people-days", "", `days on which people are there, such as "Mon,Tue" (default: as the plan's window)`)
	f.StringVar(&o.hours, "people-hours", "", `hours in which people are there, such as "09:00-18:00" (default: as the plan's window)`)
	f.StringVar(&o.zone, "zone", "", "their time zone, such as Asia/Tokyo (default: the plan's)")
	f.StringVar(&o.from, "from", "", "the moment to begin at, such as 2026-01-05T09:00:00+09:00 (default: now)")
	f.IntVar(&o.ahead, "days", 14, "how many days to look ahead")
	f.IntVar(&o.show, "show", 5, "how many openings to show")
	f.Float64Var(&o.perUser, "requests-per-user", compare.DefaultPerUser, "how many requests a user's visit is")
	f.BoolVar(&o.now, "now", false, "only say whether the release may start now; exit status 1 where it may not")
	return c
}

func (o *timetable) run(c *cobra.Command) error {
	from, err := o.moment()
	if err != nil {
		return err
	}
	p, err := project.Load(c.Context(), o.file)
	if err != nil {
		return err
	}
	plan := p.Plan
	if o.plan != "" {
		if plan, err = release.ParseFile(filepath.Clean(o.plan)); err != nil {
			return err
		}
	}
	r, err := o.rules(p, plan, from)
	if err != nil {
		return err
	}
	if o.now {
		return mayStart(speaks(c), r, from)
	}
	if r.Profile == nil {
		return errors.New("--profile: needs the hourly requests of a week or more: rehearse schedule --help says how to get them")
	}
	proposal := r.Propose(from, o.ahead)
	if len(proposal.Openings) == 0 {
		speaks(c).tell(proposal.None())
		return exitStatus(steps.ExitBroken)
	}
	return proposal.Write(c.OutOrStdout(), readersLang(c), o.show)
}

func (o *timetable) moment() (time.Time, error) {
	const most = 366
	switch {
	case o.ahead < 1 || o.ahead > most:
		return time.Time{}, fmt.Errorf("--days %d: want from 1 to %d", o.ahead, most)
	case o.show < 1:
		return time.Time{}, fmt.Errorf("--show %d: want 1 or more", o.show)
	case !(o.perUser >= 1 && o.perUser <= 1e6):
		return time.Time{}, fmt.Errorf("--requests-per-user %g: want from 1 to a million", o.perUser)
	case !slices.Contains([]schedule.Gaps{schedule.FillGaps, schedule.ZeroGaps, schedule.RefuseGaps}, schedule.Gaps(o.gaps)):
		return time.Time{}, fmt.Errorf("--gaps %q: it is fill, zero or refuse", o.gaps)
	case o.from == "":
		return clock.Wall(), nil
	}
	t, err := time.Parse(time.RFC3339, o.from)
	if err != nil {
		return t, fmt.Errorf("--from %q: want a moment with its offset, such as 2026-01-05T09:00:00+09:00", o.from)
	}
	return t, nil
}

// rules gathers what a start is judged by.
func (o *timetable) rules(p *project.Project, plan *release.Plan, from time.Time) (*schedule.Rules, error) {
	r := steps.StartRules(p, plan)
	r.Service.PerUser = o.perUser
	var err error
	if r.People, err = o.people(plan); err != nil {
		return nil, err
	}
	if o.freeze != "" {
		until := from.AddDate(1, 1, 0).Add(r.Lasts())
		if r.Freezes, err = schedule.ReadFreezes(o.freeze, r.People.Zone, from, until); err != nil {
			return nil, err
		}
	}
	if o.profile != "" {
		if r.Profile, err = schedule.ReadProfile(o.profile, schedule.ProfileOptions{Zone: r.People.Zone, Gaps: schedule.Gaps(o.gaps), Metric: o.metric}); err != nil {
			return nil, err
		}
		scene := alarm.DefaultScene()
		p.Scene(&scene)
		r.Least, r.LeastFor = schedule.LeastRate(scene, plan.Watched(p.Facts(from)), plan.Schedule(p.Setup.Replicas)[0].Share)
	}
	return r, nil
}

// people is when they are there: as the flags say, else as the plan's window does.
func (o *timetable) people(plan *release.Plan) (*release.Window, error) {
	w := plan.Window
	if w == nil && (o.hours == "" || o.zone == "") {
		return nil, fmt.Errorf("%s has no window, so it is not known when people are there: say --people-hours 09:00-18:00 --zone Asia/Tokyo, or the like", plan.File)
	}
	people := &release.Window{}
	if w != nil {
		people.Days, people.From, people.To, people.Zone = w.Days, w.From, w.To, w.Zone
	}
	hours, zone := o.hours, o.zone
	if hours == "" {
		hours = fmt.Sprintf("%02d:%02d-%02d:%02d", people.From/60, people.From%60, people.To/60, people.To%60)
	}
	if zone == "" {
		zone = people.Zone.String()
	}
	var days []string
	if o.days != "" {
		days = strings.Split(o.days, ",")
	}
	parsed, err := release.ParseWindow(days, hours, zone)
	if err != nil {
		return nil, fmt.Errorf("when people are there: %w", err)
	}
	if o.days == "" {
		parsed.Days = people.Days
	}
	return parsed, nil
}

// tellOpening says what the plan's window alone does not: a release that would last into
// a freeze does not start, though the window is open.
func tellOpening(out speaker, r *schedule.Rules, now time.Time) {
	open, ok := r.Plan.Window.Next(now)
	if !ok {
		return // the plan's lints say so
	}
	reason, why := r.Closed(open)
	if reason == schedule.Open {
		return
	}
	at := open.In(r.Zone()).Format(momentLayout)
	if next, ok := r.Next(open); ok {
		out.say("%s is no opening: %s. The next opening is %s.", at, out.Text(why), next.In(r.Zone()).Format(momentLayout))
	} else {
		out.say("%s is no opening: %s. There is none in the next two years.", at, out.Text(why))
	}
}

const momentLayout = "Mon 2006-01-02 15:04 MST"

// mayStart answers a pipeline.
func mayStart(out speaker, r *schedule.Rules, now time.Time) error {
	reason, why := r.Closed(now)
	if reason == schedule.Open {
		out.say("open: a release by %q that starts now (%s) is over, way back included, at %s",
			r.Plan.Name, now.In(r.Zone()).Format(momentLayout), now.Add(r.Lasts()).In(r.Zone()).Format(momentLayout))
		return nil
	}
	out.say("closed now (%s): %s", now.In(r.Zone()).Format(momentLayout), out.Text(why))
	if next, ok := r.Next(now); ok {
		out.say("next opening: %s", next.In(r.Zone()).Format(momentLayout))
	} else {
		out.say("there is no opening in the next two years: change the plan's window, the freezes, or when people are there")
	}
	return exitStatus(steps.ExitBroken)
}
