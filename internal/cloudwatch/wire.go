package cloudwatch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/prelude"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A wire is how calls are written: one of AWS's protocols. What goes over it are
// the structs of the SDK, which describe themselves by the schemas of the service.
type wire interface {
	// decode reads a body into the SDK's input that into points to. Members that
	// it does not have are skipped, as in AWS.
	decode(body []byte, into any) error
	encode(name string, out smithy.Serializable, request string) ([]byte, error)
	encodeError(e *answeredError, request string) []byte
	header(h http.Header)
	// malformed is the code of a request that cannot be read, and unknown that of
	// a call that is not there, with its status.
	malformed() string
	unknown() (code string, status int)
}

// A wireCodec is one of the protocols whose codec comes with the SDK. The codecs
// are for clients: what a client reads as an answer is what a server reads as a
// call, and the other way round.
type wireCodec struct {
	protocol smithyhttp.ClientProtocol
	// wellFormed says what is wrong with a body before the codec sees it, which for
	// a hostile one would recurse without end, or make room for more than there is.
	wellFormed  func(body []byte) error
	contentType string
	smithy      string // value of the header Smithy-Protocol
	namespaced  bool   // errors are named with their namespace
}

// message stands where the codecs want to know that there is an input or an output.
var message = smithy.NewSchema(smithy.ShapeID{Namespace: "rehearsal", Name: "Message"}, smithy.ShapeTypeStructure, 0)

var exchange = smithy.NewOperationSchema(message, message, message)

func (w *wireCodec) header(h http.Header) {
	h["Content-Type"] = []string{w.contentType}
	if w.smithy != "" {
		h["Smithy-Protocol"] = []string{w.smithy}
	}
}

func (w *wireCodec) malformed() string { return "SerializationException" }

func (w *wireCodec) unknown() (string, int) { return "UnknownOperationException", http.StatusNotFound }

func (w *wireCodec) decode(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := w.wellFormed(body); err != nil {
		return err
	}
	answer := &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}}
	return w.protocol.DeserializeResponse(context.Background(), exchange, nil, answer, inputReader{into})
}

func (w *wireCodec) encode(_ string, out smithy.Serializable, _ string) ([]byte, error) {
	call := &smithyhttp.Request{Request: &http.Request{URL: &url.URL{}, Header: http.Header{}}}
	if err := w.protocol.SerializeRequest(context.Background(), exchange, out, call); err != nil {
		return nil, err
	}
	stream := call.GetStream()
	if stream == nil {
		return nil, nil
	}
	return io.ReadAll(stream)
}

func (w *wireCodec) encodeError(e *answeredError, _ string) []byte {
	body, err := w.encode("", writtenError{e, w.namespaced}, "")
	if err != nil {
		panic(fmt.Sprintf("cloudwatch: an error cannot be written: %v", err))
	}
	return body
}

// Members that every error has.
var (
	errorShape   = smithy.NewSchema(smithy.ShapeID{Namespace: "rehearsal", Name: "Error"}, smithy.ShapeTypeStructure, 3)
	errorType    = errorShape.AddMember("__type", prelude.String)
	errorMessage = errorShape.AddMember("message", prelude.String)
)

type writtenError struct {
	*answeredError
	namespaced bool
}

func (e writtenError) Serialize(s smithy.ShapeSerializer) {
	s.WriteStruct(errorShape)
	name := e.shape
	if e.schema != nil && e.namespaced {
		name = e.schema.ID().String()
	}
	s.WriteString(errorType, name)
	s.WriteString(errorMessage, e.message)
	if e.members != nil {
		e.members(s)
	}
	s.CloseStruct()
}

// schemas are those of the inputs, by the type of their struct.
var schemas sync.Map // reflect.Type -> *smithy.Schema

// schemaOf is the schema of an input of the SDK, which tells it when it is written.
func schemaOf(in any) *smithy.Schema {
	t := reflect.TypeOf(in)
	if known, ok := schemas.Load(t); ok {
		return known.(*smithy.Schema)
	}
	schema := message
	if in, ok := reflect.New(t.Elem()).Interface().(smithy.Serializable); ok {
		x := &xmlWriter{}
		in.Serialize(x)
		if x.root != nil {
			schema = x.root
		}
	}
	schemas.Store(t, schema)
	return schema
}

// An inputReader is a struct of the SDK about to be read. The SDK's inputs only know how
// to be written, so that their own members are read by reflection; what is in them
// reads itself.
type inputReader struct{ into any }

func (in inputReader) Deserialize(d smithy.ShapeDeserializer) error {
	v := reflect.ValueOf(in.into).Elem()
	return smithy.ReadStruct(d, schemaOf(in.into), func(member *smithy.Schema) error {
		name := member.MemberName()
		field := v.FieldByName(fieldName(name))
		if !field.IsValid() {
			return fmt.Errorf("%s: is not known to this CloudWatch", name)
		}
		if err := readMember(d, member, field); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// fieldName is the name that the SDK gives the field of a member.
func fieldName(member string) string {
	if c := member[0]; c >= 'a' && c <= 'z' {
		return string(c-'a'+'A') + member[1:]
	}
	return member
}

func readMember(d smithy.ShapeDeserializer, schema *smithy.Schema, into reflect.Value) error {
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch at := into.Addr().Interface().(type) {
	case smithy.Deserializable:
		return at.Deserialize(d)
	case *string:
		return d.ReadString(schema, at)
	case *bool:
		return d.ReadBool(schema, at)
	case *int32:
		return d.ReadInt32(schema, at)
	case *int64:
		return d.ReadInt64(schema, at)
	case *float64:
		return d.ReadFloat64(schema, at)
	case *[]byte:
		return d.ReadBlob(schema, at)
	case *time.Time:
		if err := d.ReadTime(schema, at); err != nil {
			return err
		}
		if y := at.UTC().Year(); y < 1 || y > 9999 {
			return fmt.Errorf("is no time from the year 1 to 9999")
		}
		return nil
	}
	switch into.Kind() {
	case reflect.String: // an enumeration
		var text string
		err := d.ReadString(schema, &text)
		into.SetString(text)
		return err
	case reflect.Slice:
		into.Set(reflect.MakeSlice(into.Type(), 0, 8))
		return smithy.ReadList(d, schema, func() error {
			item := reflect.New(into.Type().Elem()).Elem()
			if err := readMember(d, schema.ListMember(), item); err != nil {
				return fmt.Errorf("[%d]: %w", into.Len(), err)
			}
			into.Set(reflect.Append(into, item))
			return nil
		})
	case reflect.Map:
		into.Set(reflect.MakeMap(into.Type()))
		return smithy.ReadMap(d, schema, func(key string) error {
			value := reflect.New(into.Type().Elem()).Elem()
			if err := readMember(d, schema.MapValue(), value); err != nil {
				return fmt.Errorf("[%s]: %w", short(key), err)
			}
			into.SetMapIndex(reflect.ValueOf(key).Convert(into.Type().Key()), value)
			return nil
		})
	default: // a union, of something that is not known here
		return fmt.Errorf("is not known to this CloudWatch")
	}
}

// What a body may hold at most, so that reading it takes bounded memory and time.
// Nothing that AWS takes comes near.
const (
	maxDepth   = 32      // of lists and structures in each other
	maxMembers = 1000    // of one structure
	maxItems   = 100_000 // of one list
)

// A counter counts what is open while a body is looked through.
type counter struct {
	open  [maxDepth]container
	depth int
}

type container struct {
	kind byte
	seen int
	left int // items that follow; -1: until it is closed
}

var (
	errNested  = fmt.Errorf("exceeded max nesting depth of %d", maxDepth)
	errMembers = fmt.Errorf("a structure has more than %d members", maxMembers)
	errItems   = fmt.Errorf("a list has more than %d items", maxItems)
	errUTF8    = fmt.Errorf("a text is not UTF-8")
)

func (c *counter) push(kind byte, left int) error {
	if c.depth == maxDepth {
		return errNested
	}
	c.open[c.depth] = container{kind: kind, left: left}
	c.depth++
	return nil
}

// text8 says what is wrong with a text.
func text8(b []byte) error {
	if !utf8.Valid(b) {
		return errUTF8
	}
	return nil
}
