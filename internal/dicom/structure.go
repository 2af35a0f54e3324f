package dicom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits of what is read of a file apart from its pixel data. Real files stay far below them.
const (
	maxValue    = 64000    // bytes of one value
	maxDepth    = 16       // sequences within sequences
	maxElements = 20 << 20 // elements in a file
	maxDataSet  = 256 << 20
	maxItems    = 1 << 20 // fragments of pixel data
)

const undefinedLength = 0xFFFFFFFF

// preamble is how many bytes come before a file's signature.
const (
	preamble  = 128
	signature = "DICM"
)

// errNotDICOM says that a file does not begin as DICOM files do.
var errNotDICOM = errors.New("not a DICOM file")

// outline is what a walk through a file gives.
type outline struct {
	syntax  transferSyntax
	dataSet []byte // the wanted elements as a well-formed file, which the DICOM library can be trusted with
	pixels  pixelPlace
	other   bool // pixels of another kind: floating-point numbers
	size    int64
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// walker goes through the elements of a file. Every length is checked against its parent before it is used, and what is
// not wanted is skipped, so that neither memory nor the stack grows with what a file claims.
type walker struct {
	src      *source
	order    byteOrder
	syntax   transferSyntax
	out      bytes.Buffer // wanted elements, explicit VR in the byte order of the file
	elements int
	pixels   pixelPlace
	other    bool
}

// walk reads the structure of a file. An error that does not wrap errNotDICOM comes with what was read before it.
func walk(path string) (*outline, error) {
	src, err := openSource(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	w := &walker{src: src, order: binary.LittleEndian}
	signed, err := w.begin()
	if err != nil {
		return nil, err
	}
	err = w.dataSet()
	if err != nil && !signed && w.out.Len() == 0 {
		return nil, errNotDICOM
	}
	o := &outline{syntax: w.syntax, pixels: w.pixels, other: w.other, size: src.file.Size()}
	o.dataSet = append(w.header(), w.out.Bytes()...)
	return o, err
}

// begin reads what precedes the data set: preamble, signature and file meta information, all of which may be missing.
func (w *walker) begin() (signed bool, err error) {
	head := w.src.peek(preamble + len(signature))
	if len(head) == preamble+len(signature) && string(head[preamble:]) == signature {
		signed = true
		if err := w.src.skip(int64(len(head))); err != nil {
			return true, err
		}
	} else if !plausibleStart(head) {
		return false, errNotDICOM
	}
	uid := ""
	for {
		b := w.src.peek(2)
		if len(b) < 2 || binary.LittleEndian.Uint16(b) != 2 {
			break
		}
		e, err := w.head(false)
		if err != nil {
			return signed, err
		}
		if e.length > w.src.left() || e.length > maxValue {
			return signed, fmt.Errorf("element %v of the file meta information claims %d bytes: %w", e.tag, e.length, errTruncated)
		}
		value := make([]byte, e.length)
		if err := w.src.read(value); err != nil {
			return signed, err
		}
		if e.tag == transferSyntaxUID {
			uid = string(bytes.TrimRight(value, "\x00 "))
		}
	}
	if uid == "" { // as old files without meta information are
		uid = implicitLittle
		if b := w.src.peek(6); len(b) == 6 && isVR(b[4:6]) {
			uid = explicitLittle
		}
	}
	w.syntax = syntaxOf(uid)
	if w.syntax.bigEndian {
		w.order = binary.BigEndian
	}
	if w.syntax.deflated {
		w.src.inflate()
	}
	return signed, nil
}

// plausibleStart reports whether a file without a signature begins with an element of group 2 or 8.
func plausibleStart(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	group, element := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
	if group != 2 && group != 8 || element > 0x0070 {
		return false
	}
	return isVR(b[4:6]) || binary.LittleEndian.Uint32(b[4:]) <= 256
}

func isVR(b []byte) bool { return b[0] >= 'A' && b[0] <= 'Z' && b[1] >= 'A' && b[1] <= 'Z' }

// header is the beginning of the file that is handed to the library.
func (w *walker) header() []byte {
	uid := explicitLittle
	if w.syntax.bigEndian {
		uid = explicitBig
	}
	if len(uid)%2 == 1 {
		uid += "\x00"
	}
	b := append(make([]byte, preamble), signature...)
	b = append(b, 2, 0, 0, 0, 'U', 'L', 4, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(8+len(uid)))
	b = append(b, 2, 0, 0x10, 0, 'U', 'I', byte(len(uid)), 0)
	return append(b, uid...)
}

// element is the head of an element.
type element struct {
	tag       attribute
	vr        string // "" where it is implicit
	length    int64
	undefined bool
}

// head reads tag, value representation and length.
func (w *walker) head(implicit bool) (element, error) {
	if w.elements++; w.elements > maxElements {
		return element{}, fmt.Errorf("more than %d elements", maxElements)
	}
	var b [8]byte
	if err := w.src.read(b[:]); err != nil {
		return element{}, err
	}
	e := element{tag: attribute(w.order.Uint16(b[:]))<<16 | attribute(w.order.Uint16(b[2:]))}
	length := w.order.Uint32(b[4:])
	if !implicit && e.tag>>16 != item>>16 {
		if e.vr = string(b[4:6]); !isVR(b[4:6]) {
			return e, fmt.Errorf("element %v at byte %d has no value representation", e.tag, w.src.at-8)
		}
		length = uint32(w.order.Uint16(b[6:]))
		if longVR[e.vr] {
			if err := w.src.read(b[:4]); err != nil {
				return e, err
			}
			length = w.order.Uint32(b[:4])
		}
	}
	e.undefined = length == undefinedLength
	e.length = int64(length)
	return e, nil
}

// dataSet goes through the elements up to the pixel data or the end of the file.
func (w *walker) dataSet() error {
	for len(w.src.peek(1)) > 0 {
		if zeros(w.src.peek(8)) { // padding
			return nil
		}
		e, err := w.head(w.syntax.implicit)
		if err != nil {
			return err
		}
		switch e.tag {
		case pixelData:
			return w.pixelData(e)
		case floatPixels, doublePixels:
			w.other = true
			return nil
		case item, itemEnd, sequenceEnd:
			return fmt.Errorf("element %v at byte %d is outside of a sequence", e.tag, w.src.at)
		}
		if err := w.value(e, w.syntax.implicit, true, w.src.left(), 0); err != nil {
			return err
		}
	}
	return nil
}

func zeros(b []byte) bool { return len(b) == 8 && bytes.Count(b, []byte{0}) == 8 }

// value copies the value of an element if it is wanted, and goes past it. room is what is left of the parent.
func (w *walker) value(e element, implicit, keep bool, room int64, depth int) error {
	vr := ""
	if keep {
		vr = wanted[e.tag]
	}
	sequence := e.vr == sequenceVR || vr == sequenceVR || e.undefined && e.vr != "OB" && e.vr != "OW"
	if e.vr == "UN" {
		if w.syntax.bigEndian && (e.undefined || vr != "") {
			return fmt.Errorf("element %v is of unknown representation in a big-endian file", e.tag)
		}
		implicit = true // PS3.5, 6.2.2, note 3
	}
	if !e.undefined && e.length > room {
		return fmt.Errorf("element %v claims %d bytes: %w", e.tag, e.length, errTruncated)
	}
	switch {
	case sequence && (e.undefined || vr == sequenceVR):
		return w.sequence(e, implicit, vr == sequenceVR, room, depth)
	case e.undefined:
		_, err := w.fragments(room)
		return err
	case vr == "":
		return w.src.skip(e.length)
	case e.length > maxValue:
		return fmt.Errorf("element %v has %d bytes, expected at most %d", e.tag, e.length, maxValue)
	}
	w.putHead(e.tag, vr, uint32(e.length))
	if w.out.Len() > maxDataSet {
		return fmt.Errorf("the data set has more than %d bytes apart from the pixels", maxDataSet)
	}
	at := w.out.Len()
	w.out.Write(make([]byte, e.length))
	if err := w.src.read(w.out.Bytes()[at:]); err != nil {
		w.out.Truncate(at - headLength(vr))
		return err
	}
	return nil
}

// headLength is how many bytes putHead writes.
func headLength(vr string) int {
	if longVR[vr] {
		return 12
	}
	return 8
}

// putHead writes the head of an element with explicit VR.
func (w *walker) putHead(tag attribute, vr string, length uint32) {
	b := w.order.AppendUint16(w.order.AppendUint16(nil, uint16(tag>>16)), uint16(tag))
	b = append(b, vr...)
	if longVR[vr] {
		b = w.order.AppendUint32(append(b, 0, 0), length)
	} else {
		b = w.order.AppendUint16(b, uint16(length))
	}
	w.out.Write(b)
}

// putItem writes an item or a delimiter.
func (w *walker) putItem(tag attribute, length uint32) {
	b := w.order.AppendUint16(w.order.AppendUint16(nil, uint16(tag>>16)), uint16(tag))
	w.out.Write(w.order.AppendUint32(b, length))
}

// sequence goes through the items of a sequence. On an error the copy of it is dropped.
func (w *walker) sequence(e element, implicit, keep bool, room int64, depth int) (err error) {
	if depth++; depth > maxDepth {
		return fmt.Errorf("sequences are nested more than %d deep", maxDepth)
	}
	start := w.out.Len()
	defer func() {
		if err != nil {
			w.out.Truncate(start)
		}
	}()
	if keep {
		w.putHead(e.tag, sequenceVR, undefinedLength)
	}
	end := w.src.at + room
	if !e.undefined {
		end = w.src.at + e.length
	}
	for e.undefined || w.src.at < end {
		if w.src.at >= end {
			return fmt.Errorf("sequence %v: %w", e.tag, errTruncated)
		}
		i, err := w.head(true)
		if err != nil {
			return err
		}
		if i.tag == sequenceEnd {
			break
		}
		if i.tag != item {
			return fmt.Errorf("sequence %v: element %v in place of an item", e.tag, i.tag)
		}
		if err := w.item(i, implicit, keep, end-w.src.at, depth); err != nil {
			return err
		}
	}
	if keep {
		w.putItem(sequenceEnd, 0)
	}
	return nil
}

// item goes through the elements of an item.
func (w *walker) item(i element, implicit, keep bool, room int64, depth int) error {
	if !i.undefined && i.length > room {
		return fmt.Errorf("an item claims %d bytes: %w", i.length, errTruncated)
	}
	if !keep && !i.undefined {
		return w.src.skip(i.length)
	}
	if keep {
		w.putItem(item, undefinedLength)
	}
	end := w.src.at + room
	if !i.undefined {
		end = w.src.at + i.length
	}
	for i.undefined || w.src.at < end {
		if w.src.at >= end {
			return fmt.Errorf("an item: %w", errTruncated)
		}
		e, err := w.head(implicit)
		if err != nil {
			return err
		}
		if e.tag == itemEnd {
			break
		}
		if err := w.value(e, implicit, keep, end-w.src.at, depth); err != nil {
			return err
		}
	}
	if keep {
		w.putItem(itemEnd, 0)
	}
	return nil
}
