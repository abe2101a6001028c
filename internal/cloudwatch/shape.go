package cloudwatch

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go/encoding/cbor"
)

// The shapes that go over the wire are the structs of the AWS SDK. Their field
// names are the names of the members: as they are in CloudWatch, with a small
// first letter in CloudWatch Logs. What is nil is not there; an empty text, which
// in the SDK is an enumeration that was not set, neither.

// fromCBOR fills in the SDK's struct that into points to. Members that it does
// not have are skipped, as in AWS.
func fromCBOR(v cbor.Value, into any) error {
	if err := decodeShape(v, reflect.ValueOf(into).Elem()); err != nil {
		return err
	}
	return nil
}

// A shapeError is what is wrong with a member.
type shapeError struct{ member, text string }

func (e *shapeError) Error() string {
	if e.member == "" {
		return e.text
	}
	return strings.TrimPrefix(e.member, ".") + ": " + e.text
}

func (e *shapeError) in(member string) *shapeError {
	return &shapeError{member + e.member, e.text}
}

func decodeShape(v cbor.Value, into reflect.Value) *shapeError {
	switch v.(type) {
	case *cbor.Nil, *cbor.Undefined:
		return nil
	}
	wrong := func(want string) *shapeError {
		return &shapeError{text: fmt.Sprintf("want %s, got %s", want, strings.TrimPrefix(fmt.Sprintf("%T", v), "cbor."))}
	}
	if into.Type() == reflect.TypeFor[time.Time]() {
		t, err := cbor.AsTime(v)
		if err != nil {
			return wrong("a timestamp")
		}
		into.Set(reflect.ValueOf(t.UTC()))
		return nil
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return decodeShape(v, into.Elem())
	case reflect.String:
		text, ok := v.(cbor.String)
		if !ok {
			return wrong("a text")
		}
		into.SetString(string(text))
	case reflect.Bool:
		b, ok := v.(cbor.Bool)
		if !ok {
			return wrong("true or false")
		}
		into.SetBool(bool(b))
	case reflect.Int32, reflect.Int64:
		n, err := cbor.AsInt64(v)
		if err != nil || into.OverflowInt(n) {
			return wrong("a whole number of " + into.Kind().String()[3:] + " bits")
		}
		into.SetInt(n)
	case reflect.Float64:
		n, err := cbor.AsFloat64(v)
		if err != nil {
			return wrong("a number")
		}
		into.SetFloat(n)
	case reflect.Slice:
		list, ok := v.(cbor.List)
		if !ok {
			return wrong("a list")
		}
		into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
		for i, item := range list {
			if err := decodeShape(item, into.Index(i)); err != nil {
				return err.in(fmt.Sprintf("[%d]", i))
			}
		}
	case reflect.Struct:
		members, ok := v.(cbor.Map)
		if !ok {
			return wrong("a structure")
		}
		for i := range into.NumField() {
			field := into.Type().Field(i)
			if member, ok := members[field.Name]; ok && field.IsExported() {
				if err := decodeShape(member, into.Field(i)); err != nil {
					return err.in("." + field.Name)
				}
			}
		}
	default: // unions and maps, of operations and options that are not known here
		return &shapeError{text: "is not known to this CloudWatch"}
	}
	return nil
}

// toCBOR gives a struct of the SDK as CBOR. It panics on a kind of field that no
// output has.
func toCBOR(v any) cbor.Value {
	return encodeShape(reflect.ValueOf(v))
}

func encodeShape(v reflect.Value) cbor.Value {
	if t, ok := v.Interface().(time.Time); ok {
		return &cbor.Tag{ID: 1, Value: cbor.Float64(float64(t.UnixMilli()) / 1e3)}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return encodeShape(v.Elem())
	case reflect.String:
		return cbor.String(v.String())
	case reflect.Bool:
		return cbor.Bool(v.Bool())
	case reflect.Int32, reflect.Int64:
		if n := v.Int(); n < 0 {
			return cbor.NegInt(-n)
		}
		return cbor.Uint(v.Int())
	case reflect.Float64:
		return cbor.Float64(v.Float())
	case reflect.Slice:
		list := make(cbor.List, v.Len())
		for i := range list {
			list[i] = encodeShape(v.Index(i))
		}
		return list
	case reflect.Map:
		entries := cbor.Map{}
		for key, value := range v.Seq2() {
			entries[key.String()] = encodeShape(value)
		}
		return entries
	case reflect.Struct:
		members := cbor.Map{}
		eachMember(v, func(name string, member reflect.Value) { members[name] = encodeShape(member) })
		return members
	default:
		panic("cloudwatch: an output has a field of type " + v.Type().String())
	}
}

// toJSON gives a struct of the SDK as what package json can write with the names
// of CloudWatch Logs.
func toJSON(v any) any { return plain(reflect.ValueOf(v)) }

func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Struct:
		members := map[string]any{}
		eachMember(v, func(name string, member reflect.Value) {
			members[string(unicode.ToLower(rune(name[0])))+name[1:]] = plain(member)
		})
		return members
	default:
		return v.Interface()
	}
}

// eachMember calls f with the members of a struct that are there.
func eachMember(v reflect.Value, f func(name string, member reflect.Value)) {
	for i := range v.NumField() {
		field, member := v.Type().Field(i), v.Field(i)
		switch {
		case !field.IsExported() || field.Name == "ResultMetadata":
			continue
		case member.IsZero() && (member.Kind() == reflect.Pointer || member.Kind() == reflect.Slice || member.Kind() == reflect.Map ||
			member.Kind() == reflect.String || member.Kind() == reflect.Interface):
			continue
		}
		f(field.Name, member)
	}
}
