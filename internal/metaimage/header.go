// Package metaimage reads MetaImage files (.mha, and .mhd with its data file) into volumes, as ITK's MetaImageIO does:
// placement in LPS, voxels as they are stored. As in ITK, ElementToIntensityFunction, DistanceUnits and
// AnatomicalOrientation have no effect. The format: https://itk.org/Wiki/ITK/MetaIO/Documentation.
package metaimage

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/voxels"
)

// Limits of a header; real ones are a kilobyte at most, or some with the comments of a DICOM converter.
const (
	maxHeader = 1 << 18
	maxDims   = 7
)

// header is what the text in front of the voxels says, checked.
type header struct {
	volume.Geometry
	voxels.Layout
	text           bool   // voxels are written as decimal numbers
	compressed     bool   // zlib or gzip
	compressedSize int64  // bytes; 0: up to the end of the file
	skip           int64  // HeaderSize: first byte of the voxels, -1: counted from the end, 0: as they come
	dataFile       string // in the folder of the header; empty: behind the header
}

// errNotMetaImage marks a file whose first line is not that of a MetaImage.
var errNotMetaImage = errors.New("not a MetaImage header; expected lines such as \"NDims = 3\"")

// fieldNames are MetaIO's fields of an image; a header may begin with any of them.
var fieldNames = []string{"ObjectType", "ObjectSubType", "FileFormatVersion", "Comment", "AcquisitionDate", "NDims", "Name", "ID", "ParentID",
	"CompressedData", "CompressedDataSize", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "Color",
	"Position", "Origin", "Offset", "TransformMatrix", "Rotation", "Orientation", "CenterOfRotation", "DistanceUnits",
	"AnatomicalOrientation", "DimSize", "HeaderSize", "Modality", "ImagePosition", "ElementOrigin", "ElementDirection", "SequenceID",
	"ElementMin", "ElementMax", "ElementNumberOfChannels", "ElementSize", "ElementNBits", "ElementSpacing",
	"ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset", "ElementType", "ElementDataFile"}

// Is reports whether a file that begins with b is a MetaImage.
func Is(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	end := bytes.IndexAny(b, "=:\r\n")
	return end > 0 && b[end] != '\r' && b[end] != '\n' && slices.Contains(fieldNames, strings.TrimSpace(string(b[:end])))
}

// parse reads the header up to and including the line ElementDataFile, and returns its length in bytes.
func parse(r *bufio.Reader) (h *header, length int64, err error) {
	fields := map[string]string{}
	for {
		line, err := r.ReadSlice('\n') // bounded by the reader's buffer
		length += int64(len(line))
		if errors.Is(err, bufio.ErrBufferFull) || length > maxHeader {
			return nil, length, fmt.Errorf("no line ElementDataFile in the first %d bytes; the header is damaged, export the file again", length)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, length, err
		}
		if at := bytes.IndexAny(line, "=:"); at >= 0 {
			name := strings.TrimSpace(string(line[:at]))
			fields[name] = strings.TrimSpace(string(line[at+1:]))
			if name == "ElementDataFile" {
				break
			}
		}
		if err != nil {
			return nil, length, errors.New("no line ElementDataFile; the header is truncated, copy or export the file again")
		}
	}
	h, err = interpret(fields)
	return h, length, err
}

// interpret turns the fields into a checked header.
func interpret(fields map[string]string) (*header, error) {
	if kind, ok := fields["ObjectType"]; ok && kind != "Image" {
		return nil, fmt.Errorf("ObjectType is %q, expected Image; export the voxels", kind)
	}
	f := fieldReader{fields: fields}
	h := &header{Layout: voxels.Layout{Slope: 1, BigEndian: f.yes("BinaryDataByteOrderMSB") || f.yes("ElementByteOrderMSB")}}
	if fields["BinaryDataByteOrderMSB"] != "" {
		h.BigEndian = f.yes("BinaryDataByteOrderMSB")
	}
	h.compressed = f.yes("CompressedData")
	h.text = fields["BinaryData"] != "" && !f.yes("BinaryData") && !h.compressed
	h.compressedSize = f.integer("CompressedDataSize", 0)
	h.skip = f.integer("HeaderSize", 0)
	f.geometry(h)
	if n := f.integer("ElementNumberOfChannels", 1); n != 1 {
		f.fail("ElementNumberOfChannels is %d, expected 1; convert to grey or to one file per channel", n)
	}
	f.elementType(h)
	f.dataFile(h)
	switch {
	case h.compressedSize < 0:
		f.fail("CompressedDataSize is %d; the header is damaged, export the file again", h.compressedSize)
	case h.skip < -1:
		f.fail("HeaderSize is %d, expected -1 or more; the header is damaged, export the file again", h.skip)
	case h.skip == -1 && (h.compressed || h.text):
		f.fail("HeaderSize is -1 (voxels counted from the end of the file), which only fits binary voxels that are not compressed")
	}
	return h, f.err
}

// fieldReader reads values of fields and keeps the first thing that is wrong.
type fieldReader struct {
	fields map[string]string
	err    error
}

func (f *fieldReader) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// yes reports whether a field is true, as MetaIO judges it.
func (f *fieldReader) yes(name string) bool {
	v := f.fields[name]
	return v != "" && strings.IndexByte("Tt1", v[0]) >= 0
}

func (f *fieldReader) integer(name string, otherwise int64) int64 {
	text, ok := f.fields[name]
	if !ok {
		return otherwise
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f.fail("%s is %.40q, expected a whole number; the header is damaged, export the file again", name, text)
	}
	return v
}

// numbers returns the first n numbers of the first of some fields that is there, nil if none is.
func (f *fieldReader) numbers(n int, names ...string) []float64 {
	for _, name := range names {
		text, ok := f.fields[name]
		if !ok {
			continue
		}
		words := strings.Fields(text)
		if len(words) < n {
			f.fail("%s has %d numbers, expected %d; the header is damaged, export the file again", name, len(words), n)
			return nil
		}
		values := make([]float64, n)
		for i := range values {
			v, err := strconv.ParseFloat(words[i], 64)
			if err != nil || !numeric.Finite(v) {
				f.fail("%s holds %.40q, expected numbers; the header is damaged, export the file again", name, words[i])
				return nil
			}
			values[i] = v
		}
		return values
	}
	return nil
}

// geometry reads size and placement. An axis that the file lacks has one voxel of 1 mm.
func (f *fieldReader) geometry(h *header) {
	dims := int(max(min(f.integer("NDims", 0), maxDims+1), 0))
	if dims < 1 || dims > maxDims {
		f.fail("NDims is %q, expected 3; the header is damaged, export the file again", f.fields["NDims"])
		return
	}
	size := f.numbers(dims, "DimSize")
	if size == nil {
		f.fail("DimSize is missing; the header is damaged, export the file again")
		return
	}
	total := 1.0
	for i, n := range size {
		if n != math.Trunc(n) || n < 1 || n > math.MaxInt32 {
			f.fail("DimSize is %.80q, expected whole numbers from 1; the header is damaged, export the file again", f.fields["DimSize"])
			return
		}
		if i >= 3 && n > 1 {
			f.fail("a %d-dimensional image of size %s, expected one 3D volume; split it into one file per modality", dims, f.fields["DimSize"])
			return
		}
		if total *= n; total > math.MaxInt64/16 {
			f.fail("DimSize %s is more than any file can hold; the header is damaged, export the file again", f.fields["DimSize"])
			return
		}
	}
	spacing := f.numbers(dims, "ElementSpacing", "ElementSize")
	matrix := f.numbers(dims*dims, "TransformMatrix", "Rotation", "Orientation")
	origin := f.numbers(dims, "Offset", "Origin", "Position")
	h.Size, h.Spacing = [3]int{1, 1, 1}, [3]float64{1, 1, 1}
	h.Direction = [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	for j := range min(dims, 3) {
		h.Size[2-j] = int(size[j])
		if origin != nil {
			h.Origin[j] = origin[j]
		}
		if matrix != nil {
			for i := range min(dims, 3) { // the matrix lists the axes' directions one after another
				h.Direction[3*i+j] = matrix[dims*j+i]
			}
		}
		if spacing == nil {
			continue
		}
		switch {
		case spacing[j] == 0:
			f.fail("ElementSpacing is %s, expected numbers other than 0; repair the header", f.fields["ElementSpacing"])
		case spacing[j] < 0: // as ITK: the axis runs the other way
			for i := range 3 {
				h.Direction[3*i+j] = -h.Direction[3*i+j]
			}
		}
		h.Spacing[2-j] = math.Abs(spacing[j])
	}
	if d := determinant(h.Direction); d == 0 || d-d != 0 {
		f.fail("TransformMatrix is %.200q, which is singular; repair the header", f.fields["TransformMatrix"])
	}
	for i, d := range h.Direction {
		if d == 0 {
			h.Direction[i] = 0 // no -0
		}
	}
}

func determinant(m [9]float64) float64 {
	return m[0]*(m[4]*m[8]-m[5]*m[7]) - m[1]*(m[3]*m[8]-m[5]*m[6]) + m[2]*(m[3]*m[7]-m[4]*m[6])
}

// elementTypes are MetaIO's names; its long has four bytes on every machine.
var elementTypes = map[string]voxels.Type{
	"MET_CHAR": voxels.Int8, "MET_ASCII_CHAR": voxels.Int8, "MET_UCHAR": voxels.Uint8, "MET_SHORT": voxels.Int16, "MET_USHORT": voxels.Uint16,
	"MET_INT": voxels.Int32, "MET_UINT": voxels.Uint32, "MET_LONG": voxels.Int32, "MET_ULONG": voxels.Uint32,
	"MET_LONG_LONG": voxels.Int64, "MET_ULONG_LONG": voxels.Uint64, "MET_FLOAT": voxels.Float32, "MET_DOUBLE": voxels.Float64,
}

func (f *fieldReader) elementType(h *header) {
	h.Type = elementTypes[f.fields["ElementType"]]
	if h.Type == 0 {
		f.fail("ElementType is %.40q, expected an integer or float such as MET_SHORT or MET_FLOAT; convert the file", f.fields["ElementType"])
	}
}

// dataFile refuses voxels in several files, and a file outside of the header's folder.
func (f *fieldReader) dataFile(h *header) {
	name := f.fields["ElementDataFile"]
	switch {
	case strings.EqualFold(name, "LOCAL"):
	case strings.HasPrefix(name, "LIST"), strings.Contains(name, "%"):
		f.fail("the voxels lie in several files (ElementDataFile = %.40s), expected one; save as .mha or .nii.gz", name)
	case name == "" || name != filepath.Base(name) || strings.ContainsAny(name, "/\\\x00") || !filepath.IsLocal(name) || name == ".":
		f.fail("ElementDataFile is %.80q, expected LOCAL or the name of a file in the same folder; move the file there and correct the header", name)
	default:
		h.dataFile = name
	}
}
