package jsonfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/universal-classifier/uc/internal/infile"
)

// Error is about what a file holds, while other errors are about reading it.
type Error struct {
	Path         string
	Line, Column int // from 1, in characters; 0 where the place is not known
	Err          error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s: line %d, column %d: %v", e.Path, e.Line, e.Column, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Damaged reports whether err is about what a file holds: an *Error.
func Damaged(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// Read decodes a file into v as json.Unmarshal does. A file of more than infile.MaxText bytes is refused before any of
// it is read. What is wrong with the JSON is an *Error.
func Read(path string, v any) error { return read(path, v, json.Unmarshal) }

// ReadStrict is Read for files that people write: a field that v does not have is an error.
func ReadStrict(path string, v any) error {
	return read(path, v, func(b []byte, v any) error {
		var all json.RawMessage
		if err := json.Unmarshal(b, &all); err != nil { // a Decoder would not look at what follows the value
			return err
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		return d.Decode(v)
	})
}

// byteOrderMark is what some editors write before UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

func read(path string, v any, decode func(b []byte, v any) error) error {
	b, err := infile.ReadFile(path, infile.MaxText)
	if err != nil {
		return err
	}
	b = bytes.TrimPrefix(b, byteOrderMark)
	if err = decode(b, v); err == nil {
		return nil
	}
	at := -1
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && syntax.Error() == endOfInput:
		at, err = len(b), errors.New("the file ends too early")
	case errors.As(err, &syntax):
		at = int(syntax.Offset) - 1
	case errors.As(err, &kind):
		at, err = valueBefore(b, kind.Offset), mismatch(kind)
	default:
		if text, isJSON := strings.CutPrefix(err.Error(), "json: "); isJSON {
			err = errors.New(text)
		}
	}
	e := &Error{Path: path, Err: err}
	if at >= 0 {
		before := b[:min(at, len(b))]
		e.Line = 1 + bytes.Count(before, []byte("\n"))
		e.Column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	}
	return e
}

// endOfInput is what encoding/json says of a file that ends within a value.
const endOfInput = "unexpected end of JSON input"

// valueBefore returns where the value or bracket begins that ends at offset; -1 if none ends there, as offsets within a
// value that has an UnmarshalJSON of its own count from its start.
func valueBefore(b []byte, offset int64) int {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	for {
		before := d.InputOffset()
		if _, err := d.Token(); err != nil || d.InputOffset() > offset {
			return -1
		}
		if d.InputOffset() == offset {
			between := bytes.TrimLeft(b[before:offset], " \t\r\n,:")
			return int(offset) - len(between)
		}
	}
}

// mismatch says in words that a value is of another kind than its field, or does not fit it.
func mismatch(e *json.UnmarshalTypeError) error {
	found, isNumber := strings.CutPrefix(e.Value, "number ") // the number itself
	if words := kinds[found]; words != "" {
		found = words
	}
	var want string
	switch e.Type.Kind() {
	case reflect.Bool:
		want = kinds["bool"]
	case reflect.String:
		want = kinds["string"]
	case reflect.Slice, reflect.Array:
		want = kinds["array"]
	case reflect.Map, reflect.Struct:
		want = kinds["object"]
	case reflect.Float32, reflect.Float64:
		want = kinds["number"]
		if isNumber {
			want = fmt.Sprintf("one within %d bits", e.Type.Bits())
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		want = "a whole number"
		if isNumber && !strings.ContainsAny(found, ".eE") {
			want = fmt.Sprintf("one within %d bits", e.Type.Bits())
		}
	default:
		want = e.Type.String()
	}
	text := fmt.Sprintf("found %s, expected %s", found, want)
	if e.Field != "" {
		text = fmt.Sprintf("%q: %s", e.Field, text)
	}
	return errors.New(text)
}

// kinds are encoding/json's names of the kinds of values, in words.
var kinds = map[string]string{"string": "a string", "number": "a number", "bool": "true or false", "array": "a list", "object": "an object"}
