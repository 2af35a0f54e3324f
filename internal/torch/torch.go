// Package torch reads files of PyTorch (torch.save, in zip and older form) and pickles of plain values, as data: nothing in
// a file is ever run. It is own code because the readers to be had (nlpodyssey/gopickle) build any class a file names and bound
// neither sizes nor steps.
package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/universal-classifier/uc/internal/weights"
)

const (
	zipStart = "PK\x03\x04"
	// oldTorchStart follows the two bytes of the pickle protocol in files of torch.save before PyTorch 1.6: the magic number
	// 0x1950a86a20f9469cfc6c as a pickle.
	oldTorchStart = "\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
)

// ReadAny reads a state dictionary from a safetensors file or a PyTorch checkpoint, told apart by content.
func ReadAny(path string) (*weights.StateDict, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	start := make([]byte, 2+len(oldTorchStart))
	n, err := io.ReadFull(f, start)
	f.Close()
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if isTorch(start[:n]) {
		sd, _, err := Read(path)
		return sd, err
	}
	sd, _, err := weights.ReadSafetensors(path)
	return sd, err
}

func isTorch(start []byte) bool { return bytes.HasPrefix(start, []byte(zipStart)) || isOldTorch(start) }

func isOldTorch(start []byte) bool {
	return len(start) > 2 && start[0] == 0x80 && bytes.HasPrefix(start[2:], []byte(oldTorchStart))
}

// Read reads a file of torch.save, of today's (zip) or of the old form, as data: nothing in it is run. The
// file holds a state dictionary, or a dictionary with one under "state_dict" as the reference's checkpoints
// (model_final_checkpoint.model) do; extras then holds the other entries as plain Go values (see ReadPickle), with *weights.Tensor for
// tensors. Floating-point tensors become float32, all others int64. Names lose the "module." of data-parallel training.
func Read(path string) (sd *weights.StateDict, extras map[string]any, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	sd, extras, err = decodeTorch(f, info.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return sd, extras, nil
}

// ReadPickle reads a pickle of plain values, such as the reference's plans.pkl and model_final_checkpoint.model.pkl, as
// data: nothing in it is run. Values come as nil, bool, int64, float64, string (also for bytes), []any for lists, tuples, sets and
// NumPy arrays (one level per axis), map[string]any for dictionaries (an int key i as text), *big.Int beyond 64 bits.
func ReadPickle(path string) (any, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPickle+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxPickle {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, maxPickle)
	}
	v, err := decodePickle(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func decodePickle(b []byte) (any, error) {
	u := unpickler{in: b}
	v, err := u.load()
	if err != nil {
		return nil, err
	}
	c := newConverter(int64(len(b)))
	return c.value(v, 0)
}

func decodeTorch(r io.ReaderAt, size int64) (*weights.StateDict, map[string]any, error) {
	start := make([]byte, min(size, int64(2+len(oldTorchStart))))
	if _, err := r.ReadAt(start, 0); err != nil && err != io.EOF {
		return nil, nil, err
	}
	var root any
	var err error
	switch {
	case isOldTorch(start):
		root, err = readTorchOld(r, size)
	case isTorch(start):
		root, err = readTorchZip(r, size)
	default:
		err = errors.New("not a file of torch.save: neither a zip nor its older form")
	}
	if err != nil {
		return nil, nil, err
	}
	return stateOf(root, newConverter(size))
}

// readTorchZip reads <name>/data.pkl; the elements of storage k lie uncompressed in <name>/data/k.
func readTorchZip(r io.ReaderAt, size int64) (any, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("not a PyTorch file: %w", err)
	}
	entries := map[string]*zip.File{}
	prefix, found := "", false
	for _, e := range archive.File {
		entries[e.Name] = e
		if name, ok := strings.CutSuffix(e.Name, "data.pkl"); ok && !found {
			prefix, found = name, true
		}
	}
	if !found {
		return nil, errors.New("not a PyTorch file: a zip without data.pkl")
	}
	if order, ok := entries[prefix+"byteorder"]; ok {
		if b, err := readStored(order, size, 16); err != nil || string(bytes.TrimSpace(b)) != "little" {
			return nil, fmt.Errorf("byte order %.16q; only little can be read", b)
		}
	}
	program, err := readStored(entries[prefix+"data.pkl"], size, maxPickle)
	if err != nil {
		return nil, err
	}
	storages := map[string]*torchStorage{}
	left := size // what storages may add up to, however often the zip lists the same bytes
	u := unpickler{in: program, storage: func(id pickleTuple) (*torchStorage, error) {
		s, err := storageOf(id, storages)
		if err != nil || s.data != nil {
			return s, err
		}
		e, ok := entries[prefix+"data/"+s.key]
		if !ok {
			return nil, fmt.Errorf("no data/%.40s in the file", s.key)
		}
		if s.data, err = readStored(e, size, left); err != nil {
			return nil, err
		}
		left -= int64(len(s.data))
		return s, s.check()
	}}
	return u.load()
}

// readStored reads an entry of a zip that is not compressed, so that it cannot be longer than the file.
func readStored(e *zip.File, fileSize, limit int64) ([]byte, error) {
	if e.Method != zip.Store {
		return nil, fmt.Errorf("%.80s: compressed; torch.save does not compress", e.Name)
	}
	if e.UncompressedSize64 > uint64(fileSize) || e.UncompressedSize64 > uint64(limit) {
		return nil, fmt.Errorf("%.80s: claims %d bytes in a file of %d", e.Name, e.UncompressedSize64, fileSize)
	}
	in, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%.80s: %w", e.Name, err)
	}
	defer in.Close()
	b := make([]byte, e.UncompressedSize64)
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, fmt.Errorf("%.80s: %w", e.Name, err)
	}
	if _, err := in.Read(make([]byte, 1)); err != io.EOF { // reads the checksum
		return nil, fmt.Errorf("%.80s: damaged: %v", e.Name, err)
	}
	return b, nil
}

// readTorchOld reads five pickles (magic number, protocol, platform, the object, the keys of its storages in order), then
// per storage its number of elements (int64) and the elements.
func readTorchOld(r io.ReaderAt, size int64) (any, error) {
	b := make([]byte, size)
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	storages := map[string]*torchStorage{}
	u := unpickler{in: b, storage: func(id pickleTuple) (*torchStorage, error) { return storageOf(id, storages) }}
	var parts [5]any
	for i := range parts {
		v, err := u.load()
		if err != nil {
			return nil, err
		}
		parts[i] = v
	}
	if platform, ok := parts[2].(*pickleDict); ok {
		if little, ok := platform.get("little_endian"); ok && little == false {
			return nil, errors.New("written on a big-endian machine; only little can be read")
		}
	}
	keys, ok := parts[4].(*pickleList)
	if !ok {
		return nil, errors.New("no list of storages")
	}
	for _, k := range keys.items {
		key, _ := k.(string)
		s, ok := storages[key]
		if !ok {
			return nil, fmt.Errorf("elements of storage %.40q, which nothing uses", key)
		}
		count, err := u.take(8)
		if err != nil {
			return nil, err
		}
		if n := binary.LittleEndian.Uint64(count); n != uint64(s.elements) {
			return nil, fmt.Errorf("storage %.40s: %d elements, but %d were announced", key, n, s.elements)
		}
		if s.elements > size {
			return nil, fmt.Errorf("storage %.40s: claims %d elements in a file of %d bytes", key, s.elements, size)
		}
		if s.data, err = u.take(int(s.elements) * s.kind.size); err != nil {
			return nil, fmt.Errorf("storage %.40s: %w", key, err)
		}
	}
	return parts[3], nil
}

// storageOf finds or makes the storage of a persistent id ("storage", class, key, device, elements, ...).
func storageOf(id pickleTuple, storages map[string]*torchStorage) (*torchStorage, error) {
	if len(id) < 5 || id[0] != "storage" {
		return nil, errors.New("refers to something else than a storage")
	}
	class, ok1 := id[1].(pickleGlobal)
	key, ok2 := id[2].(string)
	elements, ok3 := id[4].(int64)
	kind, ok4 := torchStorages[class.name]
	if !ok1 || !ok2 || !ok3 || !ok4 || elements < 0 || elements > maxElements {
		return nil, errors.New("a storage without class, key or number of elements")
	}
	if len(id) > 5 && id[5] != nil {
		return nil, errors.New("a storage that is a view of another, as PyTorch before 0.4 wrote them")
	}
	s, ok := storages[key]
	if !ok {
		s = &torchStorage{kind: kind, key: key, elements: elements}
		storages[key] = s
	} else if s.elements != elements || s.kind.size != kind.size || s.kind.float != kind.float {
		return nil, fmt.Errorf("storage %.40s is described in two ways", key)
	}
	return s, nil
}

func (s *torchStorage) check() error {
	if int64(len(s.data))/int64(s.kind.size) < s.elements {
		return fmt.Errorf("storage %.40s: %d elements of %d bytes were announced, but it has %d bytes", s.key, s.elements, s.kind.size, len(s.data))
	}
	return nil
}

// stateOf takes the tensors out of what a file holds.
func stateOf(root any, c *converter) (*weights.StateDict, map[string]any, error) {
	top, ok := root.(*pickleDict)
	if !ok {
		return nil, nil, fmt.Errorf("holds a %s; a state dictionary was expected", kindOf(root))
	}
	inner, extras := top, map[string]any{}
	if v, ok := top.get("state_dict"); ok {
		if inner, ok = v.(*pickleDict); !ok {
			return nil, nil, fmt.Errorf("state_dict is a %s; a dictionary was expected", kindOf(v))
		}
		for i, key := range top.keys {
			if key == "state_dict" {
				continue
			}
			value, err := c.value(top.values[i], 0)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", keyText(key), err)
			}
			extras[keyText(key)] = value
		}
	}
	parallel := len(inner.keys) > 0
	for _, key := range inner.keys {
		parallel = parallel && strings.HasPrefix(keyText(key), "module.")
	}
	sd := weights.NewStateDict()
	for i, key := range inner.keys {
		name := keyText(key)
		view, ok := inner.values[i].(*torchTensor)
		if !ok {
			return nil, nil, fmt.Errorf("%.80s is a %s; a tensor was expected (a whole module cannot be read: save its state_dict())", name, kindOf(inner.values[i]))
		}
		t, err := c.tensor(view)
		if err != nil {
			return nil, nil, fmt.Errorf("%.80s: %w", name, err)
		}
		if parallel {
			name = strings.TrimPrefix(name, "module.")
		}
		sd.Set(name, t)
	}
	return sd, extras, nil
}

// converter turns values of a pickle into plain Go values. Sharing lets a short pickle describe endless values: what has been
// made is counted against a budget that real files stay far below.
type converter struct {
	budget int64
}

// valueCost is what a value costs in a list, next to an element of a tensor: Go keeps it in 16 to 24 bytes.
const valueCost = 4

// newConverter allows eight elements for each byte of the file, and a million.
func newConverter(size int64) *converter { return &converter{budget: 8*size + 1<<20} }

func (c *converter) spend(n int64) error {
	if n > c.budget {
		return errors.New("describes more values than a file of its size can hold")
	}
	c.budget -= n
	return nil
}

func (c *converter) value(v any, depth int) (any, error) {
	if depth > 100 {
		return nil, errors.New("nested more than 100 deep")
	}
	if err := c.spend(valueCost); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case pickleBytes:
		return string(v), nil
	case pickleTuple:
		return c.sequence(v, depth)
	case *pickleList:
		return c.sequence(v.items, depth)
	case *pickleDict:
		out := make(map[string]any, len(v.keys))
		for i, key := range v.keys {
			value, err := c.value(v.values[i], depth+1)
			if err != nil {
				return nil, err
			}
			out[keyText(key)] = value
		}
		return out, nil
	case pickleGlobal:
		return v.module + "." + v.name, nil
	case *torchTensor:
		return c.tensor(v)
	case *numpyArray:
		if v.dtype == nil {
			return nil, errors.New("an array without elements or shape")
		}
		n := int64(1)
		for _, s := range v.shape {
			n *= max(1, s) // build bounds the product
			if err := c.spend(valueCost * n); err != nil {
				return nil, err
			}
		}
		return v.nested(0, 0, 1), nil
	case *numpyType:
		return v.name, nil
	case *torchStorage:
		return nil, errors.New("a storage without a tensor")
	}
	return v, nil
}

func (c *converter) sequence(items []any, depth int) ([]any, error) {
	out := make([]any, len(items))
	for i, item := range items {
		value, err := c.value(item, depth+1)
		if err != nil {
			return nil, err
		}
		out[i] = value
	}
	return out, nil
}

// tensor copies a view into C order.
func (c *converter) tensor(v *torchTensor) (*weights.Tensor, error) {
	n := int64(1)
	shape := make([]int, len(v.shape))
	for i, s := range v.shape {
		shape[i] = int(s)
		if s == 0 {
			n = 0
		}
	}
	for _, s := range v.shape {
		if n > 0 && s > c.budget/n {
			return nil, fmt.Errorf("shape %v is more than a file of its size can hold", v.shape)
		}
		n *= s
	}
	if err := c.spend(n + 1); err != nil {
		return nil, err
	}
	kind, data := v.storage.kind, v.storage.data
	if n > 0 && int64(len(data)) < v.storage.elements*int64(kind.size) {
		return nil, fmt.Errorf("the elements of storage %.40s are missing", v.storage.key)
	}
	t := &weights.Tensor{Shape: shape}
	if kind.float {
		t.F32 = make([]float32, n)
	} else {
		t.I64 = make([]int64, n)
	}
	index := make([]int64, len(shape))
	at := v.offset
	for i := range n {
		element := data[at*int64(kind.size):]
		if kind.float {
			t.F32[i] = float32(kind.real(element, binary.LittleEndian))
		} else {
			t.I64[i] = kind.integer(element, binary.LittleEndian)
		}
		for axis := len(index) - 1; axis >= 0; axis-- {
			index[axis]++
			at += v.stride[axis]
			if index[axis] < v.shape[axis] {
				break
			}
			at -= index[axis] * v.stride[axis]
			index[axis] = 0
		}
	}
	return t, nil
}

// nested is the array from an element on, from an axis on, as lists in lists; step is the distance of neighbours along that axis
// for Fortran order.
func (a *numpyArray) nested(axis int, at, step int64) any {
	size := int64(numpyKinds[a.dtype.name].size)
	if axis == len(a.shape) {
		return a.dtype.element(a.data[at*size : (at+1)*size])
	}
	n := a.shape[axis]
	distance := step
	if !a.fortran {
		distance = 1
		for _, s := range a.shape[axis+1:] {
			distance *= s
		}
	}
	out := make([]any, n)
	for i := range n {
		out[i] = a.nested(axis+1, at+i*distance, step*n)
	}
	return out
}
