package nifti

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/klauspost/compress/gzip"
	gonii "github.com/okieraised/gonii/pkg/nifti"

	"github.com/universal-classifier/uc/internal/atomicfile"
)

// WriteImage writes voxels as float32. The file is compressed if path ends in .gz, appears whole or not at all, and is
// NIfTI-1 unless an axis is longer than 32767 voxels.
func WriteImage(path string, im *Image) error {
	return write(path, im.Geometry, Float32, len(im.Data), func(b []byte, from, to int) []byte {
		for _, v := range im.Data[from:to] {
			b = binary.NativeEndian.AppendUint32(b, math.Float32bits(v))
		}
		return b
	})
}

// WriteMask writes labels as int16, as WriteImage does.
func WriteMask(path string, m *Mask) error { return WriteInt16(path, m.Geometry, m.Data) }

// WriteInt16 writes whole numbers (Z*Y*X, X fastest), as WriteImage does.
func WriteInt16(path string, g Geometry, data []int16) error {
	return write(path, g, Int16, len(data), func(b []byte, from, to int) []byte {
		for _, v := range data[from:to] {
			b = binary.NativeEndian.AppendUint16(b, uint16(v))
		}
		return b
	})
}

// chunkVoxels is how many voxels are encoded at a time.
const chunkVoxels = 1 << 16

// write streams a header and n voxels; encode appends the voxels from..to to its buffer, in the byte order of this
// machine, which is the one that gonii writes the header in.
func write(path string, g Geometry, datatype Datatype, n int, encode func(b []byte, from, to int) []byte) error {
	if err := g.Check(); err != nil {
		return fmt.Errorf("%s: cannot write the volume: %w", path, err)
	}
	if n != g.Voxels() {
		return fmt.Errorf("%s: cannot write %d voxels as a volume of size %v", path, n, g.Size)
	}
	header, err := encodeHeader(g, datatype)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		var z *gzip.Writer
		if strings.HasSuffix(strings.ToLower(path), ".gz") {
			z = gzip.NewWriter(w)
			w = z
		}
		if _, err := w.Write(header); err != nil {
			return err
		}
		buf := make([]byte, 0, 8*chunkVoxels)
		for from := 0; from < n; from += chunkVoxels {
			buf = encode(buf[:0], from, min(from+chunkVoxels, n))
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
		if z != nil {
			return z.Close()
		}
		return nil
	})
}

// encodeHeader is the header of a single-file NIfTI with its four bytes of (no) extensions. Placement is written as
// qform and sform, both with code 1 (scanner), as ITK writes it. Of directions that are not perpendicular, as in a scan
// with a tilted gantry, the sform has all and the qform the nearest rotation that keeps the first axis and the plane of
// the first two.
func encodeHeader(g Geometry, datatype Datatype) ([]byte, error) {
	ras := g.Direction
	if ras == [9]float64{} {
		ras = identity
	}
	for i := range 6 { // LPS to RAS+: the x and y rows
		ras[i] = -ras[i]
	}
	bcd, qfac := quaternion(perpendicular(ras))
	n := gonii.Nii{
		NDim: 3, Nx: int64(g.Size[2]), Ny: int64(g.Size[1]), Nz: int64(g.Size[0]), Nt: 1, Nu: 1, Nv: 1, Nw: 1,
		Dx: g.Spacing[2], Dy: g.Spacing[1], Dz: g.Spacing[0], Dt: 1, Du: 1, Dv: 1, Dw: 1,
		Datatype: int32(datatype), NByPer: int32(datatype.Bytes()), SclSlope: 1, XYZUnits: int32(gonii.NIFTI_UNITS_MM),
		QformCode: gonii.NIFTI_XFORM_SCANNER_ANAT, SformCode: gonii.NIFTI_XFORM_SCANNER_ANAT,
		QuaternB: bcd[0], QuaternC: bcd[1], QuaternD: bcd[2], QFac: qfac,
		QoffsetX: -g.Origin[0], QoffsetY: -g.Origin[1], QoffsetZ: g.Origin[2],
	}
	for i := range 3 {
		for j := range 3 {
			n.StoXYZ.M[i][j] = ras[3*i+j] * g.Spacing[2-j]
		}
	}
	n.StoXYZ.M[0][3], n.StoXYZ.M[1][3], n.StoXYZ.M[2][3] = n.QoffsetX, n.QoffsetY, n.QoffsetZ

	var w gonii.NiiWriter
	w.SetNiiData(&n)
	w.SetVersion(gonii.NIIVersion1)
	if max(g.Size[0], g.Size[1], g.Size[2]) > math.MaxInt16 {
		w.SetVersion(gonii.NIIVersion2)
	}
	return w.WriteToBytes()
}
