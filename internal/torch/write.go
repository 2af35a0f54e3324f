package torch

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/weights"
)

// Write writes value in the zip form of torch.save, whole or not at all. torch.load(weights_only=True) reads it as long
// as value consists of tensors (*weights.Tensor), dictionaries, lists, tuples, numbers and strings; an Array needs
// weights_only=False.
func Write(path string, value any) error {
	var tensors []*weights.Tensor
	p := pickler{storage: func(t *weights.Tensor) (string, error) {
		tensors = append(tensors, t)
		return fmt.Sprint(len(tensors) - 1), nil
	}}
	program, err := p.encode(value)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		a := archive{out: zip.NewWriter(w), folder: name + "/"}
		a.add("data.pkl", program)
		a.add("byteorder", []byte("little"))
		for i, t := range tensors {
			a.add(fmt.Sprintf("data/%d", i), encodeTensor(t))
		}
		a.add("version", []byte("3\n"))
		if a.err != nil {
			return a.err
		}
		return a.out.Close()
	})
}

// WritePickle writes plain values as a pickle of protocol 2, whole or not at all.
func WritePickle(path string, value any) error {
	var p pickler
	program, err := p.encode(value)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, program)
}

// StateDict is sd as torch.save writes the state_dict of a module.
func StateDict(sd *weights.StateDict) OrderedDict {
	var d OrderedDict
	for _, name := range sd.Names() {
		d = append(d, Item{name, sd.Get(name)})
	}
	return d
}

// archive writes entries as PyTorch's own writer does: not compressed, sizes and checksum in front, values aligned so
// that they can be mapped into memory.
type archive struct {
	out    *zip.Writer
	folder string
	at     int // bytes written
	err    error
}

const (
	alignment       = 64
	localHeaderSize = 30
	paddingTag      = "FB" // of the extra field, as in PyTorch
)

func (a *archive) add(name string, data []byte) {
	if a.err != nil {
		return
	}
	h := &zip.FileHeader{
		Name: a.folder + name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data),
		CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data)),
	}
	start := a.at + localHeaderSize + len(h.Name) + 4
	padding := (alignment - start%alignment) % alignment
	h.Extra = append([]byte(paddingTag), byte(padding), 0)
	h.Extra = append(h.Extra, make([]byte, padding)...)
	a.at = start + padding + len(data)
	w, err := a.out.CreateRaw(h)
	if err == nil {
		_, err = w.Write(data)
	}
	a.err = err
}

// encodeTensor returns the values of t, little-endian.
func encodeTensor(t *weights.Tensor) []byte {
	b := make([]byte, 0, 4*len(t.F32)+8*len(t.I64))
	for _, v := range t.F32 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	for _, v := range t.I64 {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return b
}
