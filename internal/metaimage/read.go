package metaimage

import (
	"errors"

	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/voxels"
)

// ReadGeometry reads and checks the header of a MetaImage, by its .mha or .mhd file. It rejects every file that
// ReadImage would reject on the strength of its header and of its length.
func ReadGeometry(path string) (volume.Geometry, error) {
	s, err := open(path)
	if err != nil {
		return volume.Geometry{}, err
	}
	defer s.Close()
	return s.Geometry, nil
}

// Files lists the files that a MetaImage consists of: path, and the data file of an .mhd.
func Files(path string) ([]string, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if s.dataFile == "" {
		return []string{path}, nil
	}
	return []string{path, s.name}, nil
}

// ReadImage reads a MetaImage of any integer or float type, of either byte order, compressed or not, as float32. NaN
// and infinities stay. Images with more than three axes or several channels are errors, and so are files shorter than
// their header claims.
func ReadImage(path string) (*volume.Image, error) {
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.image()
}

func (s *source) image() (*volume.Image, error) {
	all := s.stream()
	data, err := all.Image()
	if err != nil {
		return nil, err
	}
	return &volume.Image{Geometry: s.Geometry, Data: data, NonFinite: all.NonFinite}, s.finish()
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
	data, err := s.stream().Labels()
	var label *voxels.LabelError
	if errors.As(err, &label) {
		err = s.wrap(err)
	}
	if err != nil {
		return nil, err
	}
	return &volume.Mask{Geometry: s.Geometry, Data: data}, s.finish()
}

// Scan hands the voxels of a file to visit in order (X fastest), a part at a time, in constant memory. The slice is
// only valid during the call. An error of visit ends the scan and is returned.
func Scan(path string, visit func(g volume.Geometry, values []float32) error) error {
	s, err := open(path)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.stream().Scan(func(values []float32) error { return visit(s.Geometry, values) }); err != nil {
		return err
	}
	return s.finish()
}
