package cloudwatch

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	metricsapi "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	logsapi "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/schemas"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"
	snsschemas "github.com/aws/aws-sdk-go-v2/service/sns/schemas"
	stsapi "github.com/aws/aws-sdk-go-v2/service/sts"
	sts "github.com/aws/aws-sdk-go-v2/service/sts/schemas"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/traits"
)

// An apiError is an error of the AWS API. Its code is the name of the error's
// shape, which the SDKs make a type of.
//
// The service's model tells the HTTP status and the code in Query of the errors
// that it has; those given here are for others.
type apiError struct {
	code    string
	query   string // the code in Query, where it differs
	status  int    // of HTTP; 0: 400
	message string
	members func(smithy.ShapeSerializer) // that the error has besides; may be nil
}

func (e *apiError) Error() string { return e.message }

// invalid says that an argument of the Logs API is wrong.
func invalid(format string, args ...any) error {
	return &apiError{code: "InvalidParameterException", message: fmt.Sprintf(format, args...)}
}

// Errors of the CloudWatch API.
func invalidValue(format string, args ...any) error {
	return &apiError{code: "InvalidParameterValueException", message: fmt.Sprintf(format, args...)}
}

func invalidCombination(format string, args ...any) error {
	return &apiError{code: "InvalidParameterCombinationException", message: fmt.Sprintf(format, args...)}
}

func missing(name string) error {
	return &apiError{code: "MissingRequiredParameterException",
		message: fmt.Sprintf("the parameter %s is required", name)}
}

func validation(format string, args ...any) error {
	return &apiError{code: "ValidationException", message: fmt.Sprintf(format, args...)}
}

// An operation carries out one call: it decodes its input and returns its output.
type operation func(s *Store, decode func(into any) error) (any, error)

// call makes an operation of a function over the SDK's types.
func call[I, O any](f func(*Store, *I) (*O, error)) operation {
	return func(s *Store, decode func(any) error) (any, error) {
		in := new(I)
		if err := decode(in); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return f(s, in)
	}
}

// A service is one of AWS's: how its calls are named in each protocol, and what
// carries them out.
type service struct {
	name   string // in messages
	schema *smithy.ServiceSchema
	errors *smithy.TypeRegistry
	cbor   bool       // speaks Smithy RPC v2 CBOR
	json   *wireCodec // the AWS JSON that it speaks; nil: none
	query  bool       // speaks Query
	limit  int64      // bytes of a body, also when it is unpacked
	// operation is the operation with that name; nil: not known.
	operation func(name string) operation
}

// AWS allows 1 MB of metrics, and 1 MB of log messages, which JSON makes longer.
const (
	maxMetricsBody = 1 << 20
	maxLogsBody    = 8 << 20
	maxSNSBody     = 1 << 20
	maxSmallBody   = 256 << 10
)

// services are all of them. A call is for the one that its protocol names: in the
// path, in the header X-Amz-Target, or by the Version of the Query API.
func services() []service {
	return []service{
		{name: "CloudWatch", schema: metrics.GraniteServiceVersion20100801, errors: metricsapi.TypeRegistry, cbor: true, json: wireJSON10, query: true,
			limit: maxMetricsBody, operation: metricsOperation},
		{name: "CloudWatch Logs", schema: logs.Logs_20140328, errors: logsapi.TypeRegistry, json: wireJSON11,
			limit: maxLogsBody, operation: logsOperation},
		{name: "SNS", schema: snsschemas.AmazonSimpleNotificationService, errors: snsapi.TypeRegistry, query: true,
			limit: maxSNSBody, operation: snsOperation},
		{name: "STS", schema: sts.AWSSecurityTokenServiceV20110615, errors: stsapi.TypeRegistry, query: true,
			limit: maxSmallBody, operation: stsOperation},
	}
}

// A front is the HTTP front of a store.
type front struct {
	store    *Store
	services []service
	requests atomic.Uint64
}

// Handler is the HTTP front that the AWS SDKs talk to, for all services on one
// address: CloudWatch in Smithy RPC v2 CBOR, AWS JSON 1.0 and Query, CloudWatch
// Logs in AWS JSON 1.1, SNS and STS in Query. Bodies may be packed by gzip.
//
// What differs from AWS on purpose: signatures are not checked, and every region
// and account is the same one; identifiers of requests are numbers in order, so
// that a run can be repeated; an operation that AWS has and this CloudWatch does
// not is answered with an error that names it.
func (s *Store) Handler() http.Handler {
	return &front{store: s, services: services()}
}

// A called is one call: what for, and how it is to be answered.
type called struct {
	service *service
	wire    wire
	name    string
	request string // identifies the call
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := called{request: fmt.Sprintf("00000000-0000-4000-8000-%012x", f.requests.Add(1))}
	out, err := f.answer(&c, w, r)
	if c.wire == nil {
		c.service, c.wire = &f.services[0], wireJSON10
	}
	c.respond(w, out, err)
}

// answer finds out what is called, and carries it out.
func (f *front) answer(c *called, w http.ResponseWriter, r *http.Request) (any, error) {
	if target, name, ok := cut(r.URL.Path, "/service/", "/operation/"); ok {
		c.service, c.wire, c.name = f.target(target), wireCBOR, name
		if c.service != nil && !c.service.cbor {
			c.service = nil
		}
	} else if target, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		if c.service, c.name = f.target(target), name; c.service == nil || c.service.json == nil {
			c.service = nil
		} else {
			c.wire = c.service.json
		}
	} else {
		return f.answerQuery(c, w, r)
	}
	if c.service == nil {
		return nil, notOurs(r)
	}
	run := c.service.operation(c.name)
	if run == nil || r.Method != http.MethodPost {
		return nil, c.unknown()
	}
	return run(f.store, func(into any) error {
		body := bodies.Get().(*bytes.Buffer)
		defer recycle(body)
		if err := c.read(body, w, r); err != nil {
			return err
		}
		return c.decode(body.Bytes(), into)
	})
}

// answerQuery is answer for what may be Query, which is known by what is in it.
func (f *front) answerQuery(c *called, w http.ResponseWriter, r *http.Request) (any, error) {
	form := r.URL.RawQuery
	body := bodies.Get().(*bytes.Buffer)
	defer recycle(body)
	c.service = &f.services[0] // the largest body, until more is known
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); r.Method == http.MethodPost && strings.TrimSpace(kind) == "application/x-www-form-urlencoded" {
		c.wire = wireQuery{xmlNamespace(c.service)}
		if err := c.read(body, w, r); err != nil {
			return nil, err
		}
		if form != "" && body.Len() > 0 {
			form += "&"
		}
		form += body.String()
	}
	name, version := action(form)
	if name == "" {
		c.service, c.wire = nil, nil
		return nil, notOurs(r)
	}
	c.name = name
	c.service = nil
	for i := range f.services {
		if s := &f.services[i]; s.query && (s.schema.Version == version || version == "" && s.operation(name) != nil) {
			c.service = s
			break
		}
	}
	if c.service == nil {
		c.service = &f.services[0]
		c.wire = wireQuery{xmlNamespace(c.service)}
		return nil, &apiError{code: "InvalidAction", message: fmt.Sprintf("could not find operation %s for version %s", short(name), short(version))}
	}
	c.wire = wireQuery{xmlNamespace(c.service)}
	f.store.sns.host.Store(&r.Host) // subscribers are told to come back here
	run := c.service.operation(name)
	if run == nil || r.Method != http.MethodPost && r.Method != http.MethodGet {
		return nil, c.unknown()
	}
	if int64(len(form)) > c.service.limit {
		return nil, tooLarge(c.service.limit)
	}
	return run(f.store, func(into any) error { return c.decode([]byte(form), into) })
}

// cut is what stands between two marks, and what stands behind them.
func cut(s, before, between string) (first, second string, ok bool) {
	s, ok = strings.CutPrefix(s, before)
	if !ok {
		return "", "", false
	}
	return strings.Cut(s, between)
}

// target is the service with that name in the newer protocols.
func (f *front) target(name string) *service {
	for i := range f.services {
		if f.services[i].schema.ID().Name == name {
			return &f.services[i]
		}
	}
	return nil
}

func xmlNamespace(s *service) string {
	t, _ := smithy.SchemaTrait[*traits.XMLNamespace](s.schema.Schema)
	return t.URI
}

// notOurs says that a request is no call of any service.
func notOurs(r *http.Request) error {
	return &apiError{code: "UnknownOperationException", status: http.StatusNotFound,
		message: fmt.Sprintf("%s %s is no call that this CloudWatch understands: it takes CloudWatch in Smithy RPC v2 CBOR, AWS JSON 1.0 and Query, "+
			"CloudWatch Logs in AWS JSON 1.1, SNS and STS in Query", short(r.Method), short(r.URL.Path))}
}

// unknown says that the service has no such operation here.
func (c *called) unknown() error {
	code, status := c.wire.unknown()
	return &apiError{code: code, status: status,
		message: fmt.Sprintf("the operation %q of %s is not part of this CloudWatch", short(c.name), c.service.name)}
}

func (c *called) decode(body []byte, into any) error {
	if err := c.wire.decode(body, into); err != nil {
		var decoding *smithy.DeserializationError
		if errors.As(err, &decoding) {
			err = decoding.Err
		}
		return &apiError{code: c.wire.malformed(), message: "the request is wrong: " + short(err.Error())}
	}
	return nil
}

// bodies are buffers for bodies, which are copied when they are read.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// recycle keeps a buffer for another body, unless it is unusually large.
func recycle(b *bytes.Buffer) {
	if b.Cap() <= 64<<10 {
		b.Reset()
		bodies.Put(b)
	}
}

// unpackers are readers of gzip, each of which has more memory than most bodies.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

func tooLarge(limit int64) error {
	return &apiError{code: "RequestEntityTooLarge", status: http.StatusRequestEntityTooLarge,
		message: fmt.Sprintf("the request is larger than %d bytes", limit)}
}

// read reads a body, and unpacks it.
func (c *called) read(into *bytes.Buffer, w http.ResponseWriter, r *http.Request) error {
	wrong := func(format string, args ...any) error {
		return &apiError{code: c.wire.malformed(), message: fmt.Sprintf(format, args...)}
	}
	limit := c.service.limit
	body := io.Reader(http.MaxBytesReader(w, r.Body, limit))
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity", "aws-chunked":
	case "gzip":
		unpacked := unpackers.Get().(*gzip.Reader)
		defer unpackers.Put(unpacked)
		if err := unpacked.Reset(body); err != nil {
			return wrong("the request is not gzip: %v", err)
		}
		body = unpacked
	default:
		return wrong("the content encoding %q is not known: use gzip or none", short(encoding))
	}
	n, err := into.ReadFrom(io.LimitReader(body, limit+1))
	var beyond *http.MaxBytesError
	switch {
	case errors.As(err, &beyond) || err == nil && n > limit:
		return tooLarge(limit)
	case err != nil:
		return wrong("the request cannot be read: %v", err)
	}
	return nil
}

// An answeredError is an error as it goes out, with what the service's model says
// of it.
type answeredError struct {
	shape   string         // name in the newer protocols
	schema  *smithy.Schema // nil when the model has no such error
	query   string         // code in Query
	fault   string         // Sender or Receiver
	message string
	members func(smithy.ShapeSerializer) // that it has besides; may be nil
}

func (c *called) respond(w http.ResponseWriter, result any, err error) {
	var body []byte
	if err == nil {
		body, err = c.wire.encode(c.name, result.(smithy.Serializable), c.request)
	}
	h := w.Header()
	c.wire.header(h)
	h["X-Amzn-Requestid"] = []string{c.request}
	status := http.StatusOK
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{code: "InternalServiceFault", query: "InternalServiceError", status: http.StatusInternalServerError, message: err.Error()}
		}
		out := &answeredError{shape: e.code, query: cmp.Or(e.query, e.code), fault: "Sender", message: e.message, members: e.members}
		status = cmp.Or(e.status, http.StatusBadRequest)
		if known, ok := c.service.errors.LookupEntry(e.code); ok {
			out.schema = known.Schema
			if t, ok := smithy.SchemaTrait[*traits.HTTPError](known.Schema); ok {
				status = t.Code
			}
			if t, ok := smithy.SchemaTrait[*traits.AWSQueryError](known.Schema); ok {
				out.query = t.ErrorCode
				if _, ok := c.wire.(wireQuery); ok {
					status = t.StatusCode
				}
			}
		}
		if status >= http.StatusInternalServerError {
			out.fault = "Receiver"
		}
		if _, ok := smithy.SchemaTrait[*traits.AWSQueryCompatible](c.service.schema.Schema); ok {
			h["X-Amzn-Query-Error"] = []string{out.query + ";" + out.fault}
		}
		body = c.wire.encodeError(out, c.request)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away needs no answer
}
