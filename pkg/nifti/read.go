package nifti

import (
	"errors"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/volume"
)

// chunkVoxels is how many voxels are decoded at a time where not all are kept.
const chunkVoxels = 1 << 16

// ReadHeader reads and checks the header of a .nii or .nii.gz file (told apart by content). It refuses what ReadImage
// refuses as far as the header shows it.
func ReadHeader(path string) (*Header, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Header, nil
}

// ReadImage reads a NIfTI-1 or NIfTI-2 file of either byte order, compressed or not, of any integer or float type of up
// to 64 bits. Voxels come as float32 with scl_slope and scl_inter applied; NaN and infinities stay. 4D, complex and
// colour images are errors, and so are files shorter than their header claims.
func ReadImage(path string) (*volume.Image, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.image()
}

func (s *source) image() (*volume.Image, error) {
	total := s.Voxels()
	if s.exact {
		data := make([]float32, total)
		if err := s.next(data); err != nil {
			return nil, err
		}
		return &volume.Image{Geometry: s.Geometry, Data: data}, s.finish()
	}
	// The size is only the header's word: memory grows with what really arrives.
	var data []float32
	chunk := make([]float32, min(total, chunkVoxels))
	for len(data) < total {
		part := chunk[:min(len(chunk), total-len(data))]
		if err := s.next(part); err != nil {
			return nil, err
		}
		data = append(data, part...)
	}
	return &volume.Image{Geometry: s.Geometry, Data: data}, s.finish()
}

// ReadMask reads a file of labels: whole numbers from -32768 to 32767, stored as any type that ReadImage takes.
func ReadMask(path string) (*volume.Mask, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.mask()
}

func (s *source) mask() (*volume.Mask, error) {
	total := s.Voxels()
	var data []int16
	if s.exact {
		data = make([]int16, 0, total)
	}
	var scratch []float32
	for done := 0; done < total; done = len(data) {
		stored, n, err := s.part(total - done)
		if err != nil {
			return nil, err
		}
		data = append(data, make([]int16, n)...)
		labels := data[done:]
		if decodeLabels(labels, stored, s.Header) {
			continue
		}
		if scratch == nil {
			scratch = make([]float32, n) // the first part is the largest
		}
		values := scratch[:n]
		decode(values, stored, s.Header)
		if i := toLabels(labels, values); i >= 0 {
			return nil, s.wrap(fmt.Errorf("a mask voxel (index %d) is %g, expected whole numbers from %d to %d; save the labels as integers",
				done+i, values[i], math.MinInt16, math.MaxInt16))
		}
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	return &volume.Mask{Geometry: s.Geometry, Data: data}, nil
}

// toLabels converts whole numbers. It returns the index of the first value that is none or does not fit, or -1.
func toLabels(dst []int16, values []float32) int {
	dst = dst[:len(values)]
	for i, v := range values {
		n := int16(max(min(v, math.MaxInt16), math.MinInt16))
		if float32(n) != v {
			return i
		}
		dst[i] = n
	}
	return -1
}

// ErrStop ends a Scan early without an error.
var ErrStop = errors.New("nifti: stop")

// Scan hands the voxels of a file to visit in order (X fastest), a part at a time, in constant memory. The slice is only
// valid during the call. An error of visit ends the scan and is returned, except ErrStop.
func Scan(path string, visit func(h *Header, values []float32) error) error {
	s, err := open(path)
	if err != nil {
		return err
	}
	defer s.Close()
	err = s.scan(func(values []float32) error { return visit(s.Header, values) })
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

func (s *source) scan(visit func(values []float32) error) error {
	total := s.Voxels()
	chunk := make([]float32, min(total, chunkVoxels))
	for done := 0; done < total; done += len(chunk) {
		chunk = chunk[:min(len(chunk), total-done)]
		if err := s.next(chunk); err != nil {
			return err
		}
		if err := visit(chunk); err != nil {
			return err
		}
	}
	return s.finish()
}
