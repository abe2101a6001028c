package steps

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/parity"
	"rehearsal/internal/project"
	"rehearsal/internal/stage"
)

// ParityOptions are what a comparison with production needs beside the project: the
// day, the key of the fingerprints, and an engine's word on images. See parity.Options.
type ParityOptions struct {
	Today   time.Time
	Key     []byte
	Digests func(image string) []string
}

// Parity lays the staging copy beside production, and says which of the specs a
// difference weakens. It is nil where nothing describes production.
func Parity(p *project.Project, specs []*Spec, o ParityOptions) *parity.Ledger {
	if p.Production == nil {
		return nil
	}
	l := parity.Compare(parity.Staging(p.Compose, &p.Setup), p.Production,
		parity.Options{Setup: &p.Setup, Waivers: p.Waivers, Today: o.Today, Key: o.Key, Digests: o.Digests})
	for i := range l.Differences {
		d := &l.Differences[i]
		if d.Standing == parity.Harmless {
			continue
		}
		for _, s := range specs {
			if weakens(d.Touches, s, &p.Setup) {
				d.Weakens = append(d.Weakens, s.Name)
			}
		}
		if d.Everything = len(specs) > 0 && len(d.Weakens) == len(specs); d.Everything {
			d.Weakens = nil
		}
	}
	return l
}

// weakens says that a scenario proves less while there is a difference of that kind.
func weakens(t parity.Touch, s *Spec, setup *stage.Setup) bool {
	switch t.Kind {
	case parity.TouchAll:
		return true
	case parity.TouchMemory:
		return says(s, "memory", "メモリ") || fails(s, setup, stage.OutOfMemory, stage.MemoryLeak)
	case parity.TouchCPU:
		return says(s, " late", "slow", "遅") || fails(s, setup, stage.Latency)
	case parity.TouchHealth:
		return says(s, "health", "crash", "hang", "memory", "ヘルスチェック", "異常終了", "応答しなくなる", "メモリ") ||
			fails(s, setup, stage.CrashAtStart, stage.CrashLater, stage.CrashLoop, stage.Hang, stage.OutOfMemory, stage.MemoryLeak)
	case parity.TouchAlarm:
		return slices.Contains(s.Alarms, t.Name)
	case parity.TouchDependency:
		d, ok := setup.Dependency(t.Name)
		// The traffic of every scenario has every kind of request.
		used := ok && slices.ContainsFunc(setup.Traffic.Requests, func(q stage.Request) bool {
			return len(d.Requests) == 0 || slices.Contains(d.Requests, q.Name)
		})
		return used || says(s, `"`+t.Name+`"`)
	case parity.TouchLogs:
		return slices.ContainsFunc(s.Alarms, func(name string) bool { return readsLogs(name, setup) })
	}
	panic(fmt.Sprintf("unknown kind of touch %d", int(t.Kind)))
}

func says(s *Spec, words ...string) bool {
	return slices.ContainsFunc(s.Steps, func(step string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(step, w) })
	})
}

// fails says that the spec names a version that by itself fails in one of the ways.
func fails(s *Spec, setup *stage.Setup, kinds ...stage.FailureKind) bool {
	for name, v := range setup.Versions {
		if says(s, `"`+name+`"`) && slices.ContainsFunc(v.Simulated, func(f stage.Failure) bool { return slices.Contains(kinds, f.Kind) }) {
			return true
		}
	}
	return false
}

// readsLogs says that a metric filter feeds the alarm.
func readsLogs(name string, setup *stage.Setup) bool {
	for _, a := range setup.Alarms {
		if a.AlarmName != name {
			continue
		}
		for _, f := range setup.Monitoring.Filters {
			if a.MetricName == f.Metric && a.Namespace == f.Namespace {
				return true
			}
			for _, q := range a.Metrics {
				if q.MetricStat != nil && q.MetricStat.Metric.MetricName == f.Metric && q.MetricStat.Metric.Namespace == f.Namespace {
					return true
				}
			}
		}
	}
	return false
}

// ParityStatus is what a ledger alone comes to.
func ParityStatus(l *parity.Ledger) int {
	switch {
	case l == nil:
		return ExitVerified
	case l.Broken():
		return ExitBroken
	case len(l.Of(parity.Unknown)) > 0:
		return ExitInconclusive
	}
	return ExitVerified
}

// sayParity says before anything runs what will make the rehearsal fail.
func (r Rehearsal) sayParity(l *parity.Ledger) {
	if r.Progress == nil {
		return
	}
	if l == nil {
		return // the summary says so, once
	}
	for _, d := range l.Of(parity.Open) {
		r.Progress(fmt.Sprintf("not like production: %s: %s", d.What(), d.Sides()))
	}
	for _, w := range l.Expired {
		r.Progress(fmt.Sprintf("expired on %s: the waiver of %q (%s), %s", w.Expires, w.What, w.Where(), w.Owner))
	}
	for _, d := range l.Of(parity.Unknown) {
		r.Progress(fmt.Sprintf("cannot be compared with production: %s: %s", d.What(), d.Why))
	}
}
