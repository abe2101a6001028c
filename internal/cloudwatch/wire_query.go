package cloudwatch

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"
	smithytime "github.com/aws/smithy-go/time"
	"github.com/aws/smithy-go/traits"
)

// wireQuery is the Query protocol of AWS: a form comes in and XML goes out. The
// SDK has only the client's half of it.
type wireQuery struct {
	namespace string // of the XML
}

func (wireQuery) header(h http.Header) { h["Content-Type"] = []string{"text/xml"} }

func (wireQuery) malformed() string { return "MalformedInput" }

func (wireQuery) unknown() (string, int) { return "InvalidAction", http.StatusBadRequest }

func (w wireQuery) decode(body []byte, into any) error {
	root, err := parseForm(string(body))
	if err != nil {
		return err
	}
	return inputReader{into}.Deserialize(&formReader{next: root})
}

func (w wireQuery) encode(name string, out smithy.Serializable, request string) ([]byte, error) {
	x := &xmlWriter{result: name + "Result"}
	x.b.WriteString("<" + name + `Response xmlns="` + w.namespace + `">`)
	out.Serialize(x)
	x.b.WriteString("<ResponseMetadata>")
	x.element("RequestId", request)
	x.b.WriteString("</ResponseMetadata></" + name + "Response>")
	return x.b.Bytes(), nil
}

func (w wireQuery) encodeError(e *answeredError, request string) []byte {
	x := &xmlWriter{}
	x.b.WriteString(`<ErrorResponse xmlns="` + w.namespace + `"><Error>`)
	x.element("Type", e.fault)
	x.element("Code", e.query)
	x.element("Message", e.message)
	if e.members != nil {
		x.open = []xmlElement{{name: ""}}
		e.members(x)
	}
	x.b.WriteString("</Error>")
	x.element("RequestId", request)
	x.b.WriteString("</ErrorResponse>")
	return x.b.Bytes()
}

// action is the parameter Action of a form, and its Version.
func action(form string) (name, version string) {
	for form != "" {
		var pair string
		pair, form, _ = strings.Cut(form, "&")
		switch key, value, _ := strings.Cut(pair, "="); key {
		case "Action":
			name, _ = url.QueryUnescape(value)
		case "Version":
			version, _ = url.QueryUnescape(value)
		}
	}
	return name, version
}

// A formNode is what a form says of one member: a value, or members of its own.
type formNode struct {
	name  string
	value string
	given bool
	nodes []*formNode
	known map[string]*formNode
}

// maxFormNodes bounds the memory of a form that names more and more.
const maxFormNodes = 200_000

// parseForm makes a tree of the names of a form: "MetricData.member.1.Value". A
// parameter that comes twice is refused, since nobody could say which counts.
func parseForm(form string) (*formNode, error) {
	root := &formNode{}
	made := 0
	for form != "" {
		var pair string
		pair, form, _ = strings.Cut(form, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil {
			return nil, err
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, err
		}
		if err := text8([]byte(key + value)); err != nil {
			return nil, err
		}
		at, depth := root, 0
		for rest, more := key, true; more; depth++ {
			var name string
			name, rest, more = strings.Cut(rest, ".")
			if depth == maxDepth {
				return nil, errNested
			}
			node := at.known[name]
			if node == nil {
				if made++; made > maxFormNodes {
					return nil, errItems
				}
				node = &formNode{name: name}
				if at.known == nil {
					at.known = map[string]*formNode{}
				}
				at.known[name] = node
				at.nodes = append(at.nodes, node)
			}
			at = node
		}
		if at.given {
			return nil, fmt.Errorf("the parameter %s is given twice", short(key))
		}
		at.value, at.given = value, true
	}
	return root, nil
}

// A formReader reads a shape from a form.
type formReader struct {
	next  *formNode // what is read next
	stack []formLevel
}

type formLevel struct {
	schema *smithy.Schema
	nodes  []*formNode // that are still to be read
}

var _ smithy.ShapeDeserializer = (*formReader)(nil)

func (r *formReader) push(schema *smithy.Schema, nodes []*formNode) {
	r.stack = append(r.stack, formLevel{schema, nodes})
}

// step goes on to the next node of the innermost level, and leaves the level when
// there is none.
func (r *formReader) step() *formNode {
	top := &r.stack[len(r.stack)-1]
	if len(top.nodes) == 0 {
		r.stack = r.stack[:len(r.stack)-1]
		return nil
	}
	r.next, top.nodes = top.nodes[0], top.nodes[1:]
	return r.next
}

// wireName is the name of a member in forms and in XML.
func wireName(schema *smithy.Schema) string {
	if t, ok := smithy.SchemaTrait[*traits.XMLName](schema); ok {
		return t.Name
	}
	return schema.MemberName()
}

func flattened(schema *smithy.Schema) bool {
	_, ok := smithy.SchemaTrait[*traits.XMLFlattened](schema)
	return ok
}

func (r *formReader) ReadStruct(schema *smithy.Schema) error {
	if r.next.given && r.next.value != "" {
		return fmt.Errorf("want a structure, got %q", short(r.next.value))
	}
	r.push(schema, r.next.nodes)
	return nil
}

func (r *formReader) ReadStructMember() (*smithy.Schema, error) {
	schema := r.stack[len(r.stack)-1].schema
	for {
		node := r.step()
		if node == nil {
			return nil, nil
		}
		if member := schema.Member(node.name); member != nil && wireName(member) == node.name {
			return member, nil
		}
		for _, member := range schema.Members() {
			if wireName(member) == node.name {
				return member, nil
			}
		}
	}
}

// numbered is the nodes of a list or a map by their numbers, which may come in
// any order and leave gaps, as clients of AWS may.
func numbered(node *formNode) ([]*formNode, error) {
	type item struct {
		n    int
		node *formNode
	}
	items := make([]item, 0, len(node.nodes))
	for _, node := range node.nodes {
		n, err := strconv.Atoi(node.name)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("want the number of an item, got %q", short(node.name))
		}
		items = append(items, item{n, node})
	}
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(a.n, b.n) })
	nodes := make([]*formNode, len(items))
	for i, it := range items {
		if i > 0 && items[i-1].n == it.n {
			return nil, fmt.Errorf("the item %d is given twice", it.n)
		}
		nodes[i] = it.node
	}
	return nodes, nil
}

func (r *formReader) items(schema *smithy.Schema, wrapper string) error {
	list := r.next
	if !flattened(schema) && len(list.nodes) > 0 {
		inner := list.known[wrapper]
		if inner == nil || len(list.nodes) > 1 {
			return fmt.Errorf("want %s.N, got %q", wrapper, short(list.nodes[0].name))
		}
		list = inner
	}
	if list.given && list.value != "" {
		return fmt.Errorf("want a list, got %q", short(list.value))
	}
	nodes, err := numbered(list)
	if err != nil {
		return err
	}
	r.push(schema, nodes)
	return nil
}

func (r *formReader) ReadList(schema *smithy.Schema) error {
	wrapper := "member"
	if item := schema.ListMember(); item != nil {
		wrapper = wireName(item)
	}
	return r.items(schema, wrapper)
}

func (r *formReader) ReadListItem(*smithy.Schema) (bool, error) { return r.step() != nil, nil }

func (r *formReader) ReadMap(schema *smithy.Schema) error { return r.items(schema, "entry") }

func (r *formReader) ReadMapKey(*smithy.Schema) (string, bool, error) {
	schema := r.stack[len(r.stack)-1].schema
	entry := r.step()
	if entry == nil {
		return "", false, nil
	}
	key, value := entry.known[wireName(schema.MapKey())], entry.known[wireName(schema.MapValue())]
	if key == nil || value == nil {
		// ReadMap drops an error that comes with no key.
		return "", true, fmt.Errorf("the entry %s of a map needs a %s and a %s", short(entry.name), wireName(schema.MapKey()), wireName(schema.MapValue()))
	}
	r.next = value
	return key.value, true, nil
}

// scalar is the text of what is read next.
func (r *formReader) scalar() (string, error) {
	if len(r.next.nodes) > 0 {
		return "", fmt.Errorf("want a value, got the member %q", short(r.next.nodes[0].name))
	}
	return r.next.value, nil
}

func formInt[T int8 | int16 | int32 | int64](r *formReader, into *T, bits int) error {
	s, err := r.scalar()
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return fmt.Errorf("want a whole number of %d bits, got %q", bits, short(s))
	}
	*into = T(n)
	return nil
}

func (r *formReader) ReadInt8(_ *smithy.Schema, v *int8) error   { return formInt(r, v, 8) }
func (r *formReader) ReadInt16(_ *smithy.Schema, v *int16) error { return formInt(r, v, 16) }
func (r *formReader) ReadInt32(_ *smithy.Schema, v *int32) error { return formInt(r, v, 32) }
func (r *formReader) ReadInt64(_ *smithy.Schema, v *int64) error { return formInt(r, v, 64) }

func (r *formReader) ReadFloat32(s *smithy.Schema, v *float32) error {
	var n float64
	err := r.ReadFloat64(s, &n)
	*v = float32(n)
	return err
}

func (r *formReader) ReadFloat64(_ *smithy.Schema, v *float64) error {
	s, err := r.scalar()
	if err != nil {
		return err
	}
	if *v, err = strconv.ParseFloat(s, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("want a number, got %q", short(s))
	}
	return nil
}

func (r *formReader) ReadBool(_ *smithy.Schema, v *bool) error {
	s, err := r.scalar()
	switch {
	case err != nil:
		return err
	case strings.EqualFold(s, "true"):
		*v = true
	case strings.EqualFold(s, "false"):
		*v = false
	default:
		return fmt.Errorf("want true or false, got %q", short(s))
	}
	return nil
}

func (r *formReader) ReadString(_ *smithy.Schema, v *string) (err error) {
	*v, err = r.scalar()
	return err
}

func (r *formReader) ReadBlob(_ *smithy.Schema, v *[]byte) error {
	s, err := r.scalar()
	if err != nil {
		return err
	}
	if *v, err = base64.StdEncoding.DecodeString(s); err != nil {
		return errors.New("want base64")
	}
	return nil
}

// ReadTime takes ISO 8601, where what has no zone is in UTC.
func (r *formReader) ReadTime(_ *smithy.Schema, v *time.Time) error {
	s, err := r.scalar()
	if err != nil {
		return err
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if *v, err = time.Parse(layout, s); err == nil {
			return nil
		}
	}
	return fmt.Errorf("timestamp must follow ISO8601, got %q", short(s))
}

func (r *formReader) ReadNil(*smithy.Schema) (bool, error) { return false, nil }

func (r *formReader) ReadUnion(*smithy.Schema) (*smithy.Schema, error) { return nil, errNoQuery }

func (r *formReader) ReadDocument(*smithy.Schema, *document.Value) error { return errNoQuery }

func (r *formReader) ReadBigInt(*smithy.Schema, *big.Int) error { return errNoQuery }

func (r *formReader) ReadBigFloat(*smithy.Schema, *big.Float) error { return errNoQuery }

// errNoQuery is for shapes that no call of these services has in Query.
var errNoQuery = errors.New("is not known to this CloudWatch")

// An xmlWriter writes a shape as XML.
type xmlWriter struct {
	b      bytes.Buffer
	result string         // element of the outermost structure
	root   *smithy.Schema // schema of it
	open   []xmlElement
}

type xmlElement struct {
	name string // "": without tags
	item string // what items of a flattened list are called
	key  bool   // a map, whose entry is not closed
}

var _ smithy.ShapeSerializer = (*xmlWriter)(nil)

func (x *xmlWriter) Bytes() []byte { return x.b.Bytes() }

func (x *xmlWriter) tag(open, name, closed string) {
	if name != "" {
		x.b.WriteString(open)
		x.b.WriteString(name)
		x.b.WriteString(closed)
	}
}

func (x *xmlWriter) element(name, text string) {
	x.tag("<", name, ">")
	_ = xml.EscapeText(&x.b, []byte(text)) // into memory
	x.tag("</", name, ">")
}

// name is the name of an element: an item of a flattened list has the list's.
func (x *xmlWriter) name(schema *smithy.Schema) string {
	if n := len(x.open); n > 0 && x.open[n-1].item != "" {
		return x.open[n-1].item
	}
	return wireName(schema)
}

func (x *xmlWriter) WriteStruct(schema *smithy.Schema) {
	var name string
	if len(x.open) == 0 {
		// AWS writes no result of an operation that has none.
		if x.root = schema; schema != nil {
			name = x.result
		}
	} else {
		name = x.name(schema)
	}
	x.tag("<", name, ">")
	x.open = append(x.open, xmlElement{name: name})
}

func (x *xmlWriter) close() xmlElement {
	e := x.open[len(x.open)-1]
	x.open = x.open[:len(x.open)-1]
	if e.key {
		x.b.WriteString("</entry>")
	}
	x.tag("</", e.name, ">")
	return e
}

func (x *xmlWriter) CloseStruct() { x.close() }

func (x *xmlWriter) WriteList(schema *smithy.Schema) {
	e := xmlElement{name: x.name(schema)}
	if flattened(schema) {
		e = xmlElement{item: e.name}
	}
	x.tag("<", e.name, ">")
	x.open = append(x.open, e)
}

func (x *xmlWriter) CloseList() { x.close() }

func (x *xmlWriter) WriteMap(schema *smithy.Schema) {
	e := xmlElement{name: x.name(schema)}
	x.tag("<", e.name, ">")
	x.open = append(x.open, e)
}

func (x *xmlWriter) WriteKey(schema *smithy.Schema, key string) {
	e := &x.open[len(x.open)-1]
	if e.key {
		x.b.WriteString("</entry>")
	}
	e.key = true
	x.b.WriteString("<entry>")
	x.element(wireName(schema), key)
}

func (x *xmlWriter) CloseMap() { x.close() }

func (x *xmlWriter) scalar(schema *smithy.Schema, text string) { x.element(x.name(schema), text) }

func (x *xmlWriter) WriteInt8(s *smithy.Schema, v int8)   { x.WriteInt64(s, int64(v)) }
func (x *xmlWriter) WriteInt16(s *smithy.Schema, v int16) { x.WriteInt64(s, int64(v)) }
func (x *xmlWriter) WriteInt32(s *smithy.Schema, v int32) { x.WriteInt64(s, int64(v)) }
func (x *xmlWriter) WriteInt64(s *smithy.Schema, v int64) { x.scalar(s, strconv.FormatInt(v, 10)) }

func (x *xmlWriter) WriteFloat32(s *smithy.Schema, v float32) { x.WriteFloat64(s, float64(v)) }

func (x *xmlWriter) WriteFloat64(s *smithy.Schema, v float64) {
	switch {
	case math.IsInf(v, 1):
		x.scalar(s, "Infinity")
	case math.IsInf(v, -1):
		x.scalar(s, "-Infinity")
	default:
		x.scalar(s, strconv.FormatFloat(v, 'g', -1, 64))
	}
}

func (x *xmlWriter) WriteBool(s *smithy.Schema, v bool)     { x.scalar(s, strconv.FormatBool(v)) }
func (x *xmlWriter) WriteString(s *smithy.Schema, v string) { x.scalar(s, v) }
func (x *xmlWriter) WriteBlob(s *smithy.Schema, v []byte) {
	x.scalar(s, base64.StdEncoding.EncodeToString(v))
}
func (x *xmlWriter) WriteTime(s *smithy.Schema, v time.Time) {
	x.scalar(s, smithytime.FormatDateTime(v))
}
func (x *xmlWriter) WriteNil(*smithy.Schema) {}

// No output of these services has any of the rest.

func (x *xmlWriter) WriteUnion(schema, _ *smithy.Schema) {
	panic("cloudwatch: an output has a union: " + schema.ID().String())
}

func (x *xmlWriter) CloseUnion() {}

func (x *xmlWriter) WriteDocument(schema *smithy.Schema, _ document.Value) {
	panic("cloudwatch: an output has a document: " + schema.ID().String())
}

func (x *xmlWriter) WriteBigInt(schema *smithy.Schema, _ *big.Int) {
	panic("cloudwatch: an output has a big number: " + schema.ID().String())
}

func (x *xmlWriter) WriteBigFloat(schema *smithy.Schema, _ *big.Float) {
	panic("cloudwatch: an output has a big number: " + schema.ID().String())
}
