package clock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/clock"
)

// The wall clock of these tests is synctest's: it moves when every goroutine of the
// test waits for it, and by exactly as much as they wait.

func TestWallAndSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := clock.Wall()
		time.Sleep(90 * time.Second)
		assert.Equal(t, 90*time.Second, clock.Since(began))
		assert.Equal(t, 90*time.Second, clock.Wall().Sub(began))
	})
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := clock.Wall()
		require.NoError(t, clock.Sleep(t.Context(), time.Minute))
		assert.Equal(t, time.Minute, clock.Since(began))

		require.NoError(t, clock.Sleep(t.Context(), 0))
		require.NoError(t, clock.Sleep(t.Context(), -time.Hour))
		assert.Equal(t, time.Minute, clock.Since(began), "nothing to wait for")

		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		require.ErrorIs(t, clock.Sleep(ctx, time.Hour), context.DeadlineExceeded)
		assert.Equal(t, 70*time.Second, clock.Since(began), "the context ended it")
		require.ErrorIs(t, clock.Sleep(ctx, 0), context.DeadlineExceeded)
		require.ErrorIs(t, clock.Sleep(ctx, time.Hour), context.DeadlineExceeded)
		assert.Equal(t, 70*time.Second, clock.Since(began), "an ended context lets nobody sleep")
	})
}

func TestPoll(t *testing.T) {
	after := func(n int, err error) (func() (bool, error), *int) {
		calls := 0
		return func() (bool, error) {
			if calls++; calls < n {
				return false, nil
			}
			return err == nil, err
		}, &calls
	}
	synctest.Test(t, func(t *testing.T) {
		began := clock.Wall()
		done, calls := after(1, nil)
		require.NoError(t, clock.Poll(t.Context(), time.Second, done))
		assert.Equal(t, 1, *calls)
		assert.Zero(t, clock.Since(began), "the first look is at once")

		done, calls = after(4, nil)
		require.NoError(t, clock.Poll(t.Context(), time.Second, done))
		assert.Equal(t, 4, *calls)
		assert.Equal(t, 3*time.Second, clock.Since(began))

		cause := errors.New("the engine is gone")
		done, calls = after(3, cause)
		require.ErrorIs(t, clock.Poll(t.Context(), time.Second, done), cause)
		assert.Equal(t, 3, *calls)
		assert.Equal(t, 5*time.Second, clock.Since(began))

		ctx, stop := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer stop()
		done, calls = after(100, nil)
		require.ErrorIs(t, clock.Poll(ctx, time.Second, done), context.DeadlineExceeded)
		assert.Equal(t, 3, *calls, "at 0, 1 and 2 s")
		assert.Equal(t, 7500*time.Millisecond, clock.Since(began))
	})
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := clock.Wall()
		ctx, stop := context.WithTimeout(t.Context(), 35*time.Second)
		defer stop()
		var at []time.Duration
		clock.Every(ctx, 10*time.Second, func() { at = append(at, clock.Since(began)) })
		assert.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second}, at)
		assert.Equal(t, 35*time.Second, clock.Since(began))
	})
}

// A call that outlasts its interval has the next tick ready when it returns. Had the
// context ended meanwhile, it must win, however often one tries.
func TestAnEndedContextWinsOverATick(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			tooLong := func(stop func()) { calls++; time.Sleep(3 * time.Second); stop() }
			every, stopEvery := context.WithCancel(t.Context())
			clock.Every(every, time.Second, func() { tooLong(stopEvery) })
			require.Equal(t, 1, calls)

			poll, stopPoll := context.WithCancel(t.Context())
			err := clock.Poll(poll, time.Second, func() (bool, error) { tooLong(stopPoll); return false, nil })
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 2, calls)
		})
	}
}

func TestEveryReturnsWhenTheLastCallHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var began, ended bool
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			clock.Every(ctx, time.Second, func() { began = true; time.Sleep(time.Minute); ended = true })
		}()
		time.Sleep(1500 * time.Millisecond)
		stop()
		synctest.Wait()
		require.True(t, began)
		select {
		case <-returned:
			require.Fail(t, "it left its last call behind")
		default:
		}
		<-returned
		assert.True(t, ended)
	})
}

func TestReleaseTimeRunsAheadOnlyWhileNothingButWaitingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := clock.NewPaced(60)
		want := time.Duration(0)
		passes := func(rate float64, why string) {
			t.Helper()
			assert.InDelta(t, rate, p.Rate(), 0, why)
			assert.Equal(t, time.Duration(float64(time.Minute)/rate), p.Wall(time.Minute), why)
			time.Sleep(time.Second)
			want += time.Duration(rate) * time.Second
			assert.Equal(t, want, p.Now(), why)
		}
		passes(1, "nobody waits yet")
		stop := p.RunAhead()
		passes(60, "somebody waits")
		stopToo := p.RunAhead()
		passes(60, "two wait: no faster")
		done := p.Work()
		passes(1, "work holds it")
		doneToo := p.Work()
		done()
		passes(1, "other work goes on")
		done() // a second time does nothing
		passes(1, "a piece of work ends once")
		doneToo()
		passes(60, "all work is done")
		stop()
		stop()
		passes(60, "the other still waits")
		stopToo()
		passes(1, "nobody waits any more")
		stopToo()
		done = p.Work()
		stop = p.RunAhead()
		passes(1, "work that began before the waiting")
		done()
		passes(60, "after it")
		stop()
	})
}

func TestAPaceBelowOneIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, pace := range []float64{-3, 0, 0.5, 1} {
			p := clock.NewPaced(pace)
			stop := p.RunAhead()
			assert.InDelta(t, 1, p.Rate(), 0)
			time.Sleep(time.Second)
			assert.Equal(t, time.Second, p.Now())
			stop()
		}
	})
}

// Whatever waits and works, and however wall time passes between, release time is
// what the rates add up to: it never goes back and loses nothing.
func TestReleaseTimeAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pace := float64(rapid.IntRange(1, 100).Draw(rt, "pace"))
		steps := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 40).Draw(rt, "steps")
		waits := rapid.SliceOfN(rapid.IntRange(0, 5000), len(steps), len(steps)).Draw(rt, "milliseconds")
		synctest.Test(t, func(*testing.T) {
			p := clock.NewPaced(pace)
			var ahead, work []func()
			want := time.Duration(0)
			pop := func(undo *[]func()) {
				if n := len(*undo); n > 0 {
					(*undo)[n-1]()
					*undo = (*undo)[:n-1]
				}
			}
			for i, step := range steps {
				switch step {
				case 0:
					ahead = append(ahead, p.RunAhead())
				case 1:
					work = append(work, p.Work())
				case 2:
					pop(&ahead)
				case 3:
					pop(&work)
				}
				rate := 1.0
				if len(ahead) > 0 && len(work) == 0 {
					rate = pace
				}
				before := p.Now()
				time.Sleep(time.Duration(waits[i]) * time.Millisecond)
				want += time.Duration(rate) * time.Duration(waits[i]) * time.Millisecond
				require.InDelta(rt, rate, p.Rate(), 0)
				require.GreaterOrEqual(rt, p.Now(), before)
				require.Equal(rt, want, p.Now())
			}
		})
	})
}

// Real time and many users: what each sees never goes back.
func TestPacedIsSafeForConcurrentUse(t *testing.T) {
	p := clock.NewPaced(1000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := p.Now()
			for i := range 500 {
				undo := p.RunAhead
				if i%3 == 0 {
					undo = p.Work
				}
				stop := undo()
				now := p.Now()
				assert.GreaterOrEqual(t, now, last)
				last = now
				_ = p.Wall(time.Second)
				stop()
			}
		})
	}
	wg.Wait()
	assert.InDelta(t, 1, p.Rate(), 0, "everybody has stopped")
}
