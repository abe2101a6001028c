// Package conformance holds a CloudWatch, whichever, against what AWS documents:
// the embedded one, LocalStack, moto, or AWS itself.
//
// A Case is one thing that AWS documents, with the page that says so, and a function
// that tries it through the SDK's clients (cases_*.go, one file by subject). Run tries
// them all and gathers a Report. What needs minutes of the other side's clock is tried
// where that clock can be moved (the embedded CloudWatch's, by /_rehearsal/advance) or
// where there is patience to wait for it; else it is undecided, and never called
// conforming. Whatever a case makes bears a prefix of this run and is deleted at its
// end.
package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go"
)

// A Case is one thing that AWS documents.
type Case struct {
	Name       string // "put-value-nan"
	Documented string // what AWS documents, a sentence without its end
	Source     string // the page that says so
	// Takes is how long it takes on a clock that cannot be moved; 0: no time.
	Takes time.Duration
	// run tries it and says what was observed, in a few words. An error that is no
	// deviation is what came in the way; see verdictOf.
	run func(ctx context.Context, b *bench) (observed string, err error)
}

// A Verdict is what became of a case.
type Verdict uint8

// The verdicts.
const (
	Conforms  Verdict = iota // it behaves as AWS documents
	Deviates                 // it does not
	Undecided                // it could not be found out
)

// String names the verdict in one word.
func (v Verdict) String() string {
	switch v {
	case Conforms:
		return "conforms"
	case Deviates:
		return "deviates"
	case Undecided:
		return "undecided"
	}
	panic(fmt.Sprintf("conformance: unknown Verdict %d", uint8(v)))
}

// MarshalText is for JSON.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// A Result is a case that was tried.
type Result struct {
	Name       string  `json:"name"`
	Verdict    Verdict `json:"verdict"`
	Documented string  `json:"documented"`
	Observed   string  `json:"observed"` // or, of what is undecided, why
	Source     string  `json:"source"`
}

// A Report is what became of all cases, in their order.
type Report struct {
	Endpoint string   `json:"endpoint"`
	Clock    string   `json:"clock"`    // whose clock was gone by
	Protocol string   `json:"protocol"` // that the cases were tried in
	Results  []Result `json:"results"`
	Left     []string `json:"left,omitempty"` // what could not be deleted, and why
}

// Count is how many cases have the verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for _, result := range r.Results {
		if result.Verdict == v {
			n++
		}
	}
	return n
}

// Options say what is tried.
type Options struct {
	Endpoint    Endpoint
	Only        []string      // patterns of names, such as put-*; empty: all cases
	Patience    time.Duration // how long a case may wait for a clock that cannot be moved
	Progress    func(Result)  // called as each case ends, not at the same time; may be nil
	Concurrency int           // cases that wait at the same time; 0: 64
}

// Cases are all of them, in the order they are told.
func Cases() []Case {
	return slices.Concat(protocolCases(), putCases(), getCases(), alarmCases(), vectorCases(), evaluationCases(), historyCases(), resourceCases(), patternCases(), logCases())
}

// Select picks the cases whose names match one of the patterns, or all. The error
// says which pattern matches none.
func Select(patterns []string) ([]Case, error) {
	all := Cases()
	if len(patterns) == 0 {
		return all, nil
	}
	picked := map[string]bool{}
	for _, p := range patterns {
		found := false
		for _, c := range all {
			ok, err := path.Match(p, c.Name)
			if err != nil {
				return nil, fmt.Errorf("--only %q: %w: want a name or a pattern such as put-*", p, err)
			}
			if ok {
				picked[c.Name], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("--only %q: no case has that name: --list prints them", p)
		}
	}
	return slices.DeleteFunc(all, func(c Case) bool { return !picked[c.Name] }), nil
}

// Run tries the cases. The error is of what keeps all of them from being tried.
func Run(ctx context.Context, o Options) (*Report, error) {
	cases, err := Select(o.Only)
	if err != nil {
		return nil, err
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	report := &Report{Endpoint: o.Endpoint.URL, Clock: b.clock.String(), Protocol: b.protocol, Results: make([]Result, len(cases))}
	var told sync.Mutex
	try := func(i int) {
		result := b.try(ctx, i, cases[i], o.Patience)
		told.Lock()
		defer told.Unlock()
		report.Results[i] = result
		if o.Progress != nil {
			o.Progress(result)
		}
	}
	// Where time is moved by hand every case moves it for all, so they take turns;
	// where it goes by itself they may as well wait together.
	var waiting []int
	for i, c := range cases {
		if c.Takes > 0 && !b.clock.moves() {
			waiting = append(waiting, i)
			continue
		}
		try(i)
	}
	var all sync.WaitGroup
	room := make(chan struct{}, max(o.Concurrency, 0))
	if cap(room) == 0 {
		room = make(chan struct{}, 64)
	}
	for _, i := range waiting {
		room <- struct{}{}
		all.Go(func() { try(i); <-room })
	}
	all.Wait()
	report.Left = b.clean(context.WithoutCancel(ctx))
	return report, ctx.Err()
}

// try tries one case, in a namespace of its own.
func (b *bench) try(ctx context.Context, i int, c Case, patience time.Duration) Result {
	r := Result{Name: c.Name, Documented: c.Documented, Source: c.Source, Verdict: Undecided}
	if ctx.Err() != nil {
		r.Observed = "it was not tried: " + ctx.Err().Error()
		return r
	}
	if c.Takes > 0 && !b.clock.moves() && patience < c.Takes {
		r.Observed = fmt.Sprintf("it takes %s of a clock that cannot be moved: --patience %s waits that long", short(c.Takes), short(c.Takes))
		return r
	}
	own := *b
	own.namespace = fmt.Sprintf("%s/%d", b.prefix, i)
	ctx, cancel := context.WithTimeout(ctx, c.Takes+time.Minute)
	defer cancel()
	observed, err := c.run(ctx, &own)
	r.Verdict, r.Observed = verdictOf(observed, err)
	return r
}

// short writes a duration without zeros: 3m.
func short(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// A deviation is what was observed in place of what AWS documents.
type deviation struct{ text string }

func (d *deviation) Error() string { return d.text }

func deviates(format string, args ...any) error { return &deviation{fmt.Sprintf(format, args...)} }

// An undecidable is why a case could not be decided.
type undecidable struct{ text string }

func (u *undecidable) Error() string { return u.text }

func undecided(format string, args ...any) error { return &undecidable{fmt.Sprintf(format, args...)} }

// verdictOf judges what a case returned: an answer of the other side that is not the
// documented one is a deviation; that there was no answer decides nothing.
func verdictOf(observed string, err error) (Verdict, string) {
	var d *deviation
	var u *undecidable
	var answer interface{ HTTPStatusCode() int }
	api := apiError(err)
	switch {
	case err == nil:
		return Conforms, observed
	case errors.As(err, &d):
		return Deviates, d.text
	case errors.As(err, &u):
		return Undecided, u.text
	case api != nil:
		return Deviates, operation(err) + refusal(api)
	case errors.As(err, &answer) && answer.HTTPStatusCode() >= 400:
		return Deviates, fmt.Sprintf("%sits answer has status %d and is no answer of AWS's", operation(err), answer.HTTPStatusCode())
	}
	return Undecided, operation(err) + "it does not answer: " + err.Error()
}

// apiError is an error with a code of AWS's; nil: there is none. An answer that has no
// code at all gets the SDK's "UnknownError".
func apiError(err error) smithy.APIError {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() == "UnknownError" {
		return nil
	}
	return api
}

func operation(err error) string {
	var op *smithy.OperationError
	if errors.As(err, &op) {
		return op.Operation() + ": "
	}
	return ""
}

func refusal(err smithy.APIError) string {
	if err.ErrorMessage() == "" {
		return err.ErrorCode()
	}
	return err.ErrorCode() + ": " + strings.Join(strings.Fields(err.ErrorMessage()), " ")
}

// refused says whether err is a refusal with one of these codes; what is observed is
// the code.
func refused(err error, codes ...string) (string, error) {
	api := apiError(err)
	switch {
	case err == nil:
		return "", deviates("it is taken")
	case api == nil:
		return "", err
	}
	// The same error has two names: that of its shape, and that of the Query protocol.
	bare := func(code string) string {
		for _, suffix := range []string{"Exception", "Fault", "Error"} {
			code = strings.TrimSuffix(code, suffix)
		}
		return code
	}
	for _, code := range codes {
		if bare(code) == bare(api.ErrorCode()) {
			return api.ErrorCode(), nil
		}
	}
	return "", deviates("it is refused with %s, not with %s", refusal(api), strings.Join(codes, " or "))
}

// A bench is what a case works at. All of a run share it but for namespace.
type bench struct {
	cw       *cloudwatch.Client
	protocol string // that cw speaks
	dial     func(protocol string) *cloudwatch.Client
	logs     *cloudwatchlogs.Client
	clock    backendClock
	prefix   string
	local    bool
	made     *made

	namespace string // of the case's metrics
}

func newBench(ctx context.Context, o Options) (*bench, error) {
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	b := &bench{prefix: "rehearsal-conformance-" + hex.EncodeToString(id[:]), local: o.Endpoint.local, made: &made{}}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		Proxy: nil, MaxIdleConnsPerHost: 16, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}}
	b.dial, b.logs = o.Endpoint.clients(client)
	if !o.Endpoint.local { // AWS is reached as this machine reaches it
		client.Transport.(*http.Transport).Proxy = http.ProxyFromEnvironment
	}
	b.clock = findClock(ctx, client, o.Endpoint.URL)
	if err := b.choose(ctx); err != nil {
		return nil, fmt.Errorf("%s: no CloudWatch answers there: %w", o.Endpoint.URL, err)
	}
	return b, nil
}

// choose takes the first of CloudWatch's protocols in which a metric can be put and
// alarms be described.
func (b *bench) choose(ctx context.Context) error {
	var first error
	for _, p := range protocols {
		b.cw, b.protocol = b.dial(p.name), p.name
		err := b.speaks(ctx)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	// None does: all cases are tried in the one that AWS's SDKs speak first, unless
	// nobody is there at all.
	b.cw, b.protocol = b.dial(protocols[0].name), protocols[0].name
	if v, _ := verdictOf("", first); v == Undecided {
		return first
	}
	return nil
}
