package live

import (
	"math"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/release"
)

// Duration is d for people: "2m 41s", "12m" where it is round.
func Duration(l lang.Lang, d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0:
		return l.Sprintf("%dh %dm", h, m)
	case m > 0 && s > 0:
		return l.Sprintf("%dm %ds", m, s)
	case m > 0:
		return l.Sprintf("%dm", m)
	}
	return l.Sprintf("%ds", s)
}

// About is an estimate: "about 1m 10s", or "" for what is over at once.
func About(l lang.Lang, d time.Duration) string {
	if rough := roughly(l, d); rough != "" {
		return l.Sprintf("about %s", rough)
	}
	return ""
}

// roughly is d no finer than an estimate can be; "" for what is over at once.
func roughly(l lang.Lang, d time.Duration) string {
	grain := 5 * time.Second
	switch {
	case d < grain/2:
		return ""
	case d > 10*time.Minute:
		grain = time.Minute
	case d > time.Minute:
		grain = 10 * time.Second
	}
	return Duration(l, d.Round(grain))
}

// Head is the run as a whole, the longest form first: how far it has come, and how
// long still.
func (s *State) Head(l lang.Lang) []string {
	of, least := l.Sprintf("%d scenarios", len(s.Ended)), l.Sprintf("%d", len(s.Ended))
	if total := s.Total(); total > 0 {
		of, least = l.Sprintf("%d of %d scenarios", len(s.Ended), total), l.Sprintf("%d of %d", len(s.Ended), total)
	}
	wrong := ""
	if n := s.Count(check.Failed); n > 0 {
		wrong += l.Sprintf(", ") + l.Sprintf("%d failed", n)
	}
	if n := s.Count(check.Inconclusive); n > 0 {
		wrong += l.Sprintf(", ") + l.Sprintf("%d inconclusive", n)
	}
	took := of + wrong + l.Sprintf(", ") + Duration(l, s.At.Sub(s.Began))
	forms := []string{took, of + wrong, least + wrong}
	switch left, known := s.Left(); {
	case s.Stopping && !s.Over:
		return []string{
			l.Sprintf("interrupted: taking the stages down (Ctrl-C again leaves at once)"),
			l.Sprintf("interrupted: taking the stages down"),
		}
	case s.Total() == 0 && len(s.Ended)+len(s.Active) == 0:
		return []string{l.Sprintf("getting ready (%s)", Duration(l, s.At.Sub(s.Began)))}
	case known && About(l, left) != "":
		return append([]string{l.Sprintf("%s so far, %s left", took, About(l, left)), l.Sprintf("%s, %s left", of+wrong, About(l, left)), l.Sprintf("%s, %s left", least+wrong, About(l, left))}, forms...)
	}
	return forms
}

// ErrorRate is the share of failed requests of the last minute.
func (s *Scenario) ErrorRate(l lang.Lang) string {
	if p, known := s.Rate.Percent(s.Now); known {
		return l.Sprintf("%.1f %%", p)
	}
	return l.Sprintf("no traffic")
}

// Peak is the greatest piece of the last minutes: "" where nothing failed.
func (s *Scenario) Peak(l lang.Lang) string {
	peak := 0.0
	for _, p := range s.Rate.Last(s.Now) {
		peak = max(peak, p.Percent)
	}
	if peak == 0 {
		return ""
	}
	return l.Sprintf("at most %.1f %% in %s", peak, Duration(l, Pieces*PieceOf))
}

// Levels is the share of failed requests of the last minutes, as heights from 0 (none
// failed) to top; -1 where nobody was served. What is above 0 is seen, and top is the
// greatest of them, or 5 %.
func (s *Scenario) Levels(top int) (out [Pieces]int) {
	last := s.Rate.Last(s.Now)
	most := 5.0
	for _, p := range last {
		most = max(most, p.Percent)
	}
	for i, p := range last {
		switch {
		case !p.Known:
			out[i] = -1
		case p.Percent > 0:
			out[i] = max(1, int(math.Round(float64(top)*p.Percent/most)))
		}
	}
	return out
}

// Red is the alarms that are on, by name.
func (s *Scenario) Red() (names []string) {
	for _, a := range s.Alarms {
		if a.State == alarm.InAlarm {
			names = append(names, a.Name)
		}
	}
	return names
}

// Calm counts the alarms that are not on, by their state.
func (s *Scenario) Calm(l lang.Lang) string {
	ok, blind := 0, 0
	for _, a := range s.Alarms {
		switch a.State {
		case alarm.OK:
			ok++
		case alarm.InsufficientData:
			blind++
		default:
		}
	}
	var parts []string
	if ok > 0 {
		parts = append(parts, l.Sprintf("%d OK", ok))
	}
	if blind > 0 {
		parts = append(parts, l.Sprintf("%d without data", blind))
	}
	if len(s.Alarms) == 0 {
		return l.Sprintf("no data yet")
	}
	return strings.Join(parts, l.Sprintf(", "))
}

// Say is the failure, and whether it is present already.
func (f Failure) Say(l lang.Lang) string {
	if f.Present {
		return l.Sprintf("%s", f.Failure)
	}
	return l.Sprintf("%s (prepared)", f.Failure)
}

// A Doing is what a stage is at, and what happens next.
type Doing struct {
	Now   string
	Short string // Now where there is little room
	Then  string // "" where it is not known
}

// Doing is what the stage is at; Now is "" where only the scenario's step says it.
func (s *Scenario) Doing(l lang.Lang, at time.Time) Doing {
	d := Doing{}
	switch {
	case !s.Up:
		d.Now = l.Sprintf("raising the stage (%s)", Duration(l, at.Sub(s.Began)))
	case s.Release != nil:
		d = s.Release.doing(l)
	case !s.Steady && len(s.Shares) > 0:
		d.Now, d.Short = l.Sprintf("waiting for a minute without a failure, every alarm OK"), l.Sprintf("waiting for the steady state")
	}
	if d.Short == "" {
		d.Short = d.Now
	}
	return d
}

func (r *Release) doing(l lang.Lang) (d Doing) {
	switch r.Phase {
	case release.NoPhase:
		d.Now, d.Then = l.Sprintf("checks before the release"), l.Sprintf("%s is started", r.Version)
	case release.Starting:
		d.Now, d.Then = l.Sprintf("starting %s", r.Version), r.gets(l, 0)
		if r.Plan.Checks.Test {
			d.Then = l.Sprintf("smoke requests to %s", r.Version)
		}
	case release.Testing:
		d.Now, d.Then = l.Sprintf("smoke requests to %s", r.Version), r.gets(l, 0)
	case release.AtStep:
		now := l.Sprintf("shifting to %s", r.share(r.Step-1))
		if r.Baking {
			now = l.Sprintf("bake %s of %s", Duration(l, r.Baked), Duration(l, r.bake()))
		}
		d.Now, d.Then = l.Sprintf("step %d of %d: %s", r.Step, len(r.Steps), now), r.then(l)
		d.Short = l.Sprintf("%d of %d: %s", r.Step, len(r.Steps), now)
	case release.GoingBack:
		d.Now, d.Then = l.Sprintf("rolling back: everyone to %s", r.Stable), l.Sprintf("%s is retired", r.Version)
	case release.Over:
		d.Now, d.Then = l.Text(r.Outcome), l.Sprintf("the promises are checked")
		d.Short, _, _ = strings.Cut(d.Now, "; ")
	default:
		panic("unknown phase " + string(r.Phase))
	}
	return d
}

// then is what follows the bake of the present step.
func (r *Release) then(l lang.Lang) string {
	beside := r.Plan.Strategy == release.BlueGreen || r.Plan.Strategy == release.Canary || r.Plan.Strategy == release.Linear
	if r.Step == len(r.Steps) && r.Stable != "" && beside { // kept until then, to go back to
		return l.Sprintf("%s is retired", r.Stable)
	}
	return r.gets(l, r.Step)
}

// gets is the shift of a step, from 0.
func (r *Release) gets(l lang.Lang, step int) string {
	if step >= len(r.Steps) {
		return l.Sprintf("%s is released", r.Version)
	}
	return l.Sprintf("%s gets %s", r.Version, r.share(step))
}

func (r *Release) share(step int) string { return Percent(r.Steps[step].Share) }

// Percent is a share of traffic: "10 %", "33.3 %".
func Percent(p float64) string {
	return strings.TrimSuffix(lang.English.Sprintf("%.1f", p), ".0") + " %"
}

// Remaining is how long the plan still takes where nothing goes wrong, in release time,
// and roughly how long that is on the wall; "" where it is not known.
func (s *Scenario) Remaining(l lang.Lang) (left, wall string) {
	if s.Release == nil {
		return "", ""
	}
	d, w, known := s.Release.Left()
	if !known {
		return "", ""
	}
	return Duration(l, d), roughly(l, w)
}
