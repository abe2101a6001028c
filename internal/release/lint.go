package release

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/alarm"
)

// Lint says what is wrong or unwise in the plan, in the order of its lines.
func (p *Plan) Lint(f Facts) []Finding {
	l := &linter{plan: p, facts: f, watched: p.Watched(f)}
	l.shares()
	l.rolling()
	l.alarms()
	l.bakes()
	l.traffic()
	l.checks()
	l.rollback()
	l.window()
	slices.SortStableFunc(l.found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return l.found
}

type linter struct {
	plan    *Plan
	facts   Facts
	watched []*alarm.Compiled
	found   []Finding
}

func (l *linter) say(path string, s Severity, wrong, right string) {
	l.found = append(l.found, Finding{l.plan.File, l.plan.line(path), s, wrong, right})
}

// shares must rise, and end with everyone.
func (l *linter) shares() {
	if l.plan.Strategy != Canary {
		return
	}
	last := 0.0
	for i, s := range l.plan.Steps {
		path := fmt.Sprintf("steps[%d].share", i)
		if s.Share <= last {
			l.say(path, Error, fmt.Sprintf("step %d gives the new version %s after %s: the shares do not rise", i+1, percent(s.Share), percent(last)),
				fmt.Sprintf("want more than %s", percent(last)))
		}
		last = s.Share
	}
	if n := len(l.plan.Steps); last != 100 {
		l.say(fmt.Sprintf("steps[%d].share", n-1), Error, fmt.Sprintf("the shares end at %s: the release would never end", percent(last)),
			"add a last step {share: 100%, bake: 10m}, say")
	}
}

// rolling plans must leave something standing.
func (l *linter) rolling() {
	p, n := l.plan, l.facts.Replicas
	if p.Strategy != Rolling || n == 0 {
		return
	}
	if k := p.Batch.Of(n); k == n && n > 1 {
		l.say("batch", Warning, fmt.Sprintf("a batch of %s is all %d replicas: that is all at once", p.Batch, n),
			"want a smaller batch, or strategy blue-green, which keeps the old version")
	}
	if p.Batch.Count > n {
		l.say("batch", Warning, fmt.Sprintf("a batch of %d is more than the %d replicas that there are", p.Batch.Count, n), fmt.Sprintf("want at most %d", n))
	}
}

// alarms must exist, be fed, and be watched at all.
func (l *linter) alarms() {
	p := l.plan
	if len(p.Alarms) == 0 {
		l.say("alarms", Error, "no alarm is watched: a bad version would reach everyone unnoticed",
			`name some, such as "alarms: [shop-5xx-rate]"`)
	}
	if l.facts.Alarms == nil {
		return
	}
	var known []string
	for _, a := range l.facts.Alarms {
		known = append(known, a.AlarmName)
	}
	metric := len(known)
	for _, c := range l.facts.Composites {
		known = append(known, c.AlarmName)
	}
	for i, name := range p.Alarms {
		path := fmt.Sprintf("alarms[%d]", i)
		at := slices.Index(known, name)
		if at < 0 {
			l.say(path, Error, fmt.Sprintf("there is no alarm %q", name), didYouMean(name, known))
			continue
		}
		if l.facts.Fed == nil {
			continue
		}
		if at >= metric {
			l.composite(path, name)
			continue
		}
		if missing := l.facts.Fed(l.facts.Alarms[at]); len(missing) > 0 {
			l.say(path, Error, fmt.Sprintf("no metric feeds the alarm %q: nothing publishes %s", name, strings.Join(missing, ", ")),
				"correct the alarm's metric and dimensions, or watch another alarm")
		}
	}
}

// composite alarms must hang on alarms that something feeds.
func (l *linter) composite(path, name string) {
	leaves := l.facts.leaves(name)
	var unfed []string
	for _, leaf := range leaves {
		for i := range l.facts.Alarms {
			if a := l.facts.Alarms[i]; a.AlarmName == leaf && len(l.facts.Fed(a)) > 0 {
				unfed = append(unfed, strconv.Quote(leaf))
			}
		}
	}
	severity, of := Warning, "some"
	switch len(unfed) {
	case 0:
		return
	case len(leaves):
		severity, of = Error, "all"
	}
	l.say(path, severity, fmt.Sprintf("no metric feeds %s of the alarms that the composite alarm %q hangs on: %s", of, name, strings.Join(unfed, ", ")),
		"correct their metrics and dimensions, or watch another alarm")
}

// watcher is where the plan names an alarm, or the composite alarm that hangs on it.
func (l *linter) watcher(alarm string) string {
	return fmt.Sprintf("alarms[%d]", slices.IndexFunc(l.plan.Alarms, func(name string) bool { return slices.Contains(l.facts.leaves(name), alarm) }))
}

// bakes must be as long as the alarms need to go off.
func (l *linter) bakes() {
	if len(l.watched) == 0 {
		return
	}
	fastest := slices.MinFunc(l.watched, func(a, b *alarm.Compiled) int { return cmp.Compare(a.LatestDetection(), b.LatestDetection()) })
	steps := l.plan.Schedule(l.facts.Replicas)
	said := map[string]bool{}
	for i, s := range steps {
		last := i == len(steps)-1
		path := l.bakePath(i, last)
		if said[path] {
			continue
		}
		said[path] = true
		var late []string
		need := time.Duration(0)
		for _, c := range l.watched {
			if d := c.LatestDetection(); s.Bake < d {
				late = append(late, fmt.Sprintf("%s (up to %s)", c.Alarm.AlarmName, brief(d)))
				need = max(need, d)
			}
		}
		right := fmt.Sprintf("want at least %s", brief(need))
		switch {
		case len(late) == 0:
		case s.Bake < fastest.LatestDetection() && (last || l.plan.Strategy != Rolling):
			l.say(path, Error, fmt.Sprintf("a bake of %s at %s is over before any watched alarm can be trusted to go off: %s needs up to %s",
				brief(s.Bake), rough(s.Share), fastest.Alarm.AlarmName, brief(fastest.LatestDetection())), right)
		case last:
			l.say(path, Error, fmt.Sprintf("the last bake, %s, is over before these alarms can be trusted to go off: %s",
				brief(s.Bake), strings.Join(late, ", ")), right)
		default:
			l.say(path, Warning, fmt.Sprintf("after a bake of %s, %s of the users are on the new version before these alarms can be trusted to go off: %s",
				brief(s.Bake), rough(steps[i+1].Share), strings.Join(late, ", ")), right)
		}
	}
}

// bakePath is where the bake of a step of the schedule is written.
func (l *linter) bakePath(step int, last bool) string {
	switch {
	case l.plan.Strategy == Canary:
		return fmt.Sprintf("steps[%d].bake", step)
	case last:
		return "bake"
	}
	return "every"
}

// traffic must be thick enough at the smallest share for the alarms to mean
// something.
func (l *linter) traffic() {
	steps := l.plan.Schedule(l.facts.Replicas)
	if l.facts.Rate == 0 || len(l.watched) == 0 || len(steps) == 0 {
		return
	}
	share := steps[0].Share
	path := map[Strategy]string{Canary: "steps[0].share", Linear: "step", Rolling: "batch"}[l.plan.Strategy]
	period := slices.MinFunc(l.watched, func(a, b *alarm.Compiled) int { return cmp.Compare(a.Period, b.Period) }).Period
	if n := l.facts.Rate * share / 100 * period.Seconds(); n < 10 {
		l.say(path, Warning, fmt.Sprintf("at a share of %s the new version gets %s requests in an alarm's period of %s: too few to tell a bad version from bad luck",
			rough(share), count(n), brief(period)), "want a larger first share")
	}
	for _, c := range l.watched {
		need := math.Ceil(c.Enough())
		n := l.facts.Rate * c.Period.Seconds()
		if n < need {
			l.say(l.watcher(c.Alarm.AlarmName), Error,
				fmt.Sprintf("the alarm %q never goes off: it ignores periods with fewer than %s samples, and %s requests per second make %s in %s",
					c.Alarm.AlarmName, count(need), count(l.facts.Rate), count(n), brief(c.Period)),
				"set the alarm's EvaluateLowSampleCountPercentile to evaluate, or lengthen its period")
		}
	}
}

// checks must ask what is there.
func (l *linter) checks() {
	c := l.plan.Checks
	for i, b := range c.Before {
		path := fmt.Sprintf("checks.before[%d]", i)
		switch {
		case b.Of != "" && l.facts.Dependencies != nil && !slices.Contains(l.facts.Dependencies, b.Of):
			l.say(path, Error, fmt.Sprintf("the service has no dependency %q", b.Of), didYouMean(b.Of, l.facts.Dependencies))
		case b.Kind == BeforeContract && l.facts.Contracts != nil && !slices.Contains(l.facts.Contracts, b.Of):
			l.say(path, Error, fmt.Sprintf("nothing says what the contract of %q is", b.Of),
				fmt.Sprintf("name a file of requests as \"contract\" of %s in rehearsal.yaml, or take this check out", b.Of))
		case b.Kind == BeforeMigrations && l.facts.Migrations != nil && *l.facts.Migrations == "":
			l.say(path, Error, "nothing says how to ask which migration the database is at", `add "migrations: {of: database, query: ..., expect: ...}" to rehearsal.yaml, or take this check out`)
		}
	}
	if l.facts.Smoke != nil && *l.facts.Smoke == 0 {
		for _, k := range []struct {
			path string
			on   bool
		}{{"checks.test", c.Test}, {"checks.shift", c.Shift}, {"checks.after", c.After}} {
			if k.on {
				l.say(k.path, Error, "there are no smoke requests to send", "list some under smoke in rehearsal.yaml, or take this check out")
			}
		}
	}
	if l.plan.Strategy == BlueGreen && !c.Test && !c.Shift {
		l.say("checks", Warning, "everyone is switched to green before anyone has tried it", `add "test: smoke" to the checks`)
	}
}

// rollback must be a way back.
func (l *linter) rollback() {
	b, c := l.plan.Rollback, l.plan.Checks
	asks := c.Test || c.Shift || c.After
	switch {
	case !b.ToLastGood:
		l.say("rollback.to", Error, "there is no way back: a bad release would stay as it is", `add "to: last good version" to the rollback`)
		return
	case !slices.ContainsFunc(b.When, func(t Trigger) bool { return t != ByHand }):
		l.say("rollback.when", Error, "there is no way back: nothing takes the release back by itself",
			`add "when: [any watched alarm, failed health check, failed check, by hand]" to the rollback`)
	default:
		for _, t := range []Trigger{AnyAlarm, FailedHealth, FailedCheck} {
			if !slices.Contains(b.When, t) && (t != FailedCheck || asks) {
				l.say("rollback.when", Warning, fmt.Sprintf("%q does not take the release back: it would stop half-way and wait for a person", t),
					fmt.Sprintf("add %q", t))
			}
		}
	}
	switch length := l.plan.Length(l.facts.Replicas); {
	case b.Within == 0:
		l.say("rollback.within", Error, "nothing says how long a rollback may take: it could not fail", `add "within: 2m" to the rollback, say`)
	case b.Within > length:
		l.say("rollback.within", Warning, fmt.Sprintf("a rollback may take %s, longer than the whole release with %s: users would wait that long", brief(b.Within), brief(length)),
			"want a rollback that is faster than the release")
	}
	if b.Decides == "" {
		l.say("rollback.decides", Warning, "nobody decides when the release is stuck", `add "decides: on-call engineer" to the rollback, say`)
	}
}

// window must open.
func (l *linter) window() {
	w, length := l.plan.Window, l.plan.Length(l.facts.Replicas)
	switch {
	case w == nil:
		return
	case w.Days != nil && len(w.Days) == 0:
		l.say("window.days", Error, "the window never opens: no day is named", "name some, such as [Tue, Wed, Thu], or take out days")
	case w.From == w.To:
		l.say("window.hours", Error, fmt.Sprintf("the window never opens: it would end at %s, as it begins", clockTime(w.To)),
			`want "10:00-16:00", say`)
	case w.From > w.To:
		l.say("window.hours", Error, fmt.Sprintf("the window never opens: it would end at %s, before it begins at %s", clockTime(w.To), clockTime(w.From)),
			fmt.Sprintf(`want "%s-%s", or up to 24:00`, clockTime(w.To), clockTime(w.From)))
	case l.facts.Now.IsZero():
	default:
		if _, ok := w.Next(l.facts.Now); !ok {
			path, right := "window", "want days and hours that come"
			if len(w.Freeze) > 0 {
				path, right = "window.freeze", "shorten the freeze, or add days"
			}
			l.say(path, Error, fmt.Sprintf("the window never opens in the two years from %s", l.facts.Now.In(w.Zone).Format(dateLayout)), right)
		}
	}
	if h := w.Hours(); h > 0 && length > h {
		l.say("window.hours", Warning, fmt.Sprintf("the release takes %s and the window is %s long: it would end outside of it", brief(length), brief(h)),
			"want a longer window, or a shorter release")
	}
}

// count is a number of requests with thousands set apart: "12,000".
func count(v float64) string {
	if v < 10 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
