package containers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// connectionsExhausted takes every connection that a database has left, past the doors
// of the versions, and each that becomes free later: who is connected stays so.
type connectionsExhausted struct {
	failureBase
	mu   sync.Mutex
	held []connection
	stop context.CancelFunc
	done chan struct{}
}

const (
	// mostConnections is where it gives up: a database that takes as many has no limit
	// that a release would meet.
	mostConnections = 5000
	takenAtOnce     = 8
	takenAgain      = 100 * time.Millisecond
	takenInVain     = 4
)

func (f *connectionsExhausted) inject(ctx context.Context) (bool, error) {
	d, _ := f.s.setup.Dependency(f.Dependency)
	a, err := signIn(d, f.s.releasedEnvironment(nil))
	if err != nil {
		return false, err
	}
	door := f.s.directPath(d)
	// What others have just closed becomes free a moment later: it is full when nothing more
	// could be had for a while.
	var refused error
	for full := 0; full < takenInVain; {
		before := f.count()
		if before > mostConnections {
			return false, fmt.Errorf("%w: %s takes more than %d connections", stage.ErrNotLanded, d.Name, mostConnections)
		}
		why, err := f.take(ctx, a, d, door)
		if err != nil {
			return false, err
		}
		if why == nil || f.count() > before {
			full = 0
			continue
		}
		refused = why
		if full++; full < takenInVain {
			if err := clock.Sleep(ctx, takenAgain); err != nil {
				return false, err
			}
		}
	}
	f.land("%s refuses another connection, beside %d that are held: %s", d.Name, f.count(), f.s.secrets.redact(refused.Error()))
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		clock.Every(ctx, takenAgain, func() { _, _ = f.take(ctx, a, d, door) }) // a database that has gone meanwhile is nobody's to take
	}()
	return true, nil
}

// take opens a few connections, and says with which words the database refused one.
func (f *connectionsExhausted) take(ctx context.Context, a Address, d stage.Dependency, door string) (refused, err error) {
	var all errgroup.Group
	var mu sync.Mutex
	for range takenAtOnce {
		all.Go(func() error {
			c, err := a.connect(ctx, d, door)
			switch {
			case err == nil:
				f.mu.Lock()
				f.held = append(f.held, c)
				f.mu.Unlock()
			case isFull(err):
				mu.Lock()
				refused = err
				mu.Unlock()
			default:
				return errors.New(f.s.secrets.redact(err.Error()))
			}
			return nil
		})
	}
	return refused, all.Wait()
}

// isFull says whether a database refused a connection since it has no more: PostgreSQL
// by the SQLSTATE too_many_connections, MySQL by ER_CON_COUNT_ERROR or
// ER_TOO_MANY_USER_CONNECTIONS.
func isFull(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "53300"
	}
	var my *mysql.MySQLError
	return errors.As(err, &my) && (my.Number == 1040 || my.Number == 1203)
}

func (f *connectionsExhausted) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held)
}

func (f *connectionsExhausted) heal(context.Context) error {
	if f.stop != nil {
		f.stop()
		<-f.done
	}
	f.mu.Lock()
	held := f.held
	f.held = nil
	f.mu.Unlock()
	var all errgroup.Group
	all.SetLimit(takenAtOnce)
	for _, c := range held {
		all.Go(func() error {
			c.close()
			return nil
		})
	}
	return all.Wait()
}

// eachRowStraight asks a database past all failures, with the service's credentials:
// where it takes no more connections, by one of those that are held.
func (s *Stage) eachRowStraight(ctx context.Context, d stage.Dependency, query string, each func([]string) error) (columns []string, err error) {
	s.mu.Lock()
	failures := s.failures
	s.mu.Unlock()
	for _, one := range failures {
		if f, ok := one.(*connectionsExhausted); ok && f.Dependency == d.Name {
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.held) > 0 {
				return f.held[0].eachRow(ctx, query, each)
			}
		}
	}
	return s.eachRow(ctx, d, s.directPath(d), s.releasedEnvironment(nil), query, each)
}
