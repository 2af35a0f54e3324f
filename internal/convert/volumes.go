package convert

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
)

// layout is where the fields of a NIfTI header lie, in bytes (nifti1.h, nifti2.h).
type layout struct {
	size             int // of the header
	dim, dimBytes    int // eight numbers of so many bytes
	bitpix           int // int16
	offset, offBytes int // of the voxels: float32 in NIfTI-1, int64 in NIfTI-2
}

var (
	nifti1 = layout{size: 348, dim: 40, dimBytes: 2, bitpix: 72, offset: 108, offBytes: 4}
	nifti2 = layout{size: 540, dim: 16, dimBytes: 8, bitpix: 14, offset: 168, offBytes: 8}
)

// series is a NIfTI file with four axes, read up to its header.
type series struct {
	layout
	r       io.Reader
	close   func()
	order   binary.ByteOrder
	header  []byte
	volumes int64
	bytes   int64 // of one volume
	skip    int64 // from the header to the voxels
}

// volumesOf is the number of volumes in a NIfTI file, 1 for one with three axes.
func volumesOf(path string) (int, error) {
	s, err := openSeries(path)
	if err != nil {
		return 0, err
	}
	s.close()
	return int(s.volumes), nil
}

func openSeries(path string) (s *series, err error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	s = &series{close: func() { f.Close() }, layout: nifti1}
	buffered := bufio.NewReaderSize(f, 1<<16)
	s.r = buffered
	if start, _ := buffered.Peek(2); len(start) == 2 && start[0] == 0x1f && start[1] == 0x8b {
		if s.r, err = gzip.NewReader(buffered); err != nil {
			return nil, err
		}
	}
	s.header = make([]byte, nifti1.size)
	if _, err := io.ReadFull(s.r, s.header); err != nil {
		return nil, fmt.Errorf("too short for the header of a NIfTI file: %w", err)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch int(order.Uint32(s.header)) {
		case nifti1.size:
			s.order = order
		case nifti2.size:
			s.order, s.layout = order, nifti2
			rest := make([]byte, nifti2.size-nifti1.size)
			if _, err := io.ReadFull(s.r, rest); err != nil {
				return nil, fmt.Errorf("too short for the header of a NIfTI-2 file: %w", err)
			}
			s.header = append(s.header, rest...)
		}
	}
	if s.order == nil {
		return nil, fmt.Errorf("not a NIfTI file")
	}
	return s, s.measure()
}

// dimension is the number of voxels along an axis, from 1, or with 0 the number of axes.
func (s *series) dimension(i int) int64 {
	at := s.header[s.dim+i*s.dimBytes:]
	if s.dimBytes == 2 {
		return int64(int16(s.order.Uint16(at)))
	}
	return int64(s.order.Uint64(at))
}

func (s *series) setDimension(i int, n uint64) {
	at := s.header[s.dim+i*s.dimBytes:]
	if s.dimBytes == 2 {
		s.order.PutUint16(at, uint16(n))
		return
	}
	s.order.PutUint64(at, n)
}

// measure reads sizes, of which none is believed that cannot be.
func (s *series) measure() error {
	axes := s.dimension(0)
	if axes < 1 || axes > 7 {
		return fmt.Errorf("the header gives %d dimensions, expected 1 to 7; the file is damaged", axes)
	}
	s.volumes = 1
	s.bytes = int64(s.order.Uint16(s.header[s.bitpix:])) / 8
	for i := 1; i <= int(axes); i++ {
		n := s.dimension(i)
		limit := int64(math.MaxInt32)
		if i > 3 {
			limit = math.MaxInt16
		}
		if n < 1 || n > limit || i > 4 && n > 1 {
			return fmt.Errorf("the header gives %d along dimension %d; expected an image with three axes, or four", n, i)
		}
		switch {
		case i == 4:
			s.volumes = n
		case s.bytes > math.MaxInt64/n:
			return fmt.Errorf("the header gives a size beyond any file; the file is damaged")
		default:
			s.bytes *= n
		}
	}
	if s.bytes > math.MaxInt64/s.volumes/2 {
		return fmt.Errorf("the header gives a size beyond any file; the file is damaged")
	}
	offset := int64(s.order.Uint64(append([]byte{}, s.header[s.offset:s.offset+8]...)))
	if s.offBytes == 4 {
		f := float64(math.Float32frombits(s.order.Uint32(s.header[s.offset:])))
		if !(f >= 0 && f < 1<<31) {
			return fmt.Errorf("the header gives the voxels' place as %g; the file is damaged", f)
		}
		offset = int64(f)
	}
	if offset < int64(s.size) || offset > 1<<31 {
		return fmt.Errorf("the header gives the voxels' place as %d; the file is damaged, or its voxels are in another file (.img)", offset)
	}
	s.skip = offset - int64(s.size)
	return nil
}

// writeVolume writes one volume, counted from 1, of a NIfTI file with four axes as a file of its own, with the header,
// the type and the bits that it has.
func writeVolume(path, from string, volume int) error {
	s, err := openSeries(from)
	if err != nil {
		return err
	}
	defer s.close()
	if int64(volume) > s.volumes {
		return fmt.Errorf("%s: %d volumes, expected %d or more, one per modality", from, s.volumes, volume)
	}
	if _, err := io.CopyN(io.Discard, s.r, s.skip+int64(volume-1)*s.bytes); err != nil {
		return fmt.Errorf("%s: ends before volume %d: %w", from, volume, err)
	}
	s.setDimension(0, 3)
	for i := 4; i <= 7; i++ {
		s.setDimension(i, 1)
	}
	start := s.size + 4 // four bytes say that there are no extensions
	if s.offBytes == 4 {
		s.order.PutUint32(s.header[s.offset:], math.Float32bits(float32(start)))
	} else {
		s.order.PutUint64(s.header[s.offset:], uint64(start))
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		z := gzip.NewWriter(w)
		if _, err := z.Write(append(s.header, 0, 0, 0, 0)); err != nil {
			return err
		}
		if _, err := io.CopyN(z, s.r, s.bytes); err != nil {
			return fmt.Errorf("%s: ends within volume %d: %w", from, volume, err)
		}
		return z.Close()
	})
}
