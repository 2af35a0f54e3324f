package nifti

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	gonii "github.com/okieraised/gonii/pkg/nifti"

	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/voxels"
)

// Header is what a NIfTI header says, checked: a three-dimensional grid of real numbers that fits the file.
type Header struct {
	Geometry              // size and spacing (z, y, x); origin and direction as ITK gives them (LPS)
	Version      int      // 1 or 2
	BigEndian    bool     // byte order of header and voxels
	Datatype     Datatype // of the stored voxels
	Slope, Inter float64  // voxel = stored * Slope + Inter; 1 and 0 when the file declares no scaling
	Offset       int64    // first byte of the voxels in the (decompressed) file
	SpacingDoubt string   // what in the header speaks against the spacing read (pixdim, as ITK takes it); "" if nothing does

	notes []string // what the header has wrong and nothing depends on
}

// layout says how the voxels are stored.
func (h *Header) layout() voxels.Layout {
	return voxels.Layout{Type: types[h.Datatype], BigEndian: h.BigEndian, Slope: h.Slope, Inter: h.Inter}
}

// rawHeader holds the fields of either version that matter here, in the wider types.
type rawHeader struct {
	version              int
	order                binary.ByteOrder
	dim                  [8]int64
	pixdim               [8]float64
	datatype             Datatype
	bitpix               int
	voxOffset            float64
	slope, inter         float64
	qformCode, sformCode int
	quatern, qoffset     [3]float64
	srow                 [3][4]float64
	units                int32
}

// maxHeaderLen is enough for either version.
const maxHeaderLen = gonii.NII2HeaderSize

// Is reports whether a file that begins with b is gzip data or has the header of a NIfTI file.
func Is(b []byte) bool {
	if len(b) >= 2 && b[0] == 0x1f && b[1] == 0x8b {
		return true
	}
	if len(b) < 4 {
		return false
	}
	n, _ := headerLen(b)
	return n > 0
}

// headerLen tells the length of the header from its first four bytes, and the byte order; 0 for anything but NIfTI.
func headerLen(b []byte) (int, binary.ByteOrder) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(b) {
		case gonii.NII1HeaderSize:
			return gonii.NII1HeaderSize, order
		case gonii.NII2HeaderSize:
			return gonii.NII2HeaderSize, order
		}
	}
	return 0, nil
}

// decodeHeader reads the fixed fields; b holds exactly the header.
func decodeHeader(b []byte, order binary.ByteOrder) (*rawHeader, error) {
	if len(b) == gonii.NII1HeaderSize {
		var n gonii.Nii1Header
		if err := binary.Read(bytes.NewReader(b), order, &n); err != nil {
			return nil, err
		}
		switch n.Magic {
		case gonii.NIFTI_1_MAGIC_SINGLE:
		case gonii.NIFTI_1_MAGIC_PAIR:
			return nil, errPair
		default:
			return nil, errAnalyze
		}
		h := &rawHeader{
			version: 1, order: order, datatype: Datatype(n.Datatype), bitpix: int(n.Bitpix), voxOffset: float64(n.VoxOffset),
			slope: float64(n.SclSlope), inter: float64(n.SclInter),
			qformCode: int(n.QformCode), sformCode: int(n.SformCode),
			quatern: [3]float64{float64(n.QuaternB), float64(n.QuaternC), float64(n.QuaternD)},
			qoffset: [3]float64{float64(n.QoffsetX), float64(n.QoffsetY), float64(n.QoffsetZ)},
			units:   int32(n.XyztUnits),
		}
		for i := range n.Dim {
			h.dim[i], h.pixdim[i] = int64(n.Dim[i]), float64(n.Pixdim[i])
		}
		for i, row := range [3][4]float32{n.SrowX, n.SrowY, n.SrowZ} {
			for j, v := range row {
				h.srow[i][j] = float64(v)
			}
		}
		return h, nil
	}
	var n gonii.Nii2Header
	if err := binary.Read(bytes.NewReader(b), order, &n); err != nil {
		return nil, err
	}
	switch n.Magic {
	case gonii.NIFTI_2_MAGIC_SINGLE:
	case gonii.NIFTI_2_MAGIC_PAIR:
		return nil, errPair
	default:
		return nil, errMagic
	}
	return &rawHeader{
		version: 2, order: order, dim: n.Dim, pixdim: n.Pixdim, datatype: Datatype(n.Datatype), bitpix: int(n.Bitpix),
		voxOffset: float64(n.VoxOffset), slope: n.SclSlope, inter: n.SclInter,
		qformCode: int(n.QformCode), sformCode: int(n.SformCode),
		quatern: [3]float64{n.QuaternB, n.QuaternC, n.QuaternD},
		qoffset: [3]float64{n.QoffsetX, n.QoffsetY, n.QoffsetZ},
		srow:    [3][4]float64{n.SrowX, n.SrowY, n.SrowZ},
		units:   n.XyztUnits,
	}, nil
}

// check turns the raw fields into a Header, or says why the file cannot be read as a volume. limit is the largest
// number of bytes the (decompressed) file can hold.
func (r *rawHeader) check(limit int64) (*Header, error) {
	h := &Header{Version: r.version, BigEndian: r.order == binary.BigEndian, Datatype: r.datatype}

	if r.dim[0] < 1 || r.dim[0] > 7 {
		return nil, fmt.Errorf("the header gives %d dimensions, expected 1 to 7; the file is damaged, export it again", r.dim[0])
	}
	voxels := int64(1)
	const most = math.MaxInt64 / 32 // 32 bytes is the largest voxel NIfTI knows
	for i := int64(1); i <= r.dim[0]; i++ {
		n := r.dim[i]
		if i > 3 && n < 1 {
			n, r.dim[i] = 1, 1 // as niftilib repairs it, and with it ITK
		}
		if n < 1 {
			return nil, fmt.Errorf("size %d along dimension %d, expected 1 or more; the file is damaged, export it again", n, i)
		}
		if voxels > most/n {
			return nil, fmt.Errorf("the header claims a size of %s, more than any file can hold; the file is damaged, export it again", r.dimensions())
		}
		voxels *= n
	}
	for i := int64(4); i <= r.dim[0]; i++ {
		if r.dim[i] > 1 {
			return nil, fmt.Errorf("a %d-dimensional image of size %s, expected one 3D volume; split it into one file per modality", r.dim[0], r.dimensions())
		}
	}
	h.Size = [3]int{1, 1, 1}
	for i := int64(1); i <= min(r.dim[0], 3); i++ {
		if r.dim[i] > math.MaxInt32 {
			return nil, fmt.Errorf("size %d along dimension %d is more than %d; the file is damaged, export it again", r.dim[i], i, math.MaxInt32)
		}
		h.Size[3-i] = int(r.dim[i])
	}

	if err := r.datatype.check(); err != nil {
		return nil, err
	}
	if n := 8 * h.Datatype.Bytes(); r.bitpix != n && r.bitpix != 0 {
		h.notes = append(h.notes, fmt.Sprintf("the header says %d bits per voxel, but its datatype %s has %d; the datatype counts", r.bitpix, r.datatype, n))
	}
	h.Offset = int64(r.voxOffset)
	first := int64(gonii.NII1HeaderSize + gonii.DefaultHeaderPadding)
	if r.version == 2 {
		first = gonii.NII2HeaderSize + gonii.DefaultHeaderPadding
	}
	if r.voxOffset == 0 {
		h.Offset = first
	}
	if float64(h.Offset) != r.voxOffset && r.voxOffset != 0 || h.Offset < first {
		return nil, fmt.Errorf("voxels are said to start at byte %g, expected %d or more; the file is damaged, export it again", r.voxOffset, first)
	}
	bytesNeeded := voxels * int64(h.Datatype.Bytes())
	if h.Offset > limit || bytesNeeded > limit-h.Offset {
		return nil, fmt.Errorf("the header claims %s voxels of %s (%d bytes), but the file holds at most %d bytes; it is truncated or damaged, copy or export it again",
			r.dimensions(), r.datatype, bytesNeeded, max(limit-h.Offset, 0))
	}

	h.Slope, h.Inter = 1, 0
	if r.slope != 0 && numeric.Finite(r.slope) { // NIfTI: slope 0 means no scaling at all
		if !numeric.Finite(r.inter) {
			return nil, fmt.Errorf("scl_slope is %g but scl_inter is %g, expected a number; repair the header", r.slope, r.inter)
		}
		h.Slope, h.Inter = r.slope, r.inter
	}
	r.place(h)
	return h, nil
}

// dimensions is the size as the file orders it: x, y, z, ...
func (r *rawHeader) dimensions() string {
	parts := make([]string, 0, 7)
	for i := int64(1); i <= r.dim[0]; i++ {
		parts = append(parts, fmt.Sprint(r.dim[i]))
	}
	return strings.Join(parts, "x")
}
