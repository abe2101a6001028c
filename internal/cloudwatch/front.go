package cloudwatch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// An apiError is an error of the AWS API. Its code is the name of the error's
// shape, which the SDKs make a type of.
type apiError struct {
	code    string
	query   string // the code of the older query API, where it differs
	status  int    // of HTTP; 0: 400
	message string
}

func (e *apiError) Error() string { return e.message }

// invalid says that an argument of the Logs API is wrong.
func invalid(format string, args ...any) error {
	return &apiError{code: "InvalidParameterException", message: fmt.Sprintf(format, args...)}
}

// Errors of the CloudWatch API.
func invalidValue(format string, args ...any) error {
	return &apiError{code: "InvalidParameterValueException", query: "InvalidParameterValue", message: fmt.Sprintf(format, args...)}
}

func invalidCombination(format string, args ...any) error {
	return &apiError{code: "InvalidParameterCombinationException", query: "InvalidParameterCombination", message: fmt.Sprintf(format, args...)}
}

func missing(name string) error {
	return &apiError{code: "MissingRequiredParameterException", query: "MissingParameter",
		message: fmt.Sprintf("the parameter %s is required", name)}
}

func validation(format string, args ...any) error {
	return &apiError{code: "ValidationError", message: fmt.Sprintf(format, args...)}
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

// Names in the requests of the SDKs.
const (
	metricsPath = "/service/GraniteServiceVersion20100801/operation/"
	logsTarget  = "Logs_20140328."
)

// Limits of a request's body in bytes, also when it is unpacked. AWS allows 1 MB
// of metrics, and 1 MB of log messages, which JSON makes longer.
const (
	maxMetricsBody = 1 << 20
	maxLogsBody    = 8 << 20
)

// Handler is the HTTP front that the AWS SDKs talk to: CloudWatch in Smithy RPC
// v2 CBOR and CloudWatch Logs in JSON 1.1, on the same address. Signatures are not
// checked. An operation that it does not know is answered with an
// UnknownOperationException that names it.
func (s *Store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, metricsPath); ok {
			s.serve(w, r, wireCBOR{}, name, metricsOperation(name), maxMetricsBody)
			return
		}
		if name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), logsTarget); ok {
			s.serve(w, r, wireJSON{}, name, logsOperation(name), maxLogsBody)
			return
		}
		respond(w, wireJSON{}, nil, &apiError{code: "UnknownOperationException", status: http.StatusNotFound,
			message: fmt.Sprintf("%s %s is no call that this CloudWatch understands: it takes CloudWatch in Smithy RPC v2 CBOR and CloudWatch Logs in JSON 1.1, "+
				"as aws-sdk-go-v2 sends them", short(r.Method), short(r.URL.Path))})
	})
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request, wire wire, name string, run operation, limit int64) {
	if run == nil || r.Method != http.MethodPost {
		respond(w, wire, nil, &apiError{code: "UnknownOperationException", status: http.StatusNotFound,
			message: fmt.Sprintf("the operation %s %q is not known to this CloudWatch", short(r.Method), short(name))})
		return
	}
	out, err := run(s, func(into any) error {
		body, err := read(w, r, limit)
		if err != nil {
			return err
		}
		return wire.decode(body, into)
	})
	respond(w, wire, out, err)
}

// read reads a body, and unpacks it.
func read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	tooLarge := &apiError{code: "RequestEntityTooLarge", status: http.StatusRequestEntityTooLarge,
		message: fmt.Sprintf("the request is larger than %d bytes", limit)}
	body := io.Reader(http.MaxBytesReader(w, r.Body, limit))
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity", "aws-chunked":
	case "gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, &apiError{code: "SerializationException", message: "the request is not gzip: " + err.Error()}
		}
		body = unpacked
	default:
		return nil, &apiError{code: "SerializationException", message: fmt.Sprintf("the content encoding %q is not known: use gzip or none", short(encoding))}
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(body, limit+1))
	var beyond *http.MaxBytesError
	switch {
	case errors.As(err, &beyond) || err == nil && n > limit:
		return nil, tooLarge
	case err != nil:
		return nil, &apiError{code: "SerializationException", message: "the request cannot be read: " + err.Error()}
	}
	return b.Bytes(), nil
}

// A wire is how calls are written.
type wire interface {
	decode(body []byte, into any) error
	encode(out any) ([]byte, error)
	encodeError(e *apiError) []byte
	header() http.Header
}

func respond(w http.ResponseWriter, wire wire, out any, err error) {
	var body []byte
	if err == nil {
		body, err = wire.encode(out)
	}
	for name, values := range wire.header() {
		w.Header()[name] = values
	}
	status := http.StatusOK
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{code: "InternalServiceFault", query: "InternalServiceError", status: http.StatusInternalServerError, message: err.Error()}
		}
		query, fault := e.query, "Sender"
		if query == "" {
			query = e.code
		}
		if status = e.status; status == 0 {
			status = http.StatusBadRequest
		}
		if status >= http.StatusInternalServerError {
			fault = "Receiver"
		}
		w.Header().Set("X-Amzn-Query-Error", query+";"+fault)
		body = wire.encodeError(e)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away needs no answer
}

// wireCBOR is Smithy RPC v2 CBOR.
type wireCBOR struct{}

func (wireCBOR) header() http.Header {
	return http.Header{"Content-Type": {"application/cbor"}, "Smithy-Protocol": {"rpc-v2-cbor"}}
}

func (wireCBOR) decode(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	v, err := cbor.Decode(body)
	if err == nil {
		err = fromCBOR(v, into)
	}
	if err != nil {
		return &apiError{code: "SerializationException", message: "the request is wrong: " + err.Error()}
	}
	return nil
}

func (wireCBOR) encode(out any) ([]byte, error) { return cbor.Encode(toCBOR(out)), nil }

func (wireCBOR) encodeError(e *apiError) []byte {
	return cbor.Encode(cbor.Map{"__type": cbor.String(e.code), "message": cbor.String(e.message)})
}

// wireJSON is AWS JSON 1.1.
type wireJSON struct{}

func (wireJSON) header() http.Header {
	return http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
}

func (wireJSON) decode(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &apiError{code: "SerializationException", message: "the request is wrong: " + err.Error()}
	}
	return nil
}

func (wireJSON) encode(out any) ([]byte, error) { return json.Marshal(toJSON(out)) }

func (wireJSON) encodeError(e *apiError) []byte {
	body, err := json.Marshal(map[string]string{"__type": e.code, "message": e.message})
	if err != nil {
		panic(fmt.Sprintf("cloudwatch: two strings cannot be written as JSON: %v", err))
	}
	return body
}
