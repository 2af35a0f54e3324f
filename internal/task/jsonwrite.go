package task

import (
	"bytes"
	"fmt"
	"unicode/utf16"
)

// format writes n as Python's json.dump(..., indent=2) does: members in their order, everything outside ASCII escaped.
// Numbers keep the digits they were read with.
func (n *node) format() []byte {
	var b bytes.Buffer
	n.formatTo(&b, "\n")
	return b.Bytes()
}

func (n *node) formatTo(b *bytes.Buffer, indent string) {
	inner := indent + "  "
	switch n.kind {
	case kindNull, kindTrue, kindFalse:
		b.WriteString(n.kind.String())
	case kindNumber:
		b.WriteString(n.text)
	case kindString:
		quote(b, n.text)
	case kindArray:
		b.WriteByte('[')
		for i := range n.items {
			separate(b, i, inner)
			n.items[i].formatTo(b, inner)
		}
		if len(n.items) > 0 {
			b.WriteString(indent)
		}
		b.WriteByte(']')
	case kindObject:
		b.WriteByte('{')
		for i := range n.members {
			separate(b, i, inner)
			quote(b, n.members[i].key)
			b.WriteString(": ")
			n.members[i].value.formatTo(b, inner)
		}
		if len(n.members) > 0 {
			b.WriteString(indent)
		}
		b.WriteByte('}')
	}
}

func separate(b *bytes.Buffer, i int, indent string) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteString(indent)
}

func quote(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
		case r < 0x20 || r > 0x7e:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
