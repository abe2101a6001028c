package steps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"

	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// A pool raises stages before scenarios ask for them: while one is rehearsed, the copy
// for the next gets warm. Most scenarios of a project ask for the same set-up, so the one
// that was asked for last is raised again. A scenario whose set-up is another one, or who
// comes too early, waits for a copy of its own.
type pool struct {
	raise    func(ctx context.Context, setup stage.Setup) (raised, error)
	progress func(string)
	ctx      context.Context // of what is raised beforehand
	stop     context.CancelFunc
	work     sync.WaitGroup

	mu    sync.Mutex
	idle  []warm
	under int // how many are being raised
	most  int // how many may wait, those under way included
	left  int // how many scenarios have not asked yet
}

// raised is a stage whose release time has not begun.
type raised interface {
	stage.Stage
	Begin(ctx context.Context, seed uint64, sink io.Writer) error
}

var _ raised = (*containers.Stage)(nil)

// warm is a copy that waits.
type warm struct {
	setup stage.Setup
	stage raised
}

// newPool keeps at most most copies warm for so many scenarios.
func newPool(ctx context.Context, most, scenarios int, progress func(string), raise func(context.Context, stage.Setup) (raised, error)) *pool {
	p := &pool{raise: raise, progress: progress, most: most, left: scenarios}
	p.ctx, p.stop = context.WithCancel(ctx)
	return p
}

// take gives a scenario its copy, with a history that begins now.
func (p *pool) take(ctx context.Context, setup stage.Setup, seed uint64, sink io.Writer) (stage.Stage, error) {
	st := p.waiting(setup)
	p.warmUp(setup)
	if st != nil {
		err := st.Begin(ctx, seed, sink)
		if err == nil {
			return st, nil
		}
		// It broke while it waited, for whatever reason, before anything was rehearsed on it.
		p.progress(fmt.Sprintf("a copy that was raised beforehand could not be used, another is raised: %v", errors.Join(err, st.Close(ctx))))
	}
	st, err := p.raise(ctx, setup)
	if err != nil {
		return nil, err
	}
	if err := st.Begin(ctx, seed, sink); err != nil {
		return nil, errors.Join(err, st.Close(ctx))
	}
	return st, nil
}

// waiting takes a copy of the set-up out of those that wait, or is nil.
func (p *pool) waiting(setup stage.Setup) raised {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	i := slices.IndexFunc(p.idle, func(w warm) bool { return reflect.DeepEqual(w.setup, setup) })
	if i < 0 {
		return nil
	}
	st := p.idle[i].stage
	p.idle = slices.Delete(p.idle, i, i+1)
	return st
}

// warmUp raises another copy of the set-up, where one may still be asked for.
func (p *pool) warmUp(setup stage.Setup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle) + p.under; n >= p.most || n >= p.left || p.ctx.Err() != nil {
		return
	}
	p.under++
	p.work.Go(func() {
		st, err := p.raise(p.ctx, setup)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.under--
		if err == nil {
			p.idle = append(p.idle, warm{setup, st})
		} // else the scenario that needs it tells why, when it raises its own
	})
}

// close takes down the copies that nobody asked for.
func (p *pool) close(ctx context.Context) error {
	p.stop()
	p.work.Wait()
	var errs []error
	for _, w := range p.idle {
		errs = append(errs, w.stage.Close(ctx))
	}
	p.idle = nil
	return errors.Join(errs...)
}
