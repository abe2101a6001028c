package release

import (
	"fmt"
	"slices"
	"sync"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// Exits of the new version that take a release back: half of its replicas, at
// least 3 and at most 200, as ECS's deployment circuit breaker counts.
const (
	fewestExits = 3
	mostExits   = 200
)

// A watcher follows the history while a release is carried out, and holds the
// first reason it sees to take it back. It is called for every event by whichever
// goroutine records it, so it does no more than count.
type watcher struct {
	version string   // the new one
	alarms  []string // watched

	mu       sync.Mutex
	off      bool
	replicas int // of version: running
	most     int // of version: the most that ran or are wanted
	exits    int
	down     int // replicas that fail their health check
	why      *reason
}

// see takes notice of one event.
func (w *watcher) see(e stage.Event) {
	switch e.Kind {
	case stage.Changed:
		if e.Alarm.To == alarm.InAlarm && slices.Contains(w.alarms, e.Alarm.Name) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.hold(CauseAlarm, e.Alarm.Name, "the alarm %q went off", e.Alarm.Name)
		}
	case stage.Deployed, stage.Unhealthy, stage.Healthy, stage.Exited:
		if e.Version == w.version {
			w.replica(e)
		}
	default:
	}
}

// replica counts what happens to the replicas of the new version.
func (w *watcher) replica(e stage.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Kind {
	case stage.Deployed:
		w.replicas, w.down = e.Replicas, 0
		w.most = max(w.most, e.Replicas)
	case stage.Healthy:
		w.down = max(w.down-1, 0)
	case stage.Unhealthy:
		w.down++
		if w.replicas > 0 && w.down >= w.replicas {
			w.hold(CauseHealth, "", "%s of %s fail their health check: %s", all(w.replicas), w.version, e.Detail)
		}
	case stage.Exited:
		w.exits++
		if w.replicas > 0 && w.exits >= exitLimit(w.most) {
			w.hold(CauseHealth, "", "replicas of %s exited %d times (the limit for %d): %s", w.version, w.exits, w.most, e.Detail)
		}
	default:
	}
}

// expect says how many replicas the new version will have in the end.
func (w *watcher) expect(replicas int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most = max(w.most, replicas)
}

// hold keeps the first reason. The caller holds the lock.
func (w *watcher) hold(c Cause, alarm, format string, args ...any) {
	if w.why == nil && !w.off {
		w.why = &reason{cause: c, alarm: alarm, detail: fmt.Sprintf(format, args...)}
	}
}

// seen is the reason to take the release back, or nil.
func (w *watcher) seen() *reason {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// order notes a person's order to go back.
func (w *watcher) order(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold(CauseByHand, "", "a person ordered it: %s", why)
}

// stop ends the watch: what happens from now on is the rollback's doing.
func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = true
}

// exitLimit is how many exits take back a version of so many replicas.
func exitLimit(replicas int) int { return min(max((replicas+1)/2, fewestExits), mostExits) }

func all(n int) string {
	if n == 1 {
		return "the only replica"
	}
	return fmt.Sprintf("all %d replicas", n)
}
