package metaimage

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"

	"github.com/klauspost/compress/zlib"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/inflate"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/voxels"
)

const (
	// plausible expansion of a scan: up to it, the size that a header claims is allocated at once.
	plausible = 16
	// slack is how much may follow the voxels before the rest of a compressed file is no longer read for its checksum.
	slack = 1 << 20
)

// file is what is needed of an open file.
type file interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Size() int64
}

// source is an open MetaImage behind its checked header.
type source struct {
	*header
	name    string // of the file that holds the voxels
	r       io.Reader
	files   []file
	inflate *inflate.Reader // of gzip data, else nil
	exact   bool
	read    int64 // bytes of voxels consumed
}

// open reads and checks the header of the file at path, and opens the file with the voxels.
func open(path string) (*source, error) {
	return openWith(path, func(path string) (file, error) { return infile.Open(path) })
}

// openWith is open on files that openFile opens.
func openWith(path string, openFile func(path string) (file, error)) (s *source, err error) {
	s = &source{name: path}
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	data, err := openFile(path)
	if err != nil {
		return s, err
	}
	s.files = append(s.files, data)
	head := bufio.NewReaderSize(data, maxHeader)
	if first, _ := head.Peek(256); !Is(first) {
		return s, s.wrap(errNotMetaImage)
	}
	h, length, err := parse(head)
	if err != nil {
		return s, s.wrap(err)
	}
	s.header = h
	from := length
	if h.dataFile != "" {
		s.name, from = filepath.Join(filepath.Dir(path), h.dataFile), 0
		if data, err = openFile(s.name); err != nil {
			return s, fmt.Errorf("%s: the file with its voxels: %w", path, err)
		}
		s.files = append(s.files, data)
	}
	size, need := data.Size(), int64(h.Voxels())*int64(h.Type.Bytes())
	switch {
	case h.skip > 0:
		from = h.skip
	case h.skip == -1:
		from = size - need
	}
	if from < 0 || from > size {
		return s, s.truncated(need, size)
	}
	return s, s.begin(io.NewSectionReader(data, from, size-from), size-from, need)
}

// begin checks that left bytes can hold need bytes of voxels and sets up their reading.
func (s *source) begin(data io.Reader, left, need int64) error {
	switch {
	case s.text:
		if left < 2*int64(s.Voxels())-1 { // a digit and a space each
			return s.truncated(2*int64(s.Voxels())-1, left)
		}
		s.r = bufio.NewReader(data)
	case s.compressed:
		if s.compressedSize > left {
			return s.truncated(s.compressedSize, left)
		}
		if s.compressedSize > 0 {
			left = s.compressedSize
		}
		if left < need/inflate.MaxRatio {
			return s.wrap(fmt.Errorf("the header claims %s voxels of %s (%d bytes), more than %d compressed bytes can hold; the file is truncated or damaged, copy or export it again",
				volume.SizeText(s.Size), s.Type, need, left))
		}
		s.exact = need/plausible <= left
		return s.decompress(bufio.NewReader(io.LimitReader(data, left)))
	default:
		if left < need {
			return s.truncated(need, left)
		}
		s.r, s.exact = data, true
	}
	return nil
}

// decompress reads zlib data, or gzip as MetaIO does too.
func (s *source) decompress(b *bufio.Reader) error {
	if magic, _ := b.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := inflate.NewReader(b)
		if err != nil {
			return s.fail(err)
		}
		s.inflate, s.r = z, z
		return nil
	}
	z, err := zlib.NewReader(b)
	if err != nil {
		return s.fail(err)
	}
	s.r = z
	return nil
}

// Close closes the files.
func (s *source) Close() {
	if s.inflate != nil {
		s.inflate.Close()
	}
	for _, f := range s.files {
		f.Close()
	}
}

// stream is the stream of the voxels.
func (s *source) stream() *voxels.Stream {
	if s.text {
		return &voxels.Stream{Layout: voxels.Layout{Type: voxels.Float64, Slope: 1}, Count: s.Voxels(), Fill: s.fillText}
	}
	return &voxels.Stream{Layout: s.Layout, Count: s.Voxels(), Exact: s.exact, Fill: s.fill}
}

func (s *source) fill(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.read += int64(n)
	if err != nil {
		return s.fail(err)
	}
	return nil
}

// fillText reads decimal numbers as little-endian float64.
func (s *source) fillText(b []byte) error {
	r := s.r.(*bufio.Reader)
	var word []byte
	for ; len(b) > 0; b = b[8:] {
		word = word[:0]
		for {
			c, err := r.ReadByte()
			if err != nil && (len(word) == 0 || !errors.Is(err, io.EOF)) {
				return s.fail(err)
			}
			space := err != nil || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ','
			if space && len(word) > 0 {
				break
			}
			if !space {
				word = append(word, c)
			}
			if len(word) > 64 {
				return s.wrap(fmt.Errorf("%.20q... is not a number; BinaryData is False in the header, so that the voxels are read as text", word))
			}
		}
		v, err := strconv.ParseFloat(string(word), 64)
		if err != nil {
			return s.wrap(fmt.Errorf("%q is not a number; BinaryData is False in the header, so that the voxels are read as text", word))
		}
		binary.LittleEndian.PutUint64(b, math.Float64bits(v))
		s.read += 8
	}
	return nil
}

// finish reads what follows the voxels, so that the checksum of compressed data is verified.
func (s *source) finish() error {
	if !s.compressed {
		return nil
	}
	if _, err := io.CopyN(io.Discard, s.r, slack); err != nil && !errors.Is(err, io.EOF) {
		return s.fail(err)
	}
	return nil
}

func (s *source) wrap(err error) error { return fmt.Errorf("%s: %w", s.name, err) }

func (s *source) truncated(need, left int64) error {
	return s.wrap(fmt.Errorf("%s voxels of %s need %d bytes, but the file holds %d; it is truncated or damaged, copy or export it again",
		volume.SizeText(s.Size), s.Type, need, max(left, 0)))
}

// fail turns an error of reading into one that says what is wrong with the file.
func (s *source) fail(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s.wrap(fmt.Errorf("the voxels end after %d of %d bytes; the file is truncated, copy or export it again", s.read, int64(s.Voxels())*int64(s.Type.Bytes())))
	case errors.Is(err, inflate.ErrCorrupt), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrHeader), s.compressed:
		return s.wrap(fmt.Errorf("the compressed data is damaged after %d bytes (%w); copy or export the file again", s.read, err))
	}
	return s.wrap(err)
}
