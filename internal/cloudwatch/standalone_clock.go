package cloudwatch

import (
	"context"
	"sync"
	"time"

	"rehearsal/internal/clock"
)

// A calendar is the clock of a Standalone: a date that runs at a multiple of the
// wall's speed, or stands still, and that jumps ahead when told. It never goes
// back. It is safe for concurrent use.
type calendar struct {
	speed float64 // seconds for each second of the wall; 0: it stands still

	mu    sync.Mutex
	base  time.Time       // the date at since
	since time.Time       // of the wall
	held  bool            // it stands still while it is moved by hand
	moved context.Context // ends when it is moved by hand the next time
	move  context.CancelFunc
}

// rebase is how much of the wall's time is multiplied at most: far less than what a
// Duration holds at any speed that is allowed.
const rebase = time.Hour

func newCalendar(start time.Time, speed float64) *calendar {
	c := &calendar{speed: speed, base: start.UTC().Round(0), since: clock.Wall()}
	c.moved, c.move = context.WithCancel(context.Background())
	return c
}

func (c *calendar) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *calendar) read() time.Time {
	if c.held {
		return c.base
	}
	passed := clock.Since(c.since)
	now := c.base
	for ; passed > rebase; passed -= rebase {
		now = now.Add(time.Duration(float64(rebase) * c.speed))
		c.base, c.since = now, c.since.Add(rebase)
	}
	return now.Add(time.Duration(float64(passed) * c.speed))
}

// hold has it stand still, but for set, until release, and gives the date.
func (c *calendar) hold() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.held = c.read(), true
	return c.base
}

// set moves it ahead to a date; it does not go back.
func (c *calendar) set(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to.After(c.base) {
		c.base = to
		c.move()
		c.moved, c.move = context.WithCancel(context.Background())
	}
}

func (c *calendar) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.since = false, clock.Wall()
}

// sleep waits for d of its own time to pass, or until ctx ends.
func (c *calendar) sleep(ctx context.Context, d time.Duration) {
	if c.speed == 0 {
		<-ctx.Done()
		return
	}
	// A wait too short to be worth it would only keep a processor busy.
	_ = clock.Sleep(ctx, max(time.Duration(float64(d)/c.speed), time.Millisecond))
}

// wait waits for d of its own time to pass, by itself or because it is moved. It returns
// early, with the reason, when ctx ends.
func (c *calendar) wait(ctx context.Context, d time.Duration) error {
	until := c.now().Add(d)
	for {
		c.mu.Lock()
		left, moved := until.Sub(c.read()), c.moved
		c.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		nap, wake := context.WithCancel(ctx)
		stop := context.AfterFunc(moved, wake)
		c.sleep(nap, left)
		stop()
		wake()
	}
}
