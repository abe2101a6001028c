package stage

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"rehearsal/internal/alarm"
)

// History is the one record of a rehearsal: everything that was observed, in
// order. The stage records what happens, and whoever carries out a plan records
// what was decided; checks and reports only read. It is safe for concurrent use.
type History struct {
	mu     sync.Mutex
	now    func() time.Duration
	events []Event
	shares Shares
	alarms map[string]alarm.State
	sink   io.Writer // NDJSON, one line per event, as it happens
	err    error     // the first failure of sink
	watch  []func(Event)
}

// An Event is one observation. Its Kind says which other fields count.
type Event struct {
	At       time.Duration `json:"at"` // release time, nanoseconds
	Seq      int           `json:"seq"`
	Kind     EventKind     `json:"kind"`
	Version  string        `json:"version,omitempty"`
	Detail   string        `json:"detail,omitempty"`
	Replicas int           `json:"replicas,omitempty"`
	Shares   Shares        `json:"shares,omitempty"`
	Failure  *Failure      `json:"failure,omitempty"`
	Traffic  *Traffic      `json:"traffic,omitempty"`
	Alarm    *AlarmChange  `json:"alarm,omitempty"`
	Probe    *Probe        `json:"probe,omitempty"`
	OK       bool          `json:"ok,omitempty"`
	Writes   *Writes       `json:"writes,omitempty"`
	Call     *Call         `json:"call,omitempty"`
	Asked    *Asked        `json:"asked,omitempty"`
}

// EventKind is a closed set.
type EventKind string

const (
	Began     EventKind = "began"     // the stage is up: dependencies, balancer, monitoring
	Deployed  EventKind = "deployed"  // Version has Replicas healthy replicas
	Unhealthy EventKind = "unhealthy" // a replica of Version stopped passing its health check; Detail says how
	Healthy   EventKind = "healthy"   // a replica of Version passes it again
	Exited    EventKind = "exited"    // a replica of Version exited; Detail has the reason
	Retired   EventKind = "retired"   // Version runs no more
	Shifted   EventKind = "shifted"   // Shares are in force
	Injected  EventKind = "injected"  // Failure was brought about
	Landed    EventKind = "landed"    // there is proof that Failure is present; Detail has the proof
	Healed    EventKind = "healed"    // Failure was taken away
	Served    EventKind = "served"    // Traffic was answered, or not
	Changed   EventKind = "alarm"     // Alarm changed its state
	Logged    EventKind = "log"       // a log line that matters (an error) of Version
	Probed    EventKind = "probed"    // Probe was answered; OK says whether well
	Audited   EventKind = "audited"   // Writes were compared with what is stored
	CalledOut EventKind = "outside"   // Call was refused: it is to nothing of the stage. The first of its kind only
	StubAsked EventKind = "asked"     // Asked says what a stub was asked, by Version where that is known
	Ended     EventKind = "ended"     // the stage closed

	Stepped   EventKind = "step"      // a step of the plan began; Detail names it (recorded by release)
	Decided   EventKind = "decided"   // a decision of the release: go on (OK), or roll back or stop; Detail says why
	Confirmed EventKind = "confirmed" // the steady state was confirmed (recorded by the steps)
)

// Traffic is what users of one version saw in [From, To). Requests that no
// version answered (the balancer had nobody to ask) have the Version that the
// balancer chose, or "" when it could not choose. Each request sent while time ran
// ahead counts as many times as it stands for.
type Traffic struct {
	From         time.Duration `json:"from"`
	To           time.Duration `json:"to"`
	Requests     int64         `json:"requests"`
	Failed       int64         `json:"failed"`       // no answer, an answer of 500 and above, or not the one expected
	Acknowledged int64         `json:"acknowledged"` // writes
	P50          time.Duration `json:"p50"`          // latency from the intended start
	P99          time.Duration `json:"p99"`
	// Latencies is of the answers that the version itself gave in time, right or wrong.
	// Each was measured: a request that stands for many is one.
	Latencies Latencies `json:"latencies,omitempty"`
	// Late is the longest that one of the requests was sent after it should have been, where
	// the machine could not keep up.
	Late time.Duration `json:"late,omitempty"`
}

// AlarmChange is a change of an alarm's state.
type AlarmChange struct {
	Name   string      `json:"name"`
	From   alarm.State `json:"from"`
	To     alarm.State `json:"to"`
	Reason string      `json:"reason"`
}

// Writes compares acknowledged writes with stored ones.
type Writes struct {
	Acknowledged int64    `json:"acknowledged"`
	Lost         int64    `json:"lost"`           // acknowledged, not stored
	Doubled      int64    `json:"doubled"`        // stored more than once
	Keys         []string `json:"keys,omitempty"` // a few of the lost and doubled
}

// Call is an attempt to reach something outside of the stage, which nothing does.
type Call struct {
	By       string `json:"by"`                 // the compose service that called
	Host     string `json:"host,omitempty"`     // "api.example.com"; "": it was called by its number, which is not known
	Port     int    `json:"port,omitempty"`     // 0: it was only looked up
	Protocol string `json:"protocol,omitempty"` // "tcp", "udp" or, to a stub, "tls"
}

// String is "shop called api.example.com:443".
func (c Call) String() string {
	if c.Host == "" {
		return c.By + " called an address outside by its number"
	}
	if c.Protocol == "tls" {
		return fmt.Sprintf("%s called https://%s:%d, where a stub stands in, which speaks plain HTTP: give %s an http:// address of it in the staging copy",
			c.By, c.Host, c.Port, c.By)
	}
	if c.Port == 0 {
		return c.By + " looked up " + c.Host
	}
	return fmt.Sprintf("%s called %s:%d", c.By, c.Host, c.Port)
}

// NewHistory makes an empty history whose events get their time from now. sink,
// where not nil, gets each event as one line of JSON as it is recorded.
func NewHistory(now func() time.Duration, sink io.Writer) *History {
	return &History{now: now, sink: sink, shares: Shares{}, alarms: map[string]alarm.State{}}
}

// Record appends e at the present release time, or at e.At where that is set and
// not before the last event, and returns it as recorded.
func (h *History) Record(e Event) Event {
	h.mu.Lock()
	if now := h.now(); e.At == 0 || e.At > now {
		e.At = now
	}
	if n := len(h.events); n > 0 && e.At < h.events[n-1].At {
		e.At = h.events[n-1].At
	}
	e.Seq = len(h.events)
	switch e.Kind {
	case Shifted:
		e.Shares = maps.Clone(e.Shares)
		h.shares = e.Shares
	case Changed:
		h.alarms[e.Alarm.Name] = e.Alarm.To
	default:
	}
	h.events = append(h.events, e)
	h.keep(e)
	watch := h.watch
	h.mu.Unlock()
	for _, f := range watch {
		f(e)
	}
	return e
}

// keep writes e to the sink.
func (h *History) keep(e Event) {
	if h.sink != nil && h.err == nil {
		var line []byte
		if line, h.err = json.Marshal(e); h.err == nil {
			_, h.err = h.sink.Write(append(line, '\n'))
		}
	}
}

// KeepIn has sink, where not nil, get each event as NewHistory's does: those that are
// recorded already at once.
func (h *History) KeepIn(sink io.Writer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sink = sink
	for _, e := range h.events {
		h.keep(e)
	}
	return h.err
}

// Watch calls f with every event recorded from now on, in the goroutine that
// records it. f must be quick.
func (h *History) Watch(f func(Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watch = append(slices.Clip(h.watch), f)
}

// Now is the release time.
func (h *History) Now() time.Duration { return h.now() }

// Events is every event so far, in order. The caller must not change them.
func (h *History) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clip(h.events)
}

// All iterates over the events of one kind, in order.
func (h *History) All(kind EventKind) iter.Seq[Event] {
	events := h.Events()
	return func(yield func(Event) bool) {
		for _, e := range events {
			if e.Kind == kind && !yield(e) {
				return
			}
		}
	}
}

// Shares is the shares in force.
func (h *History) Shares() Shares {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.shares)
}

// Share is the share of traffic that version gets, in percent.
func (h *History) Share(version string) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shares[version]
}

// AlarmState is the state of the alarm: INSUFFICIENT_DATA until it changed.
func (h *History) AlarmState(name string) alarm.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.alarms[name]; ok {
		return s
	}
	return alarm.InsufficientData
}

// Err is the first error of writing the history down, if any.
func (h *History) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// ReadHistory reads what a History wrote to its sink. A last line cut short, as a
// killed run leaves it, is left out; any other damage is an error with its line.
func ReadHistory(r io.Reader) (*History, error) {
	var last time.Duration
	h := NewHistory(func() time.Duration { return last }, nil)
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, end := lines.ReadBytes('\n')
		if end != nil && !errors.Is(end, io.EOF) {
			return nil, end
		}
		if end != nil && !json.Valid(line) { // without a newline: nothing, or a line cut short
			return h, nil
		}
		var e Event
		err := json.Unmarshal(line, &e)
		if err == nil {
			err = e.follows(n-1, last)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		last = e.At
		h.Record(e)
	}
}

// Valid says why e cannot be an event: its kind is unknown, or what its kind is about is
// not there.
func (e Event) Valid() error {
	complete := true
	switch e.Kind {
	case Injected, Landed, Healed:
		complete = e.Failure != nil
	case Served:
		complete = e.Traffic != nil
	case Changed:
		complete = e.Alarm != nil
	case Probed:
		complete = e.Probe != nil
	case Audited:
		complete = e.Writes != nil
	case CalledOut:
		complete = e.Call != nil
	case StubAsked:
		complete = e.Asked != nil
	case Began, Deployed, Unhealthy, Healthy, Exited, Retired, Shifted, Logged, Ended, Stepped, Decided, Confirmed:
	default:
		return fmt.Errorf("unknown event %q", e.Kind)
	}
	if !complete {
		return fmt.Errorf("the event %q does not say what it is about", e.Kind)
	}
	return nil
}

// follows says why e cannot be the event number seq of a history whose last event
// was at last.
func (e Event) follows(seq int, last time.Duration) error {
	if err := e.Valid(); err != nil {
		return err
	}
	switch {
	case e.Seq != seq:
		return fmt.Errorf("event %d where event %d should be: lines are missing", e.Seq, seq)
	case e.At < last:
		return fmt.Errorf("event %d is at %v, before the one above it at %v", e.Seq, e.At, last)
	}
	return nil
}
