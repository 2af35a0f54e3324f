package weights

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
)

// maxHeader is the largest JSON header read, the limit of the safetensors library itself.
const maxHeader = 100 << 20

// maxExtent is more elements than the axes of any tensor span.
const maxExtent = 1 << 40

const metadataKey = "__metadata__"

type entry struct {
	Dtype   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// WriteSafetensors writes the state dictionary in its order, whole or not at all. The metadata is a flat map of
// strings, as the format wants.
func WriteSafetensors(path string, sd *StateDict, metadata map[string]string) error {
	header, err := encodeHeader(sd, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if err := binary.Write(w, binary.LittleEndian, uint64(len(header))); err != nil {
			return err
		}
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, name := range sd.names {
			if err := writeValues(w, sd.tensors[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// encodeHeader writes the JSON by hand, because a map would lose the order of the names. It is padded with spaces to a
// multiple of 8.
func encodeHeader(sd *StateDict, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	put := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
		return nil
	}
	if len(metadata) > 0 {
		if err := put(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	offset := int64(0)
	for _, name := range sd.names {
		t := sd.tensors[name]
		if err := t.Check(); err != nil {
			return nil, fmt.Errorf("tensor %s %w", name, err)
		}
		if name == metadataKey {
			return nil, fmt.Errorf("a tensor cannot be named %s", metadataKey)
		}
		e := entry{Dtype: "F32", Shape: make([]int64, len(t.Shape))}
		size := int64(4)
		if t.I64 != nil {
			e.Dtype, size = "I64", 8
		}
		for i, s := range t.Shape {
			e.Shape[i] = int64(s)
		}
		e.Offsets = [2]int64{offset, offset + size*int64(t.Len())}
		offset = e.Offsets[1]
		if err := put(name, e); err != nil {
			return nil, err
		}
	}
	if b.Len() == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return b.Bytes(), nil
}

func writeValues(w io.Writer, t *Tensor) error {
	var buf [8192]byte
	for lo := 0; lo < len(t.F32); lo += len(buf) / 4 {
		part := t.F32[lo:min(lo+len(buf)/4, len(t.F32))]
		for i, v := range part {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		if _, err := w.Write(buf[:4*len(part)]); err != nil {
			return err
		}
	}
	for _, v := range t.I64 {
		binary.LittleEndian.PutUint64(buf[:], uint64(v))
		if _, err := w.Write(buf[:8]); err != nil {
			return err
		}
	}
	return nil
}

// ReadSafetensors reads a file of float32 and int64 tensors, in the order of their data, with its metadata. The file is
// not trusted: header size, JSON, data types, shapes and offsets are checked before anything is allocated for them.
func ReadSafetensors(path string) (*StateDict, map[string]string, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	sd, meta, err := Decode(bufio.NewReaderSize(f, 1<<20), f.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: not a readable safetensors file: %w", path, err)
	}
	return sd, meta, nil
}

// Decode reads a safetensors stream of the given length in bytes.
func Decode(r io.Reader, size int64) (*StateDict, map[string]string, error) {
	var length uint64
	if size < 8 {
		return nil, nil, fmt.Errorf("%d bytes are too few", size)
	}
	if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
		return nil, nil, err
	}
	if length > maxHeader || int64(length) > size-8 {
		return nil, nil, fmt.Errorf("header claims %d bytes, but the file has %d and the limit is %d", length, size, maxHeader)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	entries, meta, err := decodeHeader(header)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if err := checkEntries(entries, size-8-int64(length)); err != nil {
		return nil, nil, err
	}
	sd := NewStateDict()
	for _, e := range entries {
		t, err := readValues(r, e.entry)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %s: %w", e.name, err)
		}
		sd.Set(e.name, t)
	}
	return sd, meta, nil
}

type namedEntry struct {
	name string
	entry
}

func decodeHeader(header []byte) (entries []namedEntry, meta map[string]string, err error) {
	d := json.NewDecoder(bytes.NewReader(header))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, nil, errors.New("expected a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		name, ok := tok.(string)
		if !ok {
			return nil, nil, fmt.Errorf("expected a name, found %v", tok)
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("%q appears twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := d.Decode(&meta); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		e := namedEntry{name: name}
		if err := d.Decode(&e.entry); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		entries = append(entries, e)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, errors.New("something follows the JSON object")
	}
	return entries, meta, nil
}

// checkEntries orders the entries by their data and checks that they fill the data part without gap or overlap.
func checkEntries(entries []namedEntry, dataLen int64) error {
	slices.SortStableFunc(entries, func(a, b namedEntry) int {
		if a.Offsets[0] != b.Offsets[0] {
			return int(max(-1, min(1, a.Offsets[0]-b.Offsets[0])))
		}
		return int(max(-1, min(1, a.Offsets[1]-b.Offsets[1])))
	})
	next := int64(0)
	for _, e := range entries {
		var size int64
		switch e.Dtype {
		case "F32":
			size = 4
		case "I64":
			size = 8
		default:
			return fmt.Errorf("tensor %s has data type %q; only F32 and I64 are read", e.name, e.Dtype)
		}
		extent := int64(1) // without the axes of length 0, which hide what the others claim
		for _, s := range e.Shape {
			if s < 0 || (s > 0 && (size > dataLen/s || extent > maxExtent/s)) {
				return fmt.Errorf("tensor %s of shape %v does not fit into the file's %d bytes of data", e.name, e.Shape, dataLen)
			}
			size *= s
			extent *= max(s, 1)
		}
		if e.Offsets[0] != next || e.Offsets[1]-e.Offsets[0] != size || e.Offsets[1] > dataLen {
			return fmt.Errorf("tensor %s of shape %v lies at bytes %d to %d; expected %d bytes from %d on", e.name, e.Shape, e.Offsets[0], e.Offsets[1], size, next)
		}
		next = e.Offsets[1]
	}
	if next != dataLen {
		return fmt.Errorf("the tensors end at byte %d of the data, the file at %d", next, dataLen)
	}
	return nil
}

func readValues(r io.Reader, e entry) (*Tensor, error) {
	t := &Tensor{Shape: make([]int, len(e.Shape))}
	n := int64(1)
	for i, s := range e.Shape {
		t.Shape[i] = int(s)
		n *= s
	}
	if e.Dtype == "I64" {
		t.I64 = make([]int64, n)
		return t, binary.Read(r, binary.LittleEndian, t.I64)
	}
	t.F32 = make([]float32, n)
	return t, binary.Read(r, binary.LittleEndian, t.F32)
}
