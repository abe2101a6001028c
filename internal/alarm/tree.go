package alarm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A tree is a JSON value that knows its line, so that every mistake in a file
// can be shown where it is.
type tree struct {
	line    int
	kind    treeKind
	text    string // of a text or a number
	members []member
	items   []*tree
}

type member struct {
	name  string
	line  int
	value *tree
}

type treeKind uint8

const (
	treeNull treeKind = iota
	treeBool
	treeNumber
	treeText
	treeList
	treeObject
)

func (k treeKind) String() string {
	switch k {
	case treeNull:
		return "null"
	case treeBool:
		return "true or false"
	case treeNumber:
		return "a number"
	case treeText:
		return "a text"
	case treeList:
		return "a list"
	case treeObject:
		return "an object"
	}
	panic(fmt.Sprintf("alarm: unknown kind of JSON %d", uint8(k)))
}

// grow reads a JSON document. If it is malformed, it gives the line and the
// mistake.
func grow(data []byte) (*tree, int, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return nil, 1, errors.New("the file is UTF-16: save it as UTF-8")
	case bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")):
		data = data[3:]
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, 1, errors.New("the file is empty")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		var syntax *json.SyntaxError
		if !errors.As(err, &syntax) {
			return nil, 1, err
		}
		at := min(int(syntax.Offset), len(data))
		return nil, 1 + bytes.Count(data[:max(0, at-1)], []byte("\n")), malformed(data[:at], syntax)
	}
	g := &grower{data: data, json: json.NewDecoder(bytes.NewReader(data)), line: 1}
	g.json.UseNumber()
	root, err := g.value()
	if err != nil { // not after Unmarshal found the same document well-formed
		return nil, g.line, err
	}
	return root, 0, nil
}

// malformed says what is wrong with JSON that ends at the mistake.
func malformed(until []byte, syntax *json.SyntaxError) error {
	text := syntax.Error()
	if n := len(until); n > 0 && (until[n-1] == ']' || until[n-1] == '}') &&
		bytes.HasSuffix(bytes.TrimSpace(until[:n-1]), []byte(",")) {
		text += ": remove the comma before it"
	} else if strings.Contains(text, "unexpected end") {
		text += ": the file is cut short, or a bracket is not closed"
	}
	return fmt.Errorf("malformed JSON: %s", text)
}

type grower struct {
	data []byte
	json *json.Decoder
	at   int // up to where lines are counted
	line int
}

// token is the next token; line is then where it is.
func (g *grower) token() (json.Token, error) {
	t, err := g.json.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	end := int(g.json.InputOffset())
	g.line += bytes.Count(g.data[g.at:end], []byte("\n"))
	g.at = end
	return t, err
}

func (g *grower) value() (*tree, error) {
	t, err := g.token()
	if err != nil {
		return nil, err
	}
	v := &tree{line: g.line}
	switch t := t.(type) {
	case nil:
		v.kind = treeNull
	case bool:
		v.kind, v.text = treeBool, strconv.FormatBool(t)
	case json.Number:
		v.kind, v.text = treeNumber, t.String()
	case string:
		v.kind, v.text = treeText, t
	case json.Delim:
		if t == '[' {
			v.kind = treeList
			err = g.list(v)
		} else {
			v.kind = treeObject
			err = g.object(v)
		}
	}
	return v, err
}

func (g *grower) list(v *tree) error {
	for g.json.More() {
		item, err := g.value()
		if err != nil {
			return err
		}
		v.items = append(v.items, item)
	}
	_, err := g.token()
	return err
}

func (g *grower) object(v *tree) error {
	for g.json.More() {
		name, err := g.token()
		if err != nil {
			return err
		}
		m := member{name: fmt.Sprint(name), line: g.line}
		if m.value, err = g.value(); err != nil {
			return err
		}
		v.members = append(v.members, m)
	}
	_, err := g.token()
	return err
}

// get is a member of an object, if it is there and not null.
func (v *tree) get(name string) *tree {
	for _, m := range v.members {
		if m.name == name && m.value.kind != treeNull {
			return m.value
		}
	}
	return nil
}

// lineOf is the line of a field such as Metrics[1].MetricStat.Period; if it is
// not there, of what it would be in.
func (v *tree) lineOf(field string) int {
	for _, part := range strings.FieldsFunc(field, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		var next *tree
		if i, err := strconv.Atoi(part); err == nil {
			if i < len(v.items) {
				next = v.items[i]
			}
		} else {
			next = v.get(part)
		}
		if next == nil {
			break
		}
		v = next
	}
	return v.line
}
