package stage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// world is a small honest stage: time passes only in Wait, and where work is set to
// take time; what is planned to happen by itself happens at its time.
type world struct {
	watch
	history *stage.History
	coming  []coming // in order of time
	work    time.Duration
	refuse  error
	did     []string
	waits   int
}

type coming struct {
	at    time.Duration
	event stage.Event
}

var _ stage.Stage = (*world)(nil)

func newWorld(t *testing.T) *world {
	w := &world{}
	w.history = stage.NewHistory(w.read, nil)
	require.NoError(t, w.Shift(t.Context(), stage.Shares{"v1": 100}))
	return w
}

func (w *world) act(format string, args ...any) {
	w.did = append(w.did, fmt.Sprintf("%v ", w.now)+fmt.Sprintf(format, args...))
	w.now += w.work
}

func (w *world) Deploy(_ context.Context, v stage.Version) error {
	w.history.Record(stage.Event{Kind: stage.Deployed, Version: v.Name})
	return nil
}

func (w *world) Retire(_ context.Context, v stage.Version) error {
	w.history.Record(stage.Event{Kind: stage.Retired, Version: v.Name})
	return nil
}

func (w *world) Shift(_ context.Context, s stage.Shares) error {
	w.history.Record(stage.Event{Kind: stage.Shifted, Shares: s})
	return s.Validate()
}

func (w *world) Inject(_ context.Context, f stage.Failure) error {
	w.act("inject %v", f)
	if w.refuse == nil {
		w.history.Record(stage.Event{Kind: stage.Injected, Failure: &f})
	}
	return w.refuse
}

func (w *world) Heal(_ context.Context, f stage.Failure) error {
	w.act("heal %v", f)
	if w.refuse == nil {
		w.history.Record(stage.Event{Kind: stage.Healed, Failure: &f})
	}
	return w.refuse
}

func (w *world) Wait(ctx context.Context, d time.Duration, done func(*stage.History) bool) (bool, error) {
	if w.waits++; w.waits > 1000 {
		return false, errors.New("it waits for ever")
	}
	end := w.now + d
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if done != nil && done(w.history) {
			return true, nil
		}
		if len(w.coming) == 0 || w.coming[0].at > end {
			break
		}
		next := w.coming[0]
		w.coming = w.coming[1:]
		w.now = max(w.now, next.at)
		w.history.Record(next.event)
	}
	w.now = max(w.now, end)
	return done != nil && done(w.history), nil
}

func (w *world) History() *stage.History     { return w.history }
func (w *world) Close(context.Context) error { return nil }

var (
	down  = stage.Failure{Kind: stage.DependencyDown, Dependency: "payments"}
	slow  = stage.Failure{Kind: stage.DependencySlow, Dependency: "database", Delay: time.Second}
	canar = stage.Shares{"v1": 90, "v2": 10}
)

const min1 = time.Minute

func TestWhenAMomentIsDue(t *testing.T) {
	w := newWorld(t)
	h := w.history
	shift := func(at time.Duration, s stage.Shares) {
		w.now = at
		require.NoError(t, w.Shift(t.Context(), s))
	}
	due := func(m stage.Moment) string {
		d, at, known := m.Due(h)
		return fmt.Sprint(d, at, known)
	}
	ten := stage.Moment{Version: "v2", Share: 10, After: min1}
	assert.Equal(t, "false 0s false", due(ten))
	shift(5*min1, stage.Shares{"v1": 95, "v2": 5})
	assert.Equal(t, "false 0s false", due(ten), "5 % is not 10 %")
	assert.Equal(t, "true 5m0s true", due(stage.Moment{Version: "v2"}), "any share")
	shift(10*min1, canar)
	assert.Equal(t, "false 11m0s true", due(ten))
	w.now = 11 * min1
	assert.Equal(t, "true 11m0s true", due(ten))
	shift(12*min1, stage.Shares{"v1": 50, "v2": 50})
	assert.Equal(t, "true 11m0s true", due(ten), "the first time counts")
	assert.Equal(t, "false 0s false", due(stage.Moment{Version: "v3"}))
	assert.Equal(t, "true 0s true", due(stage.Moment{Version: "v1", Share: 100}))
}

func TestAFailureComesAtItsMomentAndGoes(t *testing.T) {
	w := newWorld(t)
	s := stage.NewScheduled(w)
	s.Plan(down, stage.Moment{Version: "v2", After: 2 * min1}, 3*min1)
	s.Plan(slow, stage.Moment{Version: "v2", Share: 50}, 0)

	held, err := s.Wait(t.Context(), 10*min1, nil)
	require.NoError(t, err)
	require.False(t, held)
	assert.Empty(t, w.did, "v2 has no traffic yet")
	assert.Equal(t, []stage.Failure{down, slow}, s.Planned())

	require.NoError(t, s.Shift(t.Context(), canar))
	held, err = s.Wait(t.Context(), 4*min1, nil)
	require.NoError(t, err)
	require.False(t, held)
	assert.Equal(t, 14*min1, w.now)
	assert.Equal(t, []string{"12m0s inject dependency down (payments)"}, w.did)
	assert.Equal(t, []stage.Failure{slow}, s.Planned())

	require.NoError(t, s.Shift(t.Context(), stage.Shares{"v1": 50, "v2": 50}))
	_, err = s.Wait(t.Context(), 10*min1, nil)
	require.NoError(t, err)
	assert.Equal(t, 24*min1, w.now)
	assert.Equal(t, []string{
		"12m0s inject dependency down (payments)",
		"14m0s inject dependency slow (database), 1s",
		"15m0s heal dependency down (payments)",
	}, w.did)
	assert.Empty(t, s.Planned())
}

// What falls on the very end of a wait happens in it.
func TestAMomentAtTheEndOfAWait(t *testing.T) {
	w := newWorld(t)
	s := stage.NewScheduled(w)
	s.Plan(down, stage.Moment{Version: "v1", After: 5 * min1}, 5*min1)
	for range 2 {
		_, err := s.Wait(t.Context(), 5*min1, nil)
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"5m0s inject dependency down (payments)", "10m0s heal dependency down (payments)"}, w.did)
	assert.Equal(t, 10*min1, w.now)
}

func TestDoneEndsAWaitBetweenMoments(t *testing.T) {
	w := newWorld(t)
	s := stage.NewScheduled(w)
	s.Plan(down, stage.Moment{Version: "v1", After: 2 * min1}, 0)
	s.Plan(slow, stage.Moment{Version: "v1", After: 9 * min1}, 0)
	w.coming = []coming{{4 * min1, changed("errors", alarm.OK, alarm.InAlarm)}}
	held, err := s.Wait(t.Context(), 10*min1, func(h *stage.History) bool { return h.AlarmState("errors") == alarm.InAlarm })
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, 4*min1, w.now)
	assert.Equal(t, []string{"2m0s inject dependency down (payments)"}, w.did)

	held, err = s.Wait(t.Context(), 10*min1, func(*stage.History) bool { return true })
	require.NoError(t, err)
	assert.True(t, held, "done holds at once")
	assert.Equal(t, 4*min1, w.now)
}

// An alarm goes off at the instant of a moment: the wait ends with it, and the
// failure comes with the next wait.
func TestNothingIsLostWhenDoneAndAMomentCoincide(t *testing.T) {
	w := newWorld(t)
	s := stage.NewScheduled(w)
	s.Plan(down, stage.Moment{Version: "v1", After: 2 * min1}, min1)
	w.coming = []coming{{2 * min1, changed("errors", alarm.OK, alarm.InAlarm)}}
	red := func(h *stage.History) bool { return h.AlarmState("errors") == alarm.InAlarm }
	held, err := s.Wait(t.Context(), 10*min1, red)
	require.NoError(t, err)
	require.True(t, held)
	assert.Equal(t, 2*min1, w.now)
	if len(w.did) == 0 {
		assert.Equal(t, []stage.Failure{down}, s.Planned(), "what did not come yet is still planned")
	}
	_, err = s.Wait(t.Context(), 10*min1, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"2m0s inject dependency down (payments)", "3m0s heal dependency down (payments)"}, w.did)
	assert.Equal(t, 12*min1, w.now)
}

// What an injection at the end of a wait brings about is seen by that wait.
func TestDoneIsAskedAfterTheLastInjection(t *testing.T) {
	w := newWorld(t)
	s := stage.NewScheduled(w)
	s.Plan(down, stage.Moment{Version: "v1", After: 5 * min1}, 0)
	held, err := s.Wait(t.Context(), 5*min1, func(h *stage.History) bool {
		for range h.All(stage.Injected) {
			return true
		}
		return false
	})
	require.NoError(t, err)
	assert.True(t, held)
}

// Injecting is real work in containers: it takes release time, here more than the
// wait has left.
func TestAnInjectionThatOutlastsTheWait(t *testing.T) {
	w := newWorld(t)
	w.work = 7 * min1
	s := stage.NewScheduled(w)
	s.Plan(down, stage.Moment{Version: "v1", After: 4 * min1}, min1)
	s.Plan(slow, stage.Moment{Version: "v1", After: 5 * min1}, 0)
	held, err := s.Wait(t.Context(), 5*min1, nil)
	require.NoError(t, err)
	assert.False(t, held)
	assert.Equal(t, []string{"4m0s inject dependency down (payments)", "11m0s inject dependency slow (database), 1s"}, w.did[:2])
	_, err = s.Wait(t.Context(), min1, nil)
	require.NoError(t, err)
	assert.Len(t, w.did, 3)
	assert.Contains(t, w.did[2], "heal dependency down (payments)")
}

func TestWhatTheStageRefusesComesOut(t *testing.T) {
	cause := errors.New("this stage cannot")
	for _, c := range []struct {
		name      string
		failsFrom time.Duration
		want      string
	}{
		{"to inject", 0, "injecting dependency down (payments): this stage cannot"},
		{"to heal", 3 * min1, "healing dependency down (payments): this stage cannot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := stage.NewScheduled(w)
			s.Plan(down, stage.Moment{Version: "v1", After: 2 * min1}, 2*min1)
			_, err := s.Wait(t.Context(), c.failsFrom, nil)
			require.NoError(t, err)
			w.refuse = cause
			held, err := s.Wait(t.Context(), 10*min1, func(*stage.History) bool { return false })
			require.ErrorIs(t, err, cause)
			require.EqualError(t, err, c.want)
			assert.False(t, held)
			w.refuse = nil
			count := len(w.did)
			_, err = s.Wait(t.Context(), time.Nanosecond, nil)
			require.NoError(t, err)
			assert.Len(t, w.did, count, "it is not tried for ever")
		})
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	s := stage.NewScheduled(w)
	s.Plan(down, stage.Moment{Version: "v1", After: min1}, min1)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := s.Wait(ctx, 10*min1, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAScheduledStageIsStillWhatItWraps(t *testing.T) {
	w := newWorld(t)
	outer := stage.NewScheduled(stage.NewScheduled(w))
	found, ok := stage.As[*world](outer)
	require.True(t, ok)
	assert.Same(t, w, found)
	_, ok = stage.As[stage.Prober](outer)
	assert.False(t, ok, "a world that cannot be probed is no Prober for being wrapped")
	_, ok = stage.As[stage.Prober](nil)
	assert.False(t, ok)
}

// Whatever is planned and however the time is divided into waits, each failure comes
// once, at its moment, and goes once, when it has lasted.
func TestWhateverIsPlannedHappensOnceAtItsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{}
		w.history = stage.NewHistory(w.read, nil)
		require.NoError(t, w.Shift(context.Background(), stage.Shares{"v1": 100}))
		s := stage.NewScheduled(w)
		seconds := func(name string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(t, name)) * time.Second
		}
		var want []string
		total := 200 * time.Second
		for i := range rapid.IntRange(0, 6).Draw(t, "failures") {
			f := stage.Failure{Kind: stage.DependencyDown, Dependency: fmt.Sprint(i)}
			after, lasts := seconds("after", 0, 120), seconds("lasts", 0, 120)
			s.Plan(f, stage.Moment{Version: "v1", After: after}, lasts)
			want = append(want, fmt.Sprintf("%v inject %v", after, f))
			if lasts > 0 && after+lasts <= total {
				want = append(want, fmt.Sprintf("%v heal %v", after+lasts, f))
			}
		}
		for w.now < total {
			d := min(seconds("wait", 1, 90), total-w.now)
			before := w.now
			held, err := s.Wait(context.Background(), d, func(*stage.History) bool { return false })
			require.NoError(t, err)
			require.False(t, held)
			require.Equal(t, before+d, w.now)
		}
		slices.Sort(want)
		got := slices.Sorted(slices.Values(w.did))
		require.Equal(t, want, got)
		require.Empty(t, s.Planned())
	})
}

func TestWakeAsksAtItsMoment(t *testing.T) {
	s := stage.NewScheduled(newWorld(t))
	moment := stage.Moment{Version: "v2", Share: 50, After: 90 * time.Second}
	s.Wake(moment)
	require.NoError(t, s.Shift(t.Context(), stage.Shares{"v1": 50, "v2": 50}))
	from := s.History().Now()
	held, err := s.Wait(t.Context(), 10*time.Minute, func(h *stage.History) bool {
		due, _, _ := moment.Due(h)
		return due
	})
	require.NoError(t, err)
	require.True(t, held)
	assert.Equal(t, from+90*time.Second, s.History().Now(), "no event comes between, and nobody is late")
	assert.Empty(t, s.Planned())
}
