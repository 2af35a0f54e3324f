package voxels

import (
	"fmt"
	"math"
)

const (
	// chunk is how many voxels are decoded at a time where not all are kept.
	chunk = 1 << 16
	// readBuffer is how many bytes are read at a time.
	readBuffer = 1 << 16
)

// Stream is all the voxels of a file, in order. Only one of its methods may be called, once.
type Stream struct {
	Layout
	Count int // voxels
	// Exact says that the length of the file agrees with Count. Otherwise Count is only the header's word, and memory
	// grows with what really arrives.
	Exact bool
	// Fill reads exactly len(b) bytes of stored voxels; its errors name the file.
	Fill func(b []byte) error

	NonFinite int // voxels decoded so far that are stored as NaN or infinity; they are read as 0

	buf []byte
}

// part reads the next voxels, at most limit, as they are stored, and returns how many. The bytes are valid until the
// next call.
func (s *Stream) part(limit int) (stored []byte, n int, err error) {
	if s.buf == nil {
		s.buf = make([]byte, readBuffer)
	}
	size := s.Type.Bytes()
	n = min(limit, len(s.buf)/size)
	stored = s.buf[:n*size]
	return stored, n, s.Fill(stored)
}

// next decodes the next len(dst) voxels.
func (s *Stream) next(dst []float32) error {
	for len(dst) > 0 {
		stored, n, err := s.part(len(dst))
		if err != nil {
			return err
		}
		s.NonFinite += s.decode(dst[:n], stored)
		dst = dst[n:]
	}
	return nil
}

// Image reads all voxels as float32.
func (s *Stream) Image() ([]float32, error) {
	if s.Exact {
		data := make([]float32, s.Count)
		return data, s.next(data)
	}
	var data []float32
	err := s.Scan(func(values []float32) error {
		data = append(data, values...)
		return nil
	})
	return data, err
}

// Labels reads all voxels as labels: whole numbers from -32768 to 32767, whatever type they are stored as.
func (s *Stream) Labels() ([]int16, error) {
	var data []int16
	if s.Exact {
		data = make([]int16, 0, s.Count)
	}
	var scratch []float32
	for done := 0; done < s.Count; done = len(data) {
		stored, n, err := s.part(s.Count - done)
		if err != nil {
			return nil, err
		}
		data = append(data, make([]int16, n)...)
		labels := data[done:]
		if s.decodeLabels(labels, stored) {
			continue
		}
		if scratch == nil {
			scratch = make([]float32, n) // the first part is the largest
		}
		values := scratch[:n]
		s.decode(values, stored)
		if i := toLabels(labels, values); i >= 0 {
			return nil, &LabelError{done + i, values[i]}
		}
	}
	return data, nil
}

// LabelError is a voxel of a mask that is not a label.
type LabelError struct {
	Index int // in the order of the file
	Value float32
}

func (e *LabelError) Error() string {
	return fmt.Sprintf("a mask voxel (index %d) is %g, expected whole numbers from %d to %d; save the labels as integers",
		e.Index, e.Value, math.MinInt16, math.MaxInt16)
}

// toLabels converts whole numbers. It returns the index of the first value that is not one or does not fit, or -1.
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

// Scan hands all voxels to visit, a part at a time, in constant memory. The slice is only valid during the call. An
// error of visit ends the scan and is returned.
func (s *Stream) Scan(visit func(values []float32) error) error {
	values := make([]float32, min(s.Count, chunk))
	for done := 0; done < s.Count; done += len(values) {
		values = values[:min(len(values), s.Count-done)]
		if err := s.next(values); err != nil {
			return err
		}
		if err := visit(values); err != nil {
			return err
		}
	}
	return nil
}
