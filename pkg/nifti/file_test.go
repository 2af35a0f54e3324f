package nifti

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	gonii "github.com/okieraised/gonii/pkg/nifti"
)

// spec describes a NIfTI file to build byte by byte, without the code under test.
type spec struct {
	version      int
	order        binary.ByteOrder
	dim          []int // x, y, z, ...
	pixdim       [8]float64
	datatype     int32
	slope, inter float64
	offset       int // 0: right behind the header
	qform, sform int
	quatern      [3]float64
	qoffset      [3]float64
	srow         [3][4]float64
	units        int
	voxels       []byte
}

// newSpec is a small int16 volume of 4 x 3 x 2 voxels.
func newSpec() spec {
	s := spec{version: 1, order: binary.LittleEndian, dim: []int{4, 3, 2}, pixdim: [8]float64{1, 0.5, 1.5, 2.5}, datatype: gonii.DT_INT16}
	s.voxels = s.encode(ramp(24))
	return s
}

func ramp(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(i)
	}
	return v
}

// encode stores values as the datatype.
func (s spec) encode(values []float64) []byte {
	var b bytes.Buffer
	for _, v := range values {
		var x any
		switch s.datatype {
		case gonii.DT_UINT8:
			x = uint8(v)
		case gonii.DT_INT8:
			x = int8(v)
		case gonii.DT_UINT16:
			x = uint16(v)
		case gonii.DT_INT16:
			x = int16(v)
		case gonii.DT_UINT32:
			x = uint32(v)
		case gonii.DT_INT32:
			x = int32(v)
		case gonii.DT_UINT64:
			x = uint64(v)
		case gonii.DT_INT64:
			x = int64(v)
		case gonii.DT_FLOAT32:
			x = float32(v)
		case gonii.DT_FLOAT64:
			x = v
		}
		if err := binary.Write(&b, s.order, x); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// bytes is the whole file.
func (s spec) bytes() []byte {
	var b bytes.Buffer
	width, _ := gonii.AssignDatatypeSize(s.datatype)
	var header any
	var size int
	if s.version == 2 {
		size = 540
		h := &gonii.Nii2Header{SizeofHdr: 540, Magic: gonii.NIFTI_2_MAGIC_SINGLE, Datatype: int16(s.datatype), Bitpix: 8 * width,
			Pixdim: s.pixdim, SclSlope: s.slope, SclInter: s.inter, VoxOffset: int64(max(s.offset, 544)),
			QformCode: int32(s.qform), SformCode: int32(s.sform), QuaternB: s.quatern[0], QuaternC: s.quatern[1], QuaternD: s.quatern[2],
			QoffsetX: s.qoffset[0], QoffsetY: s.qoffset[1], QoffsetZ: s.qoffset[2],
			SrowX: s.srow[0], SrowY: s.srow[1], SrowZ: s.srow[2], XyztUnits: int32(s.units)}
		h.Dim[0] = int64(len(s.dim))
		for i, n := range s.dim {
			h.Dim[i+1] = int64(n)
		}
		header = h
	} else {
		size = 348
		h := &gonii.Nii1Header{SizeofHdr: 348, Magic: gonii.NIFTI_1_MAGIC_SINGLE, Datatype: int16(s.datatype), Bitpix: 8 * width,
			SclSlope: float32(s.slope), SclInter: float32(s.inter), VoxOffset: float32(max(s.offset, 352)),
			QformCode: int16(s.qform), SformCode: int16(s.sform),
			QuaternB: float32(s.quatern[0]), QuaternC: float32(s.quatern[1]), QuaternD: float32(s.quatern[2]),
			QoffsetX: float32(s.qoffset[0]), QoffsetY: float32(s.qoffset[1]), QoffsetZ: float32(s.qoffset[2]), XyztUnits: uint8(s.units)}
		h.Dim[0] = int16(len(s.dim))
		for i, n := range s.dim {
			h.Dim[i+1] = int16(n)
		}
		for i, p := range s.pixdim {
			h.Pixdim[i] = float32(p)
		}
		for j := range 4 {
			h.SrowX[j], h.SrowY[j], h.SrowZ[j] = float32(s.srow[0][j]), float32(s.srow[1][j]), float32(s.srow[2][j])
		}
		header = h
	}
	if err := binary.Write(&b, s.order, header); err != nil {
		panic(err)
	}
	b.Write(make([]byte, max(s.offset-size, 4)))
	b.Write(s.voxels)
	return b.Bytes()
}

// write puts the file into a new folder; name decides on compression.
func (s spec) write(t testing.TB, name string) string {
	t.Helper()
	b := s.bytes()
	if filepath.Ext(name) == ".gz" {
		b = compress(b)
	}
	return writeFile(t, name, b)
}

func writeFile(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// compress uses the standard library, not the code under test.
func compress(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-5 }
