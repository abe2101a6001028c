package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

type trafficOptions struct {
	Load    stage.Load
	URL     string // of the balancer, "http://172.30.0.2:8080"
	Clock   *clock.Paced
	History *stage.History
	// Seed decides the order of requests and their keys.
	Seed uint64
}

const (
	// trafficWindow is the wall time whose requests make one Served event of each
	// version, recorded when the last of them has been answered or has timed out.
	trafficWindow = 100 * time.Millisecond
	// trafficLag is how late a request may be sent, in wall time, before the machine
	// counts as too slow for the rate.
	trafficLag = time.Second
	// trafficWorkers is how many requests may be under way at most: each has a connection,
	// of which the balancer takes no more.
	trafficWorkers = 8192
)

// A traffic is the users: an open-loop stream of Load.Rate requests per second of
// wall time, whether the answers come or not. While release time runs ahead, each
// request stands for as many as the clock's rate. What the users see becomes Served
// events in the history; latencies count from the instant that a request should have
// been sent at, so that a stalled service is not flattered. Nothing is tried twice.
type traffic struct {
	options   trafficOptions
	mix       *trafficMix
	schedule  *trafficSchedule
	transport *http.Transport
	end       context.CancelFunc // ends the schedule

	stopFlushing context.CancelFunc
	work         sync.WaitGroup
	answered     chan struct{} // closed when the last answer was counted

	recording sync.Mutex // held from taking counts out to having recorded them, so that they keep their order

	mu       sync.Mutex
	underway map[uint64]*trafficRequest // by sequence number
	counts   trafficCounts
	ended    trafficProgress
	cut      bool // what is under way is cut
	pushed   bool // the rate is not that of the setup: how late requests are is told, and no mistake
	lost     error
}

// startTraffic starts the stream. It goes on until stop.
func startTraffic(o trafficOptions) (*traffic, error) {
	if o.Load.Rate <= 0 || o.Load.Timeout <= 0 {
		return nil, fmt.Errorf("traffic of %g requests per second with a time-out of %v: both must be above 0", o.Load.Rate, o.Load.Timeout)
	}
	mix, err := newTrafficMix(o.Load.Requests, o.URL, o.Seed)
	if err != nil {
		return nil, err
	}
	running, end := context.WithCancel(context.Background())
	t := &traffic{
		options: o, mix: mix, schedule: &trafficSchedule{rate: o.Load.Rate, began: clock.Wall(), running: running}, end: end,
		answered: make(chan struct{}), underway: map[uint64]*trafficRequest{}, counts: trafficCounts{},
	}
	t.transport = &http.Transport{
		DialContext:         (&net.Dialer{Timeout: o.Load.Timeout}).DialContext,
		MaxIdleConns:        trafficWorkers,
		MaxIdleConnsPerHost: trafficWorkers,
		DisableCompression:  true,
	}
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{
			Transport:     trafficDoor{t},
			Timeout:       o.Load.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		vegeta.MaxWorkers(trafficWorkers),
	)
	results := attacker.Attack(t.mix.target, t.schedule, 0, "")
	t.work.Go(func() {
		defer close(t.answered)
		for r := range results {
			t.answer(r)
		}
	})
	flushing, stop := context.WithCancel(context.Background())
	t.stopFlushing = stop
	t.work.Go(func() { clock.Every(flushing, trafficWindow, t.flush) })
	return t, nil
}

// stop sends no more requests, waits for the answers of those under way until ctx
// ends, and records what is left. It returns the error of err.
func (t *traffic) stop(ctx context.Context) error {
	t.end()
	select {
	case <-t.answered:
	case <-ctx.Done():
		t.abort()
		<-t.answered
	}
	t.stopFlushing()
	t.work.Wait()
	t.record(math.MaxInt)
	t.transport.CloseIdleConnections()
	return t.err()
}

// abort cuts what is under way.
func (t *traffic) abort() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = true
	for _, r := range t.underway {
		r.cancel()
	}
}

// err wraps stage.ErrLost when requests were sent so late that what was measured
// means nothing: the machine is too slow for the rate.
func (t *traffic) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// acknowledged is the keys of the writes whose users were told that they succeeded.
func (t *traffic) acknowledged() []string { return t.mix.acknowledgedKeys() }

// flush records the windows whose every request has been answered or has timed out,
// up to the first that is not complete: what the history does not have yet may still
// fail. At most Load.Timeout passes until it has a window.
func (t *traffic) flush() {
	t.mu.Lock()
	end := t.schedule.window(t.schedule.intended(t.ended.first))
	t.mu.Unlock()
	t.record(end)
}

// record records the windows before end.
func (t *traffic) record(end int) {
	t.recording.Lock()
	defer t.recording.Unlock()
	t.mu.Lock()
	events := t.counts.take(end)
	t.mu.Unlock()
	for _, e := range events {
		t.options.History.Record(e)
	}
}

// sent notes that a request is on its way.
func (t *traffic) sent(seq uint64, r *trafficRequest) {
	r.intended = t.schedule.intended(seq)
	r.late = clock.Since(r.intended)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underway[seq] = r
	if t.cut {
		r.cancel()
	}
	if r.late > trafficLag && t.lost == nil && !t.pushed {
		t.lost = fmt.Errorf("%w: a request was sent %v late: this machine cannot send %g requests per second (%d under way); use a smaller rate or a larger machine",
			stage.ErrLost, r.late.Round(time.Millisecond), t.schedule.rate, len(t.underway))
	}
}

// answer counts the answer to a request, or that none came.
func (t *traffic) answer(r *vegeta.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.ended.add(r.Seq)
	sent := t.underway[r.Seq]
	delete(t.underway, r.Seq)
	if sent == nil || (r.Code == 0 && t.cut) {
		return // never sent, or cut by stop
	}
	version := r.Headers.Get(versionHeader)
	if version == "" {
		version = sent.version
	}
	ok := sent.expects(int(r.Code))
	acknowledged := sent.kind.Write && r.Code >= 200 && r.Code < 300
	if acknowledged {
		t.mix.acknowledge(sent.key)
	}
	latency := max(r.End().Sub(sent.intended), 0)
	t.counts.add(version, t.schedule.window(sent.intended), sent, latency, byVersion(int(r.Code)), ok, acknowledged)
}

// byVersion says whether an answer is the version's own: none is not, and 502, 503 and
// 504 are mostly the balancer's, which gives them faster or slower than any version.
func byVersion(code int) bool {
	return code != 0 && (code < http.StatusBadGateway || code > http.StatusGatewayTimeout)
}

// A trafficDoor is where requests leave for the balancer: what a request stands for
// is known only as it leaves.
type trafficDoor struct{ *traffic }

func (d trafficDoor) RoundTrip(req *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(req.Header.Get("X-Vegeta-Seq"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("a request without its number: %w", err)
	}
	r := d.mix.claim(req.Header.Get(trafficClaim))
	if r == nil {
		return nil, errors.New("a request that nobody drew")
	}
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			r.version = h.Get(versionHeader)
			return nil
		},
	}))
	r.cancel = cancel
	req = req.Clone(ctx)
	req.Header.Del("X-Vegeta-Seq")
	req.Header.Del(trafficClaim)
	// A body that cannot be had again keeps net/http from sending a request again
	// when its connection is lost.
	req.GetBody = nil
	if req.Body == nil {
		req.Body = trafficNoBody{}
	}
	r.at, r.weight = d.options.Clock.Now(), d.options.Clock.Rate()
	req.Header.Set(weightHeader, strconv.FormatFloat(r.weight, 'g', -1, 64))
	d.sent(seq, r)
	answer, err := d.transport.RoundTrip(req)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = trafficBody{answer.Body, cancel}
	return answer, nil
}

// trafficBody is the body of an answer whose request is over when it is closed.
type trafficBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b trafficBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// trafficNoBody is empty, but not http.NoBody.
type trafficNoBody struct{}

func (trafficNoBody) Read([]byte) (int, error) { return 0, io.EOF }
func (trafficNoBody) Close() error             { return nil }
