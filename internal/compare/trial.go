package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// The versions of a comparison are its own: what is released is drawn.
const (
	stableVersion = "the stable version"
	newVersion    = "the new version"
)

// withVersions is the setup with the two versions of a comparison in place of its own.
func withVersions(s *stage.Setup) stage.Setup {
	with := *s
	with.Versions = map[string]stage.Version{stableVersion: {Name: stableVersion}, newVersion: {Name: newVersion}}
	return with
}

// A world is what every release of a comparison has in common.
type world struct {
	setup   stage.Setup
	horizon time.Duration
	perUser float64
}

// steadyWithin is how long the alarms may take to be OK before the release.
const steadyWithin = 30 * time.Minute

// release carries out one release by a plan, and follows it as far as anything can
// still be lost by it.
func (w *world) release(ctx context.Context, p *release.Plan, t sim.Trial) (out cost, err error) {
	st, err := sim.New(ctx, sim.Options{Setup: w.setup, Seed: t.Seed})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	stable, fresh := stage.Version{Name: stableVersion}, stage.Version{Name: newVersion}
	h := st.History()
	if err := st.Deploy(ctx, stable); err != nil {
		return out, fmt.Errorf("deploying the stable version: %w", err)
	}
	if err := st.Shift(ctx, stage.Shares{stable.Name: 100}); err != nil {
		return out, err
	}
	served := h.Now()
	if err := w.steady(ctx, st, p); err != nil {
		return out, err
	}
	began := h.Now()
	scheduled := stage.NewScheduled(st)
	switch {
	case t.Nature == sim.Fluke:
		scheduled.Plan(t.Failure, stage.Moment{Version: stable.Name, Share: 100, After: began - served + t.Moment}, t.Lasts)
	case t.Nature == sim.Bad && t.Moment > 0:
		scheduled.Plan(t.Failure, stage.Moment{Version: fresh.Name, After: t.Moment}, 0)
	case t.Nature == sim.Bad:
		fresh.Simulated = []stage.Failure{t.Failure}
	}
	done, err := release.Run(ctx, scheduled, p, release.Versions{Stable: &stable, New: fresh}, release.Options{})
	if err != nil {
		return out, err
	}
	if t.Nature == sim.Bad && done.Serving != stable.Name && done.Result != release.Refused {
		if _, err := scheduled.Wait(ctx, began+w.horizon-h.Now(), nil); err != nil {
			return out, err
		}
	}
	out = cost{result: done.Result, took: done.Ended - done.Began}
	out.lost, out.users = w.lost(h, began)
	out.replicas = most(h, stable.Name, w.setup.ReplicasOf(stable))
	return out, nil
}

// steady waits until the alarms that the plan watches are OK: one that has no data
// would never go off.
func (w *world) steady(ctx context.Context, st *sim.Stage, p *release.Plan) error {
	h := st.History()
	from := h.Now()
	var not []string
	ok, err := st.Wait(ctx, steadyWithin, func(h *stage.History) bool {
		not = not[:0]
		for _, name := range p.Alarms {
			if s := h.AlarmState(name); s != alarm.OK {
				not = append(not, fmt.Sprintf("%q is %s", name, s))
			}
		}
		return len(not) == 0 && h.Now()-from >= time.Minute
	})
	if err == nil && !ok {
		err = fmt.Errorf("the alarms are not OK %v after the stable version took the traffic: %s: see what feeds them with rehearse plan", steadyWithin, strings.Join(not, ", "))
	}
	return err
}

// lost is the requests that failed since the release began, and the users whom that
// touched. A user's visit is so many requests within a minute, each answered by
// whichever version the balancer chooses, and each as likely to fail as any other of
// that minute: of R/k visits, 1-(1-F/R)^k are touched where F of R requests failed.
func (w *world) lost(h *stage.History, began time.Duration) (requests int64, users float64) {
	type minute struct{ at, requests, failed int64 }
	var now minute
	close := func() {
		if now.failed > 0 {
			ok := 1 - float64(now.failed)/float64(now.requests)
			users += float64(now.requests) / w.perUser * (1 - math.Pow(ok, w.perUser))
		}
	}
	for e := range h.All(stage.Served) {
		t := e.Traffic
		if t.To <= began {
			continue
		}
		if at := int64(t.From / time.Minute); at != now.at {
			close()
			now = minute{at: at}
		}
		now.requests += t.Requests
		now.failed += t.Failed
		requests += t.Failed
	}
	close()
	return requests, users
}

// most is how many replicas of all versions ran at once, at most. A version that never
// became healthy has no event: what it would have needed is known from its releases
// that did.
func most(h *stage.History, stable string, whole int) int {
	runs := map[string]int{stable: whole}
	peak := whole
	for _, e := range h.Events() {
		switch e.Kind {
		case stage.Deployed:
			runs[e.Version] = e.Replicas
		case stage.Retired:
			delete(runs, e.Version)
		default:
			continue
		}
		sum := 0
		for _, n := range runs {
			sum += n
		}
		peak = max(peak, sum)
	}
	return peak
}

// words says what befell a release.
func words(t sim.Trial) string {
	if t.Nature == sim.Good {
		return "good"
	}
	s := fmt.Sprintf("%s: %s", t.Nature, t.Failure)
	if t.Moment > 0 {
		s += fmt.Sprintf(", at %v", t.Moment)
	}
	return s
}
