package nifti

import (
	"errors"

	"github.com/universal-classifier/uc/internal/voxels"
)

// ReadHeader reads and checks the header of a .nii or .nii.gz file (told apart by content). It rejects every
// file that ReadImage would reject on the strength of its header.
func ReadHeader(path string) (*Header, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Header, nil
}

// ReadImage reads a NIfTI-1 or NIfTI-2 file of either byte order, compressed or not, of any integer or float type of up
// to 64 bits. Voxels come as float32 with scl_slope and scl_inter applied; NaN and infinities in the file count as 0,
// as in ITK, and a finite value beyond float32 becomes infinite. 4D, complex and colour images are errors, and so are
// files shorter than their header claims.
func ReadImage(path string) (*Image, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.image()
}

func (s *source) image() (*Image, error) {
	all := s.voxels()
	data, err := all.Image()
	if err != nil {
		return nil, err
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	return &Image{Geometry: s.Geometry, Data: data, NonFinite: all.NonFinite, SpacingDoubt: s.SpacingDoubt, Notes: s.notes}, nil
}

// ReadMask reads a file of labels: whole numbers from -32768 to 32767, stored as any type that ReadImage takes.
func ReadMask(path string) (*Mask, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.mask()
}

func (s *source) mask() (*Mask, error) {
	data, err := s.voxels().Labels()
	var label *voxels.LabelError
	if errors.As(err, &label) {
		err = s.wrap(err)
	}
	if err != nil {
		return nil, err
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	return &Mask{Geometry: s.Geometry, Data: data, Notes: s.notes}, nil
}

// ErrStop ends a Scan early without an error.
var ErrStop = errors.New("nifti: stop")

// Scan hands the voxels of a file to visit in order (X fastest), a part at a time, in constant memory. The slice is
// only valid during the call. An error of visit ends the scan and is returned, except ErrStop.
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
	if err := s.voxels().Scan(visit); err != nil {
		return err
	}
	return s.finish()
}
