// Package dicomtest writes DICOM series for tests.
package dicomtest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Transfer syntaxes.
const (
	ImplicitLittle = "1.2.840.10008.1.2"
	ExplicitLittle = "1.2.840.10008.1.2.1"
	Deflated       = "1.2.840.10008.1.2.1.99"
	ExplicitBig    = "1.2.840.10008.1.2.2"
	RLE            = "1.2.840.10008.1.2.5"
	JPEGBaseline   = "1.2.840.10008.1.2.4.50"
)

// Element is an element to be written. Value is a string, []uint16, []float64 (as FD), uint32, []byte, [][]Element (a
// sequence), or Fragments.
type Element struct {
	Tag   uint32
	VR    string
	Value any
}

// Fragments are encapsulated pixel data; the first is the offset table.
type Fragments [][]byte

// Numbers joins numbers as decimal strings.
func Numbers(v ...float64) string {
	var s []string
	for _, x := range v {
		s = append(s, fmt.Sprintf("%.9g", x))
	}
	return strings.Join(s, `\`)
}

type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var long = []string{"OB", "OW", "SQ", "UN", "UT", "OD", "OF", "OL"}

// Encode writes a file: preamble, meta information and data set.
func Encode(syntax string, elements []Element) []byte {
	out := append(make([]byte, 128), "DICM"...)
	uid := encode(binary.LittleEndian, false, []Element{{0x00020010, "UI", syntax}})
	out = append(out, encode(binary.LittleEndian, false, []Element{{0x00020000, "UL", uint32(len(uid))}})...)
	out = append(out, uid...)
	body := encode(orderOf(syntax), syntax == ImplicitLittle, elements)
	if syntax == Deflated {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, flate.BestSpeed)
		w.Write(body)
		w.Close()
		body = b.Bytes()
	}
	return append(out, body...)
}

func orderOf(syntax string) order {
	if syntax == ExplicitBig {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func encode(o order, implicit bool, elements []Element) []byte {
	slices.SortStableFunc(elements, func(a, b Element) int { return int(int64(a.Tag) - int64(b.Tag)) })
	var out []byte
	for _, e := range elements {
		value, undefined := encodeValue(o, implicit, e)
		out = tag(o, out, e.Tag)
		length := uint32(len(value))
		if undefined {
			length = 0xFFFFFFFF
		}
		switch {
		case implicit:
			out = o.AppendUint32(out, length)
		case slices.Contains(long, e.VR):
			out = o.AppendUint32(append(append(out, e.VR...), 0, 0), length)
		default:
			out = o.AppendUint16(append(out, e.VR...), uint16(length))
		}
		out = append(out, value...)
		if undefined {
			out = o.AppendUint32(tag(o, out, 0xFFFEE0DD), 0)
		}
	}
	return out
}

func tag(o order, b []byte, t uint32) []byte {
	return o.AppendUint16(o.AppendUint16(b, uint16(t>>16)), uint16(t))
}

func encodeValue(o order, implicit bool, e Element) (b []byte, undefined bool) {
	switch v := e.Value.(type) {
	case string:
		if b = []byte(v); len(b)%2 == 1 {
			pad := byte(' ')
			if e.VR == "UI" {
				pad = 0
			}
			b = append(b, pad)
		}
	case []uint16:
		for _, x := range v {
			b = o.AppendUint16(b, x)
		}
	case uint32:
		b = o.AppendUint32(nil, v)
	case []float64:
		for _, x := range v {
			b, _ = binary.Append(b, o, x)
		}
	case []byte:
		b = v
	case [][]Element: // items of defined and undefined length in turn
		for i, item := range v {
			content := encode(o, implicit, item)
			if i%2 == 0 {
				b = o.AppendUint32(tag(o, b, 0xFFFEE000), uint32(len(content)))
				b = append(b, content...)
				continue
			}
			b = append(o.AppendUint32(tag(o, b, 0xFFFEE000), 0xFFFFFFFF), content...)
			b = o.AppendUint32(tag(o, b, 0xFFFEE00D), 0)
		}
		undefined = len(v) > 1
		if undefined {
			return b, true
		}
	case Fragments:
		for _, f := range v {
			b = append(o.AppendUint32(tag(o, b, 0xFFFEE000), uint32(len(f))), f...)
		}
		return b, true
	default:
		panic(fmt.Sprintf("dicomtest: a value of type %T", e.Value))
	}
	return b, false
}

// Series describes a CT series of single-frame files. The zero value of a field takes a default.
type Series struct {
	Syntax      string     // ExplicitLittle
	Size        [3]int     // slices, rows, columns; 5, 6, 8
	Spacing     [3]float64 // mm along z, y, x; 2.5, 0.7, 0.8
	Origin      [3]float64 // LPS
	Orientation [6]float64 // axial
	UID         string     // "1.2.3"
	Patient     string     // "PAT-1"
	Description string     // "generated"
	Signed      bool
	Change      func(z int, elements []Element) []Element // of each slice; nil leaves the slice out
}

// Stored is the pixel that Write stores at a place.
func Stored(z, y, x int) uint16 { return uint16((z*1009 + y*101 + x*7) % 4096) }

// Slices are the files of a series in their order along the normal.
func (s Series) Slices() [][]byte {
	if s.Syntax == "" {
		s.Syntax = ExplicitLittle
	}
	if s.Size == [3]int{} {
		s.Size = [3]int{5, 6, 8}
	}
	if s.Spacing == [3]float64{} {
		s.Spacing = [3]float64{2.5, 0.7, 0.8}
	}
	if s.Orientation == [6]float64{} {
		s.Orientation = [6]float64{1, 0, 0, 0, 1, 0}
	}
	if s.UID == "" {
		s.UID = "1.2.3"
	}
	if s.Patient == "" {
		s.Patient = "PAT-1"
	}
	if s.Description == "" {
		s.Description = "generated"
	}
	o := s.Orientation
	normal := [3]float64{o[1]*o[5] - o[2]*o[4], o[2]*o[3] - o[0]*o[5], o[0]*o[4] - o[1]*o[3]}
	var out [][]byte
	for z := range s.Size[0] {
		at := s.Origin
		for i := range at {
			at[i] += normal[i] * s.Spacing[0] * float64(z)
		}
		signed := uint16(0)
		if s.Signed {
			signed = 1
		}
		elements := []Element{
			{0x00080008, "CS", `ORIGINAL\PRIMARY\AXIAL`}, {0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"},
			{0x00080018, "UI", fmt.Sprintf("%s.%d", s.UID, z+1)}, {0x00080060, "CS", "CT"}, {0x0008103E, "LO", s.Description},
			{0x00100010, "PN", "Secret^Name"}, {0x00100020, "LO", s.Patient}, {0x00100030, "DA", "19700101"},
			{0x0020000D, "UI", s.UID + ".0"}, {0x0020000E, "UI", s.UID}, {0x00200011, "IS", "3"}, {0x00200013, "IS", fmt.Sprint(z + 1)},
			{0x00200032, "DS", Numbers(at[:]...)}, {0x00200037, "DS", Numbers(o[:]...)}, {0x00180050, "DS", Numbers(s.Spacing[0])},
			{0x00280002, "US", []uint16{1}}, {0x00280004, "CS", "MONOCHROME2"}, {0x00280010, "US", []uint16{uint16(s.Size[1])}},
			{0x00280011, "US", []uint16{uint16(s.Size[2])}}, {0x00280030, "DS", Numbers(s.Spacing[1], s.Spacing[2])},
			{0x00280100, "US", []uint16{16}}, {0x00280101, "US", []uint16{16}}, {0x00280102, "US", []uint16{15}},
			{0x00280103, "US", []uint16{signed}}, {0x00281052, "DS", "-1024"}, {0x00281053, "DS", "1"},
			{0x7FE00010, "OW", s.pixels(z)},
		}
		if s.Change != nil {
			if elements = s.Change(z, elements); elements == nil {
				continue
			}
		}
		out = append(out, Encode(s.Syntax, elements))
	}
	return out
}

// pixels are the stored pixels of a slice.
func (s Series) pixels(z int) any {
	var words []uint16
	for y := range s.Size[1] {
		for x := range s.Size[2] {
			words = append(words, Stored(z, y, x))
		}
	}
	if s.Syntax != RLE {
		return words
	}
	high, low := make([]byte, 0, len(words)), make([]byte, 0, len(words))
	for _, w := range words {
		high, low = append(high, byte(w>>8)), append(low, byte(w))
	}
	first, second := PackBits(high), PackBits(low)
	head := make([]byte, 64)
	binary.LittleEndian.PutUint32(head, 2)
	binary.LittleEndian.PutUint32(head[4:], 64)
	binary.LittleEndian.PutUint32(head[8:], uint32(64+len(first)))
	return Fragments{nil, append(append(head, first...), second...)}
}

// PackBits encodes a segment of RLE Lossless with runs and literals.
func PackBits(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); {
		run := 1
		for i+run < len(b) && b[i+run] == b[i] && run < 128 {
			run++
		}
		if run > 1 {
			out = append(out, byte(1-run), b[i])
			i += run
			continue
		}
		from := i
		for i < len(b) && i-from < 128 && (i+1 == len(b) || b[i+1] != b[i]) {
			i++
		}
		out = append(append(out, byte(i-from-1)), b[from:i]...)
	}
	if len(out)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

// Set replaces the value of an element, or adds one.
func Set(elements []Element, tag uint32, vr string, value any) []Element {
	for i := range elements {
		if elements[i].Tag == tag {
			elements[i] = Element{tag, vr, value}
			return elements
		}
	}
	return append(elements, Element{tag, vr, value})
}

// Drop leaves an element out.
func Drop(elements []Element, tag uint32) []Element {
	return slices.DeleteFunc(elements, func(e Element) bool { return e.Tag == tag })
}

// Write writes the files of a series into a folder, the last slice first.
func (s Series) Write(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	files := s.Slices()
	for i, b := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("IM%04d", len(files)-i)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
