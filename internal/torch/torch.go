// Package torch reads files of PyTorch (torch.save, in zip and older form) and pickles of plain values, as data:
// nothing in a file is ever run. It is own code because the readers to be had (nlpodyssey/gopickle) build any class a
// file names and bound neither sizes nor steps.
package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/weights"
)

const (
	zipStart = "PK\x03\x04"
	// oldTorchStart follows the two bytes of the pickle protocol in files of torch.save before PyTorch 1.6: the magic
	// number 0x1950a86a20f9469cfc6c as a pickle.
	oldTorchStart = "\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
)

// ReadAny reads a state dictionary from a safetensors file or a PyTorch checkpoint, told apart by content.
func ReadAny(path string) (*weights.StateDict, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	start := make([]byte, 2+len(oldTorchStart))
	n, err := io.ReadFull(f, start)
	f.Close()
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if isTorch(start[:n]) || isPickle(start[:n]) {
		sd, _, err := read(path, false)
		return sd, err
	}
	sd, _, err := weights.ReadSafetensors(path)
	return sd, err
}

func isTorch(start []byte) bool { return bytes.HasPrefix(start, []byte(zipStart)) || isOldTorch(start) }

// isPickle reports whether a file begins as a pickle since protocol 2. So may a safetensors file, whose first eight
// bytes are the length of the JSON that follows.
func isPickle(start []byte) bool {
	safetensors := len(start) > 8 && start[8] == '{' && [4]byte(start[4:8]) == [4]byte{}
	return len(start) > 1 && start[0] == 0x80 && start[1] >= 2 && start[1] <= 5 && !safetensors
}

func isOldTorch(start []byte) bool {
	return len(start) > 2 && start[0] == 0x80 && bytes.HasPrefix(start[2:], []byte(oldTorchStart))
}

// Read reads a file of torch.save, of today's (zip) or of the old form, as data: nothing in it is run. The file holds a
// state dictionary, or a dictionary with one under "state_dict" as the reference's checkpoints
// (model_final_checkpoint.model) do; extras then holds the other entries as plain Go values (see ReadPickle), with
// *weights.Tensor for tensors. Floating-point tensors become float32, all others int64. Names lose the "module." of
// data-parallel training.
func Read(path string) (sd *weights.StateDict, extras map[string]any, err error) {
	return read(path, true)
}

// read leaves the other entries alone unless they are wanted: the momenta of an optimiser are as large as the weights.
func read(path string, wantExtras bool) (sd *weights.StateDict, extras map[string]any, err error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	sd, extras, err = decodeTorch(f, f.Size(), wantExtras)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return sd, extras, nil
}

// ReadPickle reads a pickle of plain values, such as the reference's plans.pkl and model_final_checkpoint.model.pkl, as
// data: nothing in it is run. Values come as nil, bool, int64, float64, string (also for bytes), []any for lists,
// tuples, sets and NumPy arrays (one level per axis), map[string]any for dictionaries (an int key i as text), *big.Int
// beyond 64 bits.
func ReadPickle(path string) (any, error) {
	b, err := infile.ReadFile(path, maxPickle)
	if err != nil {
		return nil, err
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
	c := newConverter(int64(len(b)), 0)
	return c.value(v, 0)
}

// IsPickle reports whether a file that is either JSON or a pickle is a pickle.
func IsPickle(path string) (bool, error) {
	f, err := infile.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	start := make([]byte, 1)
	if _, err := io.ReadFull(f, start); err != nil {
		return false, nil // an empty file is neither; JSON's error says so
	}
	return start[0] == 0x80, nil // PROTO, the first operation since protocol 2
}

func decodeTorch(r io.ReaderAt, size int64, wantExtras bool) (*weights.StateDict, map[string]any, error) {
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
	case isPickle(start):
		err = notTorch(r, size)
	default:
		err = errors.New("not a file of torch.save: neither a zip nor its older form")
	}
	if err != nil {
		return nil, nil, err
	}
	return stateOf(root, newConverter(min(size, maxPickle), size), wantExtras)
}

// notTorch says what is wrong with a plain pickle instead of a checkpoint: what it asks for, if that is refused.
func notTorch(r io.ReaderAt, size int64) error {
	b := make([]byte, min(size, maxPickle))
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	u := unpickler{in: b}
	if _, err := u.load(); err != nil {
		return err
	}
	return errors.New("a plain pickle, not a file of torch.save")
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
		if err != nil || s.read != nil {
			return s, err
		}
		e, ok := entries[prefix+"data/"+s.key]
		if !ok {
			return nil, fmt.Errorf("no data/%.40s in the file", s.key)
		}
		s.read = func() ([]byte, error) {
			b, err := readStored(e, size, left)
			if err != nil {
				return nil, err
			}
			left -= int64(len(b))
			if int64(len(b))/int64(s.kind.size) < s.elements {
				return nil, fmt.Errorf("storage %.40s: %d elements of %d bytes were announced, but it has %d bytes", s.key, s.elements, s.kind.size, len(b))
			}
			return b, nil
		}
		return s, nil
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

// readTorchOld reads five pickles (magic number, protocol, platform, the object, the keys of its storages in order),
// then finds per storage its number of elements (int64) and the elements.
func readTorchOld(r io.ReaderAt, size int64) (any, error) {
	b := make([]byte, min(size, maxPickle)) // the pickles come first
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
	at := int64(u.pos)
	for _, k := range keys.items {
		key, _ := k.(string)
		s, ok := storages[key]
		if !ok {
			return nil, fmt.Errorf("elements of storage %.40q, which nothing uses", key)
		}
		var count [8]byte
		if _, err := r.ReadAt(count[:], at); err != nil {
			return nil, fmt.Errorf("storage %.40s: the file ends before its elements: %w", key, err)
		}
		if n := binary.LittleEndian.Uint64(count[:]); n != uint64(s.elements) {
			return nil, fmt.Errorf("storage %.40s: %d elements, but %d were announced", key, n, s.elements)
		}
		from, length := at+8, s.elements*int64(s.kind.size) // elements are at most maxElements
		if length > size-from {
			return nil, fmt.Errorf("storage %.40s: claims %d elements in a file of %d bytes", key, s.elements, size)
		}
		s.read = func() ([]byte, error) {
			data := make([]byte, length)
			_, err := r.ReadAt(data, from)
			if err == io.EOF && length == 0 {
				err = nil
			}
			return data, err
		}
		at = from + length
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

// stateOf takes the tensors out of what a file holds.
func stateOf(root any, c *converter, wantExtras bool) (*weights.StateDict, map[string]any, error) {
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
			if key == "state_dict" || !wantExtras {
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

// converter turns values of a pickle into plain Go values. Sharing lets a short pickle describe endless values: what
// has been made is counted against two budgets that real files stay far below.
type converter struct {
	memory   int64 // bytes for plain values
	elements int64 // of tensors
}

// maxPlainMemory bounds the memory of all plain values.
const maxPlainMemory = 48 << 20

// newConverter allows for memory in proportion to the pickle, and for as many elements of tensors as the file has
// bytes, and some more.
func newConverter(pickleSize, fileSize int64) *converter {
	return &converter{memory: min(memoryAtLeast+memoryPerByte*pickleSize, maxPlainMemory), elements: fileSize + 1<<20}
}

func (c *converter) spend(bytes int64) error {
	if bytes > c.memory {
		return errors.New("describes more values than a file of its size can hold")
	}
	c.memory -= bytes
	return nil
}

func (c *converter) value(v any, depth int) (any, error) {
	if depth > 100 {
		return nil, errors.New("nested more than 100 deep")
	}
	if err := c.spend(costSlot + costValue); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case pickleBytes:
		return string(v), c.spend(int64(len(v)))
	case pickleTuple:
		return c.sequence(v, depth)
	case *pickleList:
		return c.sequence(v.items, depth)
	case *pickleDict:
		if err := c.spend(costDict + costEntry*int64(len(v.keys))); err != nil {
			return nil, err
		}
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
			n *= max(1, s) // newNumpyArray bounds the product
			if err := c.spend((costSlot + costValue) * n); err != nil {
				return nil, err
			}
		}
		if err := c.spend(int64(len(v.data))); err != nil {
			return nil, err
		}
		return v.nested(0, 0, 1, c, depth)
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
		if n > 0 && s > c.elements/n {
			return nil, fmt.Errorf("shape %v is more than a file of its size can hold", v.shape)
		}
		n *= s
	}
	c.elements -= n
	if err := c.spend(2 * costDict); err != nil {
		return nil, err
	}
	if err := v.storage.load(); err != nil {
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

// nested is the array from an element on, from an axis on, as lists in lists; step is the distance of neighbours along
// that axis for Fortran order.
func (a *numpyArray) nested(axis int, at, step int64, c *converter, depth int) (any, error) {
	if axis == len(a.shape) {
		if a.dtype.name == "O" {
			return c.value(a.objects[at], depth+1)
		}
		size := int64(a.dtype.size)
		return a.dtype.element(a.data[at*size : (at+1)*size]), nil
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
		item, err := a.nested(axis+1, at+i*distance, step*n, c, depth)
		if err != nil {
			return nil, err
		}
		out[i] = item
	}
	return out, nil
}
