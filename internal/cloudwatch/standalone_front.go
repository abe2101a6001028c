package cloudwatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Handler answers the calls of AWS and those of /_rehearsal.
func (v *Standalone) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case v.calls <- struct{}{}:
			defer func() { <-v.calls }()
		case <-r.Context().Done():
			return
		}
		if r.URL.Path == ownPath || strings.HasPrefix(r.URL.Path, ownPath+"/") {
			v.serveOwn(w, r)
			return
		}
		v.present.Load().front.ServeHTTP(w, r)
	})
}

const (
	ownPath = "/_rehearsal"
	// maxOwnBody is the longest body of a call of /_rehearsal, in bytes.
	maxOwnBody = 4 << 10
	// maxAdvance is how far one call moves the clock.
	maxAdvance = 366 * 24 * time.Hour
)

// standaloneState is what GET /_rehearsal answers.
type standaloneState struct {
	Version   string    `json:"version"`
	Time      time.Time `json:"time"`
	Speed     float64   `json:"speed"` // seconds for each second of the wall
	Alarms    int       `json:"alarms"`
	Metrics   int       `json:"metrics"` // that ever had data
	LogGroups int       `json:"log_groups"`
}

// standaloneMoved is what POST /_rehearsal/advance answers.
type standaloneMoved struct {
	Time        time.Time          `json:"time"`
	Transitions []standaloneChange `json:"transitions"` // in the order they came
	Actions     []standaloneAction `json:"actions"`     // that AWS would carry out, likewise
	More        int                `json:"transitions_left_out,omitempty"`
	MoreActions int                `json:"actions_left_out,omitempty"`
}

type standaloneChange struct {
	Alarm  string    `json:"alarm"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
	// SuppressedBy is what holds the actions of a composite alarm back, as AWS's
	// ActionsSuppressedBy.
	SuppressedBy string `json:"suppressed_by,omitempty"`
}

type standaloneAction struct {
	Alarm string    `json:"alarm"`
	State string    `json:"state"`
	ARNs  []string  `json:"arns"`
	Time  time.Time `json:"time"`
}

func (m *move) answer() standaloneMoved {
	out := standaloneMoved{Time: m.to, Transitions: []standaloneChange{}, Actions: []standaloneAction{}, More: m.moreChanges, MoreActions: m.moreActions}
	for _, t := range m.changes {
		out.Transitions = append(out.Transitions, standaloneChange{t.Name, t.From.String(), t.To.String(), t.Reason, t.Time.UTC(), t.SuppressedBy.String()})
	}
	for _, a := range m.actions {
		out.Actions = append(out.Actions, standaloneAction{a.Alarm, a.State.String(), a.ARNs, a.Time.UTC()})
	}
	return out
}

// An ownError is an error of /_rehearsal with its status of HTTP.
type ownError struct {
	status int
	text   string
}

func (e *ownError) Error() string { return e.text }

func badCall(format string, args ...any) error {
	return &ownError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func (v *Standalone) serveOwn(w http.ResponseWriter, r *http.Request) {
	out, err := v.own(w, r)
	status := http.StatusOK
	if err != nil {
		var e *ownError
		switch {
		case errors.As(err, &e):
			status = e.status
		case errors.Is(err, context.Canceled): // who asked is gone, or this server ends
			status = http.StatusServiceUnavailable
		default:
			status = http.StatusInternalServerError
		}
		out = map[string]string{"error": err.Error()}
	}
	body, err := json.Marshal(out)
	if err != nil {
		panic(fmt.Sprintf("cloudwatch: %T cannot be written as JSON: %v", out, err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func (v *Standalone) own(w http.ResponseWriter, r *http.Request) (any, error) {
	if err := v.guard(r); err != nil {
		return nil, err
	}
	method := map[string]string{ownPath: http.MethodGet, ownPath + "/advance": http.MethodPost, ownPath + "/reset": http.MethodPost}[r.URL.Path]
	if method == "" {
		return nil, &ownError{http.StatusNotFound, fmt.Sprintf("there is no %s: there are GET %[2]s, POST %[2]s/advance and POST %[2]s/reset", short(r.URL.Path), ownPath)}
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		return nil, &ownError{http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s", short(r.URL.Path), method)}
	}
	switch r.URL.Path {
	case ownPath + "/advance":
		target, err := readAdvance(http.MaxBytesReader(w, r.Body, maxOwnBody))
		if err != nil {
			return nil, err
		}
		// A long way takes as long as it takes; it ends when who asked goes away.
		timeouts := http.NewResponseController(w)
		_ = timeouts.SetReadDeadline(time.Time{}) // that there is none to be set is fine, too
		_ = timeouts.SetWriteDeadline(time.Time{})
		m, err := v.advance(r.Context(), target)
		if err != nil {
			return nil, err
		}
		return m.answer(), nil
	case ownPath + "/reset":
		if err := v.reset(r.Context()); err != nil {
			return nil, err
		}
	}
	return v.state(), nil
}

// guard refuses calls that a web page makes.
func (v *Standalone) guard(r *http.Request) error {
	if r.Header.Get("Origin") != "" {
		return &ownError{http.StatusForbidden, "the call has an Origin: web pages may not move this clock"}
	}
	if !v.options.Guarded {
		return nil
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil && !strings.EqualFold(host, "localhost") {
		return &ownError{http.StatusForbidden, fmt.Sprintf("the call is addressed to %q: %s is only for this machine; call it by its IP address or as localhost", short(host), ownPath)}
	}
	return nil
}

func (v *Standalone) state() standaloneState {
	s := v.Store()
	out := standaloneState{Version: v.options.Version, Time: v.Now(), Speed: v.options.Speed, Alarms: len(s.Alarms()) + len(s.Composites())}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.series {
		if h.fedWith("") { // others are only watched
			out.Metrics++
		}
	}
	out.LogGroups = len(s.groups)
	return out
}

// readAdvance reads where the clock is to go.
func readAdvance(body io.Reader) (target func(now time.Time) (time.Time, error), err error) {
	var in struct {
		By *string    `json:"by"`
		To *time.Time `json:"to"`
	}
	const want = `want {"by": "5m"} or {"to": "2026-01-02T03:04:05Z"}`
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, badCall("the body is wrong: %v: %s", err, want)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, badCall("there is more than one value in the body: %s", want)
	}
	if (in.By == nil) == (in.To == nil) {
		return nil, badCall("one of \"by\" and \"to\": %s", want)
	}
	by := time.Duration(0)
	if in.By != nil {
		if by, err = time.ParseDuration(*in.By); err != nil {
			return nil, badCall("\"by\" is no duration: %v: want such as 90s, 5m or 24h", err)
		}
	}
	return func(now time.Time) (time.Time, error) {
		to := now.Add(by)
		if in.To != nil {
			to = in.To.UTC()
		}
		switch {
		case to.Before(now):
			return to, badCall("the clock shows %s: it does not go back", now.Format(time.RFC3339Nano))
		case to.Sub(now) > maxAdvance:
			return to, badCall("one call moves the clock by at most %s", maxAdvance)
		case to.Year() >= lastYear:
			return to, badCall("the clock goes no further than the year %d", lastYear-1)
		}
		return to, nil
	}, nil
}
