package watch

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/lang"
)

// A script is a clock that shows what it is told to, one time after another, and then is
// gone.
type script []time.Time

func (s *script) Now(context.Context) (time.Time, error) {
	if len(*s) == 0 {
		return time.Time{}, errors.New("the clock is gone")
	}
	return (*s)[0], nil
}

func (s *script) Until(ctx context.Context, _ time.Time) error {
	if len(*s) > 0 {
		*s = (*s)[1:]
	}
	return ctx.Err()
}

// told runs a watch of an empty CloudWatch by a clock.
func told(t *testing.T, began time.Time, times ...time.Time) (events []Event, status int) {
	t.Helper()
	m, f := shop(t)
	f.Releases = 20
	p, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	cw, err := cloudwatch.NewStandalone(cloudwatch.StandaloneOptions{Start: began})
	require.NoError(t, err)
	server := httptest.NewServer(cw.Handler())
	t.Cleanup(func() { server.Close(); cw.Close() })
	e, err := OpenURL(server.URL, false)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	calendar := script(times)
	w := &Watch{Eye: e, Calendar: &calendar, Judge: &Judge{Measures: m, Prediction: p, Began: began, Late: 2 * time.Minute, Margin: 0.1},
		Lang: lang.English, Version: "v2", Every: 30 * time.Second, Redact: strings.Clone, Tell: func(e Event) { events = append(events, e) }}
	return events, w.Run(t.Context())
}

func text(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Kind)+": "+e.Text)
	}
	return strings.Join(all, "\n")
}

func TestAClockThatGoesBackJudgesNothing(t *testing.T) {
	began := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	at := func(m float64) time.Time { return began.Add(time.Duration(m * float64(time.Minute))) }
	events, status := told(t, began, at(1), at(-600), at(-599), at(1.5), at(18))
	assert.Equal(t, 3, status, "an empty CloudWatch shows nothing")
	all := text(events)
	assert.Equal(t, 1, strings.Count(all, "The clock went back, by 10h1m"), all)
	looks := slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return e.Kind != Looked })
	require.Len(t, looks, 3, all)
	assert.Equal(t, at(1.5), looks[1].At)
	assert.Contains(t, all, "Nothing was looked at for 16m30s")
	assert.NotContains(t, all, "left:")
}

func TestAClockThatIsGoneEndsTheWatch(t *testing.T) {
	began := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	events, status := told(t, began, began)
	assert.Equal(t, 3, status)
	all := text(events)
	assert.Equal(t, 4, strings.Count(all, "This look failed ("), all)
	assert.Contains(t, all, "ended: Nothing can be seen: the clock is gone")
}

func TestNumbersAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1: "0.1", 0.012345: "0.0123", 12.34: "12.3", 99.96: "100", 100: "100", 1234.5: "1,234", 1234567: "1,234,567", -1234: "-1,234", 0.00001234: "1.2e-05", -3: "-3"} {
		assert.Equal(t, want, short(v))
	}
	for d, want := range map[time.Duration]string{0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m", 25 * time.Hour: "25h", -time.Minute: "-1m", 999 * time.Millisecond: "1s"} {
		assert.Equal(t, want, brief(d))
	}
}
