package task

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is a JSON value that remembers where it stood and in which order its members came, so that dataset.json can be
// judged by line and rewritten without being reshuffled. Not tailscale/hujson: a file with comments or trailing commas
// would work here and fail in the reference and in nnU-Net, and it does not see repeated keys.
type node struct {
	kind    kind
	line    int    // 1-based
	text    string // of a string: its value; of a number: its literal
	items   []node
	members []member
}

type member struct {
	key   string
	value node
}

type kind byte

const (
	kindNull kind = iota
	kindTrue
	kindFalse
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "true", "false", "a number", "a string", "a list", "an object"}[k]
}

// get returns the member named key; nil if there is none or n is not an object.
func (n *node) get(key string) *node {
	for i := range n.members {
		if n.members[i].key == key {
			return &n.members[i].value
		}
	}
	return nil
}

// integer returns the value of a whole number.
func (n *node) integer() (int, bool) {
	if n.kind != kindNumber {
		return 0, false
	}
	v, err := strconv.Atoi(n.text)
	return v, err == nil
}

// value turns n into Go's usual types: nil, bool, int64 or float64, string, []any, map[string]any.
func (n *node) value() any {
	switch n.kind {
	case kindTrue, kindFalse:
		return n.kind == kindTrue
	case kindNumber:
		if v, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return v
		}
		v, _ := strconv.ParseFloat(n.text, 64)
		return v
	case kindString:
		return n.text
	case kindArray:
		list := make([]any, len(n.items))
		for i := range n.items {
			list[i] = n.items[i].value()
		}
		return list
	case kindObject:
		object := make(map[string]any, len(n.members))
		for i := range n.members {
			object[n.members[i].key] = n.members[i].value.value()
		}
		return object
	}
	return nil
}

// maxDepth limits nesting, so that a hostile file cannot exhaust the stack.
const maxDepth = 200

// jsonParser reads JSON as RFC 8259 has it, plus trailing commas.
type jsonParser struct {
	b        []byte
	pos      int
	line     int
	start    int // where the line begins
	warnings []string
}

// parseJSON parses b. Errors carry line and column; trailing commas and repeated keys (the last one counts, as in
// Python) become warnings.
func parseJSON(b []byte) (node, []string, error) {
	if problem := encodingProblem(b); problem != "" {
		return node{}, nil, errors.New(problem)
	}
	p := &jsonParser{b: bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), line: 1}
	n, err := p.parse(0)
	if err != nil {
		return node{}, nil, err
	}
	p.space()
	if p.pos < len(p.b) {
		return node{}, nil, p.fail("%s after the end of the JSON value", p.here())
	}
	return n, p.warnings, nil
}

func (p *jsonParser) fail(format string, args ...any) error {
	column := utf8.RuneCount(p.b[p.start:min(p.pos, len(p.b))]) + 1
	return fmt.Errorf("line %d, column %d: %s", p.line, column, fmt.Sprintf(format, args...))
}

// here says what stands at the current position.
func (p *jsonParser) here() string {
	if p.pos >= len(p.b) {
		return "the file ends"
	}
	r, _ := utf8.DecodeRune(p.b[p.pos:])
	return fmt.Sprintf("found %q", r)
}

func (p *jsonParser) space() {
	for ; p.pos < len(p.b); p.pos++ {
		switch p.b[p.pos] {
		case ' ', '\t', '\r':
		case '\n':
			p.line++
			p.start = p.pos + 1
		default:
			return
		}
	}
}

// at skips white space and reports whether c comes next.
func (p *jsonParser) at(c byte) bool {
	p.space()
	return p.pos < len(p.b) && p.b[p.pos] == c
}

func (p *jsonParser) parse(depth int) (node, error) {
	p.space()
	n := node{line: p.line}
	if depth > maxDepth {
		return n, p.fail("nested more than %d levels deep", maxDepth)
	}
	if p.pos >= len(p.b) {
		return n, p.fail("the file ends where a value is expected")
	}
	if problem := notJSON(p.b[p.pos:]); problem != "" {
		return n, p.fail("%s", problem)
	}
	var err error
	switch c := p.b[p.pos]; {
	case c == '{':
		n.kind = kindObject
		n.members, err = p.object(depth)
	case c == '[':
		n.kind = kindArray
		err = p.list(']', func() error {
			item, err := p.parse(depth + 1)
			n.items = append(n.items, item)
			return err
		})
	case c == '"':
		n.kind = kindString
		n.text, err = p.string()
	case c == '-' || c >= '0' && c <= '9':
		n.kind = kindNumber
		n.text, err = p.number()
	default:
		for k, word := range map[kind]string{kindNull: "null", kindTrue: "true", kindFalse: "false"} {
			if bytes.HasPrefix(p.b[p.pos:], []byte(word)) {
				n.kind = k
				p.pos += len(word)
				return n, nil
			}
		}
		return n, p.fail("%s where a value is expected", p.here())
	}
	return n, err
}

// list parses what stands between the bracket at the current position and closing.
func (p *jsonParser) list(closing byte, element func() error) error {
	p.pos++
	for first := true; ; first = false {
		if p.at(closing) {
			if !first {
				p.warnings = append(p.warnings, fmt.Sprintf("line %d: trailing comma ignored", p.line))
			}
			p.pos++
			return nil
		}
		if err := element(); err != nil {
			return err
		}
		if p.at(',') {
			p.pos++
			continue
		}
		if !p.at(closing) {
			return p.fail("%s where ',' or '%c' is expected", p.here(), closing)
		}
		p.pos++
		return nil
	}
}

func (p *jsonParser) object(depth int) ([]member, error) {
	var members []member
	seen := map[string]int{}
	err := p.list('}', func() error {
		if !p.at('"') {
			return p.fail("%s where a field's name in double quotes is expected", p.here())
		}
		line := p.line
		key, err := p.string()
		if err != nil {
			return err
		}
		if !p.at(':') {
			return p.fail("%s where ':' is expected", p.here())
		}
		p.pos++
		value, err := p.parse(depth + 1)
		if err != nil {
			return err
		}
		if i, ok := seen[key]; ok {
			p.warnings = append(p.warnings, fmt.Sprintf("line %d: field %q is given twice, the later one counts", line, key))
			members[i].value = value
			return nil
		}
		seen[key] = len(members)
		members = append(members, member{key, value})
		return nil
	})
	return members, err
}

// string parses the string at the current position; strconv knows JSON's escapes but for \/ and surrogate pairs.
func (p *jsonParser) string() (string, error) {
	p.pos++
	var out strings.Builder
	for {
		if p.pos >= len(p.b) || p.b[p.pos] == '\n' {
			return "", p.fail("the string is not closed")
		}
		switch c := p.b[p.pos]; {
		case c == '"':
			p.pos++
			return out.String(), nil
		case c == '\\':
			if err := p.escape(&out); err != nil {
				return "", err
			}
		case c < 0x20:
			return "", p.fail("control character 0x%02x within a string", c)
		default:
			r, size := utf8.DecodeRune(p.b[p.pos:])
			if r == utf8.RuneError && size == 1 {
				return "", p.fail("byte 0x%02x is not UTF-8; save the file as UTF-8", c)
			}
			out.WriteRune(r)
			p.pos += size
		}
	}
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *jsonParser) escape(out *strings.Builder) error {
	if p.pos+1 >= len(p.b) {
		return p.fail("the string is not closed")
	}
	if r, ok := escapes[p.b[p.pos+1]]; ok {
		out.WriteRune(r)
		p.pos += 2
		return nil
	}
	r, ok := p.hex(p.pos)
	if !ok {
		return p.fail(`bad escape in a string; write a backslash as \\`)
	}
	p.pos += 6
	if r >= 0xd800 && r < 0xdc00 {
		if low, ok := p.hex(p.pos); ok && low >= 0xdc00 && low < 0xe000 {
			p.pos += 6
			r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
		}
	}
	out.WriteRune(r) // half a pair becomes the replacement character
	return nil
}

// hex reads \uXXXX at pos.
func (p *jsonParser) hex(pos int) (rune, bool) {
	if pos+6 > len(p.b) || p.b[pos] != '\\' || p.b[pos+1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(p.b[pos+2:pos+6]), 16, 32)
	return rune(v), err == nil
}

func (p *jsonParser) number() (string, error) {
	end := p.pos
	for end < len(p.b) && strings.IndexByte("+-0123456789.eE", p.b[end]) >= 0 {
		end++
	}
	text := string(p.b[p.pos:end])
	digits := strings.TrimPrefix(text, "-")
	_, err := strconv.ParseFloat(text, 64)
	if err != nil || digits[0] < '0' || digits[0] > '9' || len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return "", p.fail("%q is not a number", text)
	}
	p.pos = end
	return text, nil
}
