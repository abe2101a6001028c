package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"rehearsal/internal/clock"
)

// A backendClock is the clock that the other side goes by.
type backendClock interface {
	fmt.Stringer
	now(ctx context.Context) (time.Time, error)
	// until lets it come to a time, at which the other side has evaluated its alarms.
	until(ctx context.Context, at time.Time) error
	moves() bool // by hand, at once
}

// findClock asks whether the clock can be moved: that of `rehearse cloudwatch` can.
func findClock(ctx context.Context, client *http.Client, url string) backendClock {
	r := &rehearsalClock{client, url}
	if _, err := r.now(ctx); err == nil {
		return r
	}
	return wallClock{}
}

// A rehearsalClock is the one of the embedded CloudWatch.
type rehearsalClock struct {
	client *http.Client
	url    string
}

func (*rehearsalClock) String() string { return "its own, moved by hand" }
func (*rehearsalClock) moves() bool    { return true }

func (r *rehearsalClock) now(ctx context.Context) (time.Time, error) {
	return r.call(ctx, http.MethodGet, "/_rehearsal", nil)
}

func (r *rehearsalClock) until(ctx context.Context, at time.Time) error {
	now, err := r.now(ctx)
	if err != nil || !now.Before(at) {
		return err
	}
	body, err := json.Marshal(map[string]time.Time{"to": at})
	if err != nil {
		return err
	}
	_, err = r.call(ctx, http.MethodPost, "/_rehearsal/advance", body)
	return err
}

// call gives the time that the answer tells.
func (r *rehearsalClock) call(ctx context.Context, method, path string, body []byte) (time.Time, error) {
	ask, err := http.NewRequestWithContext(ctx, method, r.url+path, bytes.NewReader(body))
	if err != nil {
		return time.Time{}, err
	}
	answer, err := r.client.Do(ask)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return time.Time{}, fmt.Errorf("%s answers with status %d", path, answer.StatusCode)
	}
	var state struct {
		Time time.Time `json:"time"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 16<<20)).Decode(&state); err != nil {
		return time.Time{}, err
	}
	if state.Time.IsZero() {
		return time.Time{}, fmt.Errorf("%s tells no time", path)
	}
	return state.Time, nil
}

// A wallClock is everybody else's.
type wallClock struct{}

// slack is how much later than it is due an evaluation may come: AWS evaluates each
// alarm at some second of the minute.
const slack = 50 * time.Second

func (wallClock) String() string                         { return "the wall's" }
func (wallClock) moves() bool                            { return false }
func (wallClock) now(context.Context) (time.Time, error) { return clock.Wall().UTC(), nil }
func (wallClock) until(ctx context.Context, at time.Time) error {
	return clock.Sleep(ctx, -clock.Since(at.Add(slack)))
}

// minute comes to just after a whole minute and gives it. Where time goes by itself
// the first seconds of a minute will do.
func (b *bench) minute(ctx context.Context) (time.Time, error) {
	now, err := b.clock.now(ctx)
	if err != nil {
		return now, err
	}
	at := now.Truncate(time.Minute)
	if b.clock.moves() {
		at = at.Add(time.Minute)
		return at, b.clock.until(ctx, at.Add(time.Second))
	}
	if now.Sub(at) > 20*time.Second {
		at = at.Add(time.Minute)
		return at, clock.Sleep(ctx, at.Add(2*time.Second).Sub(now))
	}
	return at, nil
}

// evaluated comes to where the alarms have been evaluated at a time.
func (b *bench) evaluated(ctx context.Context, at time.Time) error {
	if b.clock.moves() {
		at = at.Add(time.Second)
	}
	return b.clock.until(ctx, at)
}

// eventually asks until it is so, for as long as an answer of AWS may lag behind a
// change; where the clock is moved by hand nothing does, and it asks once.
func (b *bench) eventually(ctx context.Context, ask func() error) error {
	if b.clock.moves() {
		return ask()
	}
	patience := 2 * time.Second
	if !b.local {
		patience = 30 * time.Second
	}
	var last error
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := clock.Poll(within, 250*time.Millisecond, func() (bool, error) {
		last = ask()
		return last == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}
