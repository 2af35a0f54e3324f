package nifti

import (
	"fmt"
	"strings"

	gonii "github.com/okieraised/gonii/pkg/nifti"

	"github.com/universal-classifier/uc/internal/voxels"
)

// Datatype is how a file stores a voxel, by the code of the NIfTI standard (nifti1.h, "datatype").
type Datatype int32

// The datatypes that are read. WriteImage writes Float32, WriteMask and WriteInt16 write Int16.
const (
	Uint8   Datatype = 2
	Int16   Datatype = 4
	Int32   Datatype = 8
	Float32 Datatype = 16
	Float64 Datatype = 64
	Int8    Datatype = 256
	Uint16  Datatype = 512
	Uint32  Datatype = 768
	Int64   Datatype = 1024
	Uint64  Datatype = 1280
)

// types are the datatypes that are read.
var types = map[Datatype]voxels.Type{
	Uint8: voxels.Uint8, Int8: voxels.Int8, Uint16: voxels.Uint16, Int16: voxels.Int16, Uint32: voxels.Uint32, Int32: voxels.Int32,
	Uint64: voxels.Uint64, Int64: voxels.Int64, Float32: voxels.Float32, Float64: voxels.Float64,
}

// Bytes is the size of one stored voxel; 0 for a datatype that is not read.
func (d Datatype) Bytes() int {
	t, known := types[d]
	if !known {
		return 0
	}
	return t.Bytes()
}

// String is the datatype as people write it: "int16", "float32", ...; "code N" for a number that the standard does not
// know.
func (d Datatype) String() string {
	name := (&gonii.Nii{Datatype: int32(d)}).GetDatatype()
	if name == gonii.ILLEGAL {
		return fmt.Sprintf("code %d", int32(d))
	}
	return strings.ToLower(name)
}

// check refuses everything but real numbers of up to 64 bits.
func (d Datatype) check() error {
	if _, known := types[d]; known {
		return nil
	}
	switch int32(d) {
	case gonii.DT_COMPLEX64, gonii.DT_COMPLEX128, gonii.DT_COMPLEX256:
		return fmt.Errorf("voxels are complex numbers (%s), expected real ones; save the magnitude instead", d)
	case gonii.DT_RGB24, gonii.DT_RGBA32:
		return fmt.Errorf("voxels are colours (%s), expected one number each; convert to grey or to one file per channel", d)
	}
	return fmt.Errorf("datatype %s is not supported, expected integers or floats of 8 to 64 bits; convert to int16 or float32", d)
}
