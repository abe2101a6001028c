package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"rehearsal/internal/clock"
)

// StandaloneOptions says how a Standalone runs.
type StandaloneOptions struct {
	// Speed is how many times faster than the wall its clock runs, 0 to MaxSpeed; at 0
	// it stands still and moves only when it is told to.
	Speed float64
	// Start is what its clock shows at first; zero: the time of day.
	Start time.Time
	// Version of the program, to be told to who asks.
	Version string
	// Guarded refuses calls of /_rehearsal that are addressed to a name other than
	// localhost: for a server that listens on the loopback address, where such a call
	// is a web page that had its own name resolved to this machine (DNS rebinding).
	Guarded bool
	// Changed is called with every change of an alarm's state, in order; see Options.
	Changed func(Transition)
	// Acted is called when an alarm's actions are carried out; see Options.
	Acted func(Action)
}

const (
	// MaxSpeed of a Standalone's clock: an hour in a second.
	MaxSpeed = 3600
	// atOnce is how many calls are carried out at the same time; others wait. It bounds
	// the memory that their bodies take.
	atOnce = 64
	// lookEvery is how often, on its own clock, it looks whether an alarm is due that
	// was put meanwhile: as often as CloudWatch evaluates any alarm.
	lookEvery = 10 * time.Second
	// goodbye is how long calls under way may take when it ends, on the wall.
	goodbye = 2 * time.Second
)

// A Standalone is a CloudWatch that runs on its own, for any client: a Store, its
// HTTP front, and a clock of its own, by which alarms are evaluated when they are
// due. Beside the API of AWS it answers
//
//	GET  /_rehearsal          what it is, what its clock shows, how much it holds
//	POST /_rehearsal/advance  {"by": "5m"} or {"to": "2026-01-02T03:04:05Z"}: moves the
//	                          clock, and evaluates every alarm due on the way, in order
//	POST /_rehearsal/reset    forgets all alarms, metrics and logs; the clock goes on
type Standalone struct {
	options StandaloneOptions
	clock   *calendar

	turn   chan struct{} // who has its token moves time: one at a time
	judged time.Time     // every evaluation until then was made; of who has the turn
	nap    atomic.Pointer[context.CancelFunc]

	present atomic.Pointer[standaloneStore]
	calls   chan struct{}

	mu      sync.Mutex
	acts    []Action // carried out while the clock is moved
	moreAct int      // and how many more
	gather  bool
}

type standaloneStore struct {
	*Store
	front http.Handler
}

// NewStandalone makes an empty CloudWatch. Its clock runs from now on; alarms are
// evaluated while Serve runs.
func NewStandalone(o StandaloneOptions) (*Standalone, error) {
	if !(o.Speed >= 0 && o.Speed <= MaxSpeed) {
		return nil, fmt.Errorf("the speed %g: it is from 0 (stands still) over 1 (as the wall) to %d", o.Speed, MaxSpeed)
	}
	if o.Start.IsZero() {
		o.Start = clock.Wall()
	}
	if y := o.Start.UTC().Year(); y < 1971 || y >= lastYear {
		return nil, fmt.Errorf("the start %s: it is from 1971 to %d", o.Start.Format(time.RFC3339), lastYear-1)
	}
	v := &Standalone{options: o, clock: newCalendar(o.Start, o.Speed), turn: make(chan struct{}, 1), calls: make(chan struct{}, atOnce)}
	v.judged = v.clock.now()
	v.renew()
	return v, nil
}

// lastYear is the first that its clock does not reach.
const lastYear = 9000

// Store is what it holds at present: another one after a reset.
func (v *Standalone) Store() *Store { return v.present.Load().Store }

// Now is what its clock shows.
func (v *Standalone) Now() time.Time { return v.clock.now() }

// renew begins with an empty store.
func (v *Standalone) renew() {
	s := NewStore(Options{Now: v.clock.now, Changed: v.options.Changed, Acted: v.act, SNS: SNSOptions{Wait: v.clock.wait}})
	if old := v.present.Swap(&standaloneStore{s, s.Handler()}); old != nil {
		old.Close()
	}
}

// Close ends the deliveries of SNS that are under way, as Serve does at its end.
func (v *Standalone) Close() { v.Store().Close() }

// act tells of an action, and notes it while the clock is moved.
func (v *Standalone) act(a Action) {
	v.mu.Lock()
	switch {
	case v.gather && len(v.acts) < maxTold:
		v.acts = append(v.acts, a)
	case v.gather:
		v.moreAct++
	}
	v.mu.Unlock()
	if v.options.Acted != nil {
		v.options.Acted(a)
	}
}

// gathered begins to note actions, or ends it and gives what was noted.
func (v *Standalone) gathered(begin bool) (acts []Action, more int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	acts, more = v.acts, v.moreAct
	v.acts, v.moreAct, v.gather = nil, 0, begin
	return acts, more
}

// Serve answers calls on the listener, and evaluates alarms, until ctx ends; then it
// gives calls under way 2 s, closes all connections, ends deliveries of SNS and returns
// nil.
func (v *Standalone) Serve(ctx context.Context, listener net.Listener) error {
	defer v.Close()
	ctx, cancel := context.WithCancel(ctx)
	server := &http.Server{
		Handler:           v.Handler(),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		BaseContext:    func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener); cancel() }()
	v.run(ctx)
	cancel()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer stop()
	if server.Shutdown(last) != nil {
		_ = server.Close() // who is not done by now is cut off
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// run evaluates alarms when they are due on its clock, until ctx ends.
func (v *Standalone) run(ctx context.Context) {
	for {
		nap, wake := context.WithCancel(ctx)
		v.nap.Store(&wake) // before looking at the clock, so that no move of it is missed
		if v.take(ctx) != nil {
			wake()
			return
		}
		now := v.clock.now()
		err := v.judge(ctx, now, nil, nil)
		next := v.Store().NextEvaluation(now)
		v.leave()
		if err == nil {
			v.clock.sleep(nap, min(next.Sub(now), lookEvery))
		}
		wake()
	}
}

// take waits for the turn to move time.
func (v *Standalone) take(ctx context.Context) error {
	select {
	case v.turn <- struct{}{}:
		if ctx.Err() != nil {
			v.leave()
		}
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *Standalone) leave() { <-v.turn }

// judge makes every evaluation that is due until then and was not made, in order.
// before is called ahead of each. It notes in m, if there is one, what changed.
func (v *Standalone) judge(ctx context.Context, until time.Time, before func(time.Time), m *move) error {
	s := v.Store()
	for {
		next := s.NextEvaluation(v.judged)
		if next.After(until) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if before != nil {
			before(next)
		}
		changes := s.Evaluate(next)
		if m != nil {
			fits := min(len(changes), maxTold-len(m.changes))
			m.changes, m.moreChanges = append(m.changes, changes[:fits]...), m.moreChanges+len(changes)-fits
		}
		v.judged = next
	}
}

// maxTold is how many changes of state, and how many actions, one advance tells at
// most.
const maxTold = 10_000

// A move is what came of moving the clock.
type move struct {
	to                       time.Time
	changes                  []Transition
	actions                  []Action
	moreChanges, moreActions int // that were not kept
}

// advance moves the clock to where target says, given what it shows, and evaluates
// every alarm that is due on the way. The clock stands still meanwhile, but for
// going from one evaluation to the next, so that what comes in is dated rightly. When
// ctx ends it stays where it got to.
func (v *Standalone) advance(ctx context.Context, target func(now time.Time) (time.Time, error)) (*move, error) {
	if err := v.take(ctx); err != nil {
		return nil, err
	}
	defer v.leave()
	defer v.wakeUp()
	now := v.clock.hold()
	defer v.clock.release()
	to, err := target(now)
	if err != nil {
		return nil, err
	}
	m := &move{to: to}
	v.gathered(true)
	err = v.judge(ctx, to, v.clock.set, m)
	m.actions, m.moreActions = v.gathered(false)
	if err != nil {
		return nil, err
	}
	v.clock.set(to)
	return m, nil
}

// wakeUp has run look at the clock again.
func (v *Standalone) wakeUp() {
	if wake := v.nap.Load(); wake != nil {
		(*wake)()
	}
}

// reset begins with an empty store.
func (v *Standalone) reset(ctx context.Context) error {
	if err := v.take(ctx); err != nil {
		return err
	}
	defer v.leave()
	v.renew()
	return nil
}
