// Package npz reads and writes NumPy's .npy and .npz files.
//
// Own code, since codeberg.org/sbinet/npyio neither maps arrays into memory, which training needs, nor bounds what a
// hostile header asks for.
package npz

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
)

// Array is one n-dimensional array in C order.
type Array struct {
	Name  string // name inside a .npz, without ".npy"
	Shape []int  // empty for a scalar
	// Data is []float32, []float64, []int64, []int32, []int16, []uint8 or []bool, of as many elements as Shape says.
	// On reading, int8 becomes int16, uint16 becomes int32, uint32 becomes int64 and float16 becomes float32.
	Data any
}

// ErrFormat is wrapped by every error that says a file is not a NumPy file this package understands.
var ErrFormat = errors.New("not a readable NumPy file")

const (
	magic         = "\x93NUMPY"
	maxHeader     = 1 << 16 // numpy's own headers are below 1 KiB for plain arrays
	alignment     = 64      // numpy aligns the data to 64 bytes since 1.14
	maxDimensions = 32      // NPY_MAXDIMS
	chunkBytes    = 1 << 16
)

// header is what the text in front of the data says.
type header struct {
	kind    byte // 'f', 'i', 'u' or 'b'
	size    int  // bytes of one element
	big     bool // big-endian
	fortran bool // first axis fastest
	shape   []int
	count   int // elements
}

// Floats returns the data as float32, converted if it is another type.
func (a Array) Floats() []float32 {
	switch d := a.Data.(type) {
	case []float32:
		return d
	case []float64:
		return convert[float64, float32](d)
	case []int64:
		return convert[int64, float32](d)
	case []int32:
		return convert[int32, float32](d)
	case []int16:
		return convert[int16, float32](d)
	case []uint8:
		return convert[uint8, float32](d)
	case []bool:
		return convert[uint8, float32](boolBytes(d))
	}
	return nil
}

// Float64s returns the data as float64, converted if it is another type.
func (a Array) Float64s() []float64 {
	switch d := a.Data.(type) {
	case []float32:
		return convert[float32, float64](d)
	case []float64:
		return d
	case []int64:
		return convert[int64, float64](d)
	case []int32:
		return convert[int32, float64](d)
	case []int16:
		return convert[int16, float64](d)
	case []uint8:
		return convert[uint8, float64](d)
	case []bool:
		return convert[uint8, float64](boolBytes(d))
	}
	return nil
}

type number interface {
	~int16 | ~int32 | ~int64 | ~uint8 | ~float32 | ~float64
}

func convert[From, To number](in []From) []To {
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = To(v)
	}
	return out
}

func boolBytes(in []bool) []uint8 {
	out := make([]uint8, len(in))
	for i, v := range in {
		if v {
			out[i] = 1
		}
	}
	return out
}

// ReadNPY reads one .npy file.
func ReadNPY(path string) (Array, error) {
	f, err := infile.Open(path)
	if err != nil {
		return Array{}, err
	}
	defer f.Close()
	a, err := readArray(bufio.NewReaderSize(f, chunkBytes), f.Size())
	if err != nil {
		return Array{}, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// WriteNPY writes one .npy file, whole or not at all. The array's name is not stored.
func WriteNPY(path string, a Array) error {
	return atomicfile.Write(path, func(w io.Writer) error { return writeArray(w, a) })
}

// readArray reads a header and its data from r, which holds total bytes. Nothing is allocated on the word of a
// header that claims more than is there.
func readArray(r io.Reader, total int64) (Array, error) {
	a, _, err := readArrayAtMost(r, total, math.MaxInt)
	return a, err
}

// readArrayAtMost reads an array of at most so many elements, and returns how many it has.
func readArrayAtMost(r io.Reader, total int64, elements int) (Array, int, error) {
	h, n, err := readHeader(r)
	if err != nil {
		return Array{}, 0, err
	}
	if h.count > elements {
		return Array{}, 0, fmt.Errorf("%w: an array of shape %v, expected at most %d elements", ErrFormat, h.shape, elements)
	}
	if left := total - int64(n); int64(h.count) > left/int64(h.size) {
		return Array{}, 0, fmt.Errorf("%w: the header claims %d elements of %d bytes, but %d bytes follow", ErrFormat, h.count, h.size, left)
	}
	data, err := readData(r, h)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return Array{}, 0, fmt.Errorf("%w: file ends before its data does", ErrFormat)
		}
		return Array{}, 0, err
	}
	return Array{Shape: h.shape, Data: data}, h.count, nil
}

// readHeader reads up to the first byte of data and tells how many bytes that were.
func readHeader(r io.Reader) (header, int, error) {
	var start [12]byte
	if _, err := io.ReadFull(r, start[:10]); err != nil {
		return header{}, 0, fmt.Errorf("%w: too short for a header", ErrFormat)
	}
	if string(start[:6]) != magic {
		return header{}, 0, fmt.Errorf("%w: no NumPy signature at its start", ErrFormat)
	}
	length, n := int(binary.LittleEndian.Uint16(start[8:])), 10
	switch start[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return header{}, 0, fmt.Errorf("%w: too short for a header", ErrFormat)
		}
		claimed := binary.LittleEndian.Uint32(start[8:])
		if claimed > maxHeader {
			return header{}, 0, fmt.Errorf("%w: header of %d bytes", ErrFormat, claimed)
		}
		length, n = int(claimed), 12
	default:
		return header{}, 0, fmt.Errorf("%w: format version %d", ErrFormat, start[6])
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return header{}, 0, fmt.Errorf("%w: header cut short", ErrFormat)
	}
	h, err := parseHeader(string(text))
	return h, n + length, err
}

// parseHeader reads the Python dictionary literal {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
func parseHeader(text string) (header, error) {
	var h header
	descr, ok := dictValue(text, "descr")
	if !ok || len(descr) < 2 || (descr[0] != '\'' && descr[0] != '"') {
		return h, fmt.Errorf("%w: no plain data type in header %q", ErrFormat, strings.TrimSpace(text))
	}
	end := strings.IndexByte(descr[1:], descr[0])
	if end < 3 {
		return h, fmt.Errorf("%w: no plain data type in header %q", ErrFormat, strings.TrimSpace(text))
	}
	descr = descr[1 : 1+end]
	switch descr[0] {
	case '<', '|', '=':
	case '>':
		h.big = true
	default:
		return h, fmt.Errorf("%w: data type %q", ErrFormat, descr)
	}
	h.kind = descr[1]
	switch descr[1:] {
	case "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "b1":
		h.size = int(descr[2] - '0')
	default:
		return h, fmt.Errorf("%w: data type %q (numbers and booleans are read, nothing else)", ErrFormat, descr)
	}
	order, ok := dictValue(text, "fortran_order")
	if !ok {
		return h, fmt.Errorf("%w: no fortran_order in header", ErrFormat)
	}
	h.fortran = strings.HasPrefix(order, "True")
	shape, ok := dictValue(text, "shape")
	if !ok || !strings.HasPrefix(shape, "(") || !strings.Contains(shape, ")") {
		return h, fmt.Errorf("%w: no shape in header", ErrFormat)
	}
	h.count = 1
	for _, part := range strings.Split(shape[1:strings.IndexByte(shape, ')')], ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(part, "L"))
		if err != nil || n < 0 || len(h.shape) == maxDimensions {
			return h, fmt.Errorf("%w: shape %q", ErrFormat, shape)
		}
		if n > 0 && h.count > math.MaxInt/8/n {
			return h, fmt.Errorf("%w: shape %q is beyond any memory", ErrFormat, shape)
		}
		h.shape = append(h.shape, n)
		h.count *= n
	}
	return h, nil
}

// dictValue returns the text after 'key': in a Python dictionary literal.
func dictValue(text, key string) (string, bool) {
	for _, quote := range []string{"'", `"`} {
		if _, after, ok := strings.Cut(text, quote+key+quote); ok {
			after = strings.TrimSpace(after)
			if strings.HasPrefix(after, ":") {
				return strings.TrimSpace(after[1:]), true
			}
		}
	}
	return "", false
}

// formatHeader is the whole header in front of the data, padded so that the data is aligned.
func formatHeader(descr string, shape []int) []byte {
	var dims strings.Builder
	for i, n := range shape {
		if i > 0 {
			dims.WriteString(", ")
		}
		dims.WriteString(strconv.Itoa(n))
	}
	if len(shape) == 1 {
		dims.WriteString(",")
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims.String())
	pad := alignment - (10+len(text)+1)%alignment
	if pad == alignment {
		pad = 0
	}
	var b bytes.Buffer
	b.WriteString(magic)
	b.Write([]byte{1, 0})
	binary.Write(&b, binary.LittleEndian, uint16(len(text)+pad+1))
	b.WriteString(text)
	b.WriteString(strings.Repeat(" ", pad))
	b.WriteByte('\n')
	return b.Bytes()
}
