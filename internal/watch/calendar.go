package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"rehearsal/internal/clock"
)

// A Calendar is the clock that a CloudWatch goes by.
type Calendar interface {
	Now(ctx context.Context) (time.Time, error)
	// Until lets it come to a time.
	Until(ctx context.Context, t time.Time) error
}

// Calendar is the clock of the CloudWatch that the eye sees: the embedded one's own,
// which may run faster or stand still, or the wall's. Only an endpoint that was named is
// asked.
func (e *Eye) Calendar(ctx context.Context) Calendar {
	if e.http != nil {
		own := &ownCalendar{e.http, e.URL}
		if _, err := own.Now(ctx); err == nil {
			return own
		}
	}
	return wall{}
}

type wall struct{}

func (wall) Now(context.Context) (time.Time, error) { return clock.Wall().UTC(), nil }
func (wall) Until(ctx context.Context, t time.Time) error {
	return clock.Sleep(ctx, -clock.Since(t))
}

// An ownCalendar is that of `rehearse cloudwatch`. It is only read.
type ownCalendar struct {
	client *http.Client
	url    string
}

// lookEvery is how often it is looked at, on the wall.
const lookEvery = 20 * time.Millisecond

func (c *ownCalendar) Until(ctx context.Context, t time.Time) error {
	return clock.Poll(ctx, lookEvery, func() (bool, error) {
		now, err := c.Now(ctx)
		return err == nil && !now.Before(t), err
	})
}

func (c *ownCalendar) Now(ctx context.Context) (time.Time, error) {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/_rehearsal", http.NoBody)
	if err != nil {
		return time.Time{}, err
	}
	answer, err := c.client.Do(ask)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	var state struct {
		Time time.Time `json:"time"`
	}
	if answer.StatusCode != http.StatusOK {
		return time.Time{}, fmt.Errorf("%s tells no time: status %d", c.url, answer.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&state); err != nil {
		return time.Time{}, fmt.Errorf("%s tells no time: %w", c.url, err)
	}
	if state.Time.IsZero() {
		return time.Time{}, fmt.Errorf("%s tells no time", c.url)
	}
	return state.Time.UTC(), nil
}
