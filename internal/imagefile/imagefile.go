// Package imagefile opens image files of every format that uc reads, told apart by their content: NIfTI and MetaImage.
package imagefile

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/metaimage"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Extensions of image files, in the order in which they are looked for.
var Extensions = []string{".nii.gz", ".nii", ".mha", ".mhd"}

// Spellings are the extensions in every mixture of small and capital letters, in the same order.
var Spellings = func() []string {
	var all []string
	for _, ext := range Extensions {
		spelled := []string{""}
		for _, c := range ext {
			var longer []string
			for _, s := range spelled {
				longer = append(longer, s+string(c))
				if upper := unicode.ToUpper(c); upper != c {
					longer = append(longer, s+string(upper))
				}
			}
			spelled = longer
		}
		all = append(all, spelled...)
	}
	return all
}()

// SplitExtension cuts the extension, in small or capital letters, off an image file's name; ext is empty if it has none
// of Extensions.
func SplitExtension(name string) (base, ext string) {
	for _, e := range Extensions {
		if at := len(name) - len(e); at > 0 && strings.EqualFold(name[at:], e) {
			return name[:at], name[at:]
		}
	}
	return name, ""
}

// ErrStop ends a Scan early without an error.
var ErrStop = errors.New("imagefile: stop")

// isMetaImage looks at the first bytes of a file. Everything else is left to the reader of NIfTI to judge.
func isMetaImage(path string) (bool, error) {
	f, err := infile.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	b := make([]byte, 256)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if metaimage.Is(b[:n]) {
		return true, nil
	}
	// A file that its name calls a MetaImage is one, however damaged, unless it begins as NIfTI does.
	_, ext := SplitExtension(strings.ToLower(path))
	return (ext == ".mha" || ext == ".mhd") && !nifti.Is(b[:n]), nil
}

// Header is what the header of an image file says of any format.
type Header struct {
	volume.Geometry
	SpacingDoubt string // what in the header speaks against the spacing; "" if nothing does
}

// ReadHeader reads and checks the header of an image file. It rejects every file that ReadImage would reject on the
// strength of its header.
func ReadHeader(path string) (Header, error) {
	meta, err := isMetaImage(path)
	if err != nil {
		return Header{}, err
	}
	if meta {
		g, err := metaimage.ReadGeometry(path)
		return Header{Geometry: g}, err
	}
	h, err := nifti.ReadHeader(path)
	if err != nil {
		return Header{}, err
	}
	return Header{h.Geometry, h.SpacingDoubt}, nil
}

// ReadGeometry is the grid of ReadHeader.
func ReadGeometry(path string) (volume.Geometry, error) {
	h, err := ReadHeader(path)
	return h.Geometry, err
}

// ReadImage reads one modality of a case as float32, scaled as the header says.
func ReadImage(path string) (*volume.Image, error) {
	meta, err := isMetaImage(path)
	if err != nil {
		return nil, err
	}
	if meta {
		return metaimage.ReadImage(path)
	}
	return nifti.ReadImage(path)
}

// ReadMask reads a file of labels: whole numbers from -32768 to 32767, stored as any type that ReadImage takes.
func ReadMask(path string) (*volume.Mask, error) {
	meta, err := isMetaImage(path)
	if err != nil {
		return nil, err
	}
	if meta {
		return metaimage.ReadMask(path)
	}
	return nifti.ReadMask(path)
}

// Scan hands the voxels of a file to visit in order (X fastest), a part at a time, in constant memory. The slice is
// only valid during the call. An error of visit ends the scan and is returned, except ErrStop.
func Scan(path string, visit func(g volume.Geometry, values []float32) error) error {
	meta, err := isMetaImage(path)
	if err != nil {
		return err
	}
	if meta {
		err = metaimage.Scan(path, visit)
	} else {
		err = nifti.Scan(path, func(h *nifti.Header, values []float32) error { return visit(h.Geometry, values) })
	}
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Files lists the files whose content an image consists of: path, and the data file that the header of an .mhd names.
func Files(path string) ([]string, error) {
	meta, err := isMetaImage(path)
	if err != nil {
		return nil, err
	}
	if meta {
		return metaimage.Files(path)
	}
	return []string{path}, nil
}
