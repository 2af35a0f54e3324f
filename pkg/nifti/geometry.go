package nifti

import (
	"fmt"
	"math"

	gonii "github.com/okieraised/gonii/pkg/nifti"
	"github.com/universal-classifier/uc/internal/numeric"
)

// place fills in spacing, origin and direction as ITK's NiftiImageIO does: the spacing is pixdim (in mm), the rest
// comes from the sform or the qform, turned from NIfTI's RAS+ into ITK's LPS by negating x and y.
func (r *rawHeader) place(h *Header) {
	scale := 1.0
	switch uint8(r.units) & 0x07 {
	case gonii.NIFTI_UNITS_METER:
		scale = 1e3
	case gonii.NIFTI_UNITS_MICRON:
		scale = 1e-3
	}
	var pix [3]float64 // x, y, z
	for i := range pix {
		p := math.Abs(r.pixdim[i+1])
		if p == 0 || !numeric.Finite(p) || int64(i) >= r.dim[0] {
			p = 1 // as niftilib repairs it
		}
		pix[i] = p
		h.Spacing[2-i] = p * scale
	}
	h.SpacingDoubt = r.spacingDoubt(pix, scale)

	var m [3][4]float64
	switch {
	case r.sformCode > 0 && (r.qformCode <= 0 || r.preferSform(pix)):
		m = r.srow
	case r.qformCode > 0:
		m = r.qform(pix)
	default: // neither: ITK puts the first voxel at 0 with identity directions
		h.Direction = identity
		return
	}
	for i := range 3 {
		h.Origin[i] = m[i][3] * scale
	}
	for j := range 3 { // columns are voxel axes
		norm := math.Sqrt(m[0][j]*m[0][j] + m[1][j]*m[1][j] + m[2][j]*m[2][j])
		for i := range 3 {
			h.Direction[3*i+j] = m[i][j] / norm
		}
	}
	for i := range 2 { // RAS+ to LPS
		h.Origin[i] = -h.Origin[i]
		for j := range 3 {
			h.Direction[3*i+j] = -h.Direction[3*i+j]
		}
	}
	for i := range 3 {
		if !numeric.Finite(h.Origin[i]) {
			h.Origin = [3]float64{}
		}
	}
	for _, d := range h.Direction {
		if !numeric.Finite(d) { // a column of zeros: no direction to speak of
			h.Direction = identity
			break
		}
	}
	for i, d := range h.Direction {
		if d == 0 {
			h.Direction[i] = 0 // no -0
		}
	}
}

// spacingTolerance is how far, as a share of it, the spacing of the sform may be from pixdim: more than the few percent
// by which the sheared sform of a tilted gantry exceeds it, less than any mistake that matters.
const spacingTolerance = 0.05

// spacingDoubt says what speaks against pix (x, y, z), the spacing read; "" if nothing does. An axis of one voxel has
// no spacing to speak of.
func (r *rawHeader) spacingDoubt(pix [3]float64, scale float64) string {
	missing, differs := false, false
	var sform [3]float64
	for j := range 3 {
		sform[j] = math.Sqrt(r.srow[0][j]*r.srow[0][j] + r.srow[1][j]*r.srow[1][j] + r.srow[2][j]*r.srow[2][j])
		if int64(j) >= r.dim[0] || r.dim[j+1] <= 1 {
			continue
		}
		given := math.Abs(r.pixdim[j+1])
		missing = missing || given == 0 || !numeric.Finite(given)
		differs = differs || math.Abs(sform[j]-pix[j]) > spacingTolerance*max(sform[j], pix[j])
	}
	hasSform := r.sformCode > 0 && sform[0] > 0 && sform[1] > 0 && sform[2] > 0 && numeric.Finite(sform[0]+sform[1]+sform[2])
	text := func(v [3]float64) string {
		return fmt.Sprintf("%.6g x %.6g x %.6g mm", v[0]*scale, v[1]*scale, v[2]*scale)
	}
	given := [3]float64{r.pixdim[1], r.pixdim[2], r.pixdim[3]}
	switch {
	case hasSform && differs:
		return fmt.Sprintf("pixdim says %s, but the sform %s", text(given), text(sform))
	case missing && !hasSform:
		return fmt.Sprintf("pixdim says %s, which is not a spacing, and there is no sform to take it from", text(given))
	}
	return ""
}

var identity = [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}

// sformTolerance is how far the sform's columns may be from orthonormal, and how far sform and qform may differ and
// still be taken for the same placement; the header's sform carries float32 only.
const sformTolerance = 1e-3

// preferSform decides between two known placements as ITK 5 does: an sform without shear wins when it is the scanner's
// (code 1) or says the same as the qform; otherwise the qform, which cannot be sheared, is used.
func (r *rawHeader) preferSform(pix [3]float64) bool {
	var unit [3][3]float64
	for j := range 3 {
		norm := math.Sqrt(r.srow[0][j]*r.srow[0][j] + r.srow[1][j]*r.srow[1][j] + r.srow[2][j]*r.srow[2][j])
		if norm == 0 || !numeric.Finite(norm) {
			return false
		}
		for i := range 3 {
			unit[j][i] = r.srow[i][j] / norm
		}
	}
	for a := range 3 {
		for b := range a {
			if math.Abs(unit[a][0]*unit[b][0]+unit[a][1]*unit[b][1]+unit[a][2]*unit[b][2]) > sformTolerance {
				return false
			}
		}
	}
	if r.sformCode == gonii.NIFTI_XFORM_SCANNER_ANAT {
		return true
	}
	q := r.qform(pix)
	for i := range 3 {
		for j := range 4 {
			if !(math.Abs(q[i][j]-r.srow[i][j]) <= sformTolerance) {
				return false
			}
		}
	}
	return true
}

// qform is the RAS+ matrix of the quaternion, scaled by pix (x, y, z); NIfTI-1 standard, section "METHOD 2".
func (r *rawHeader) qform(pix [3]float64) [3][4]float64 {
	b, c, d := r.quatern[0], r.quatern[1], r.quatern[2]
	a := 1 - (b*b + c*c + d*d)
	if a < 1e-7 { // a rotation by 180 degrees: normalise (b, c, d)
		norm := 1 / math.Sqrt(b*b+c*c+d*d)
		b, c, d, a = b*norm, c*norm, d*norm, 0
	} else {
		a = math.Sqrt(a)
	}
	if r.pixdim[0] < 0 { // qfac: the third axis is mirrored
		pix[2] = -pix[2]
	}
	return [3][4]float64{
		{(a*a + b*b - c*c - d*d) * pix[0], 2 * (b*c - a*d) * pix[1], 2 * (b*d + a*c) * pix[2], r.qoffset[0]},
		{2 * (b*c + a*d) * pix[0], (a*a + c*c - b*b - d*d) * pix[1], 2 * (c*d - a*b) * pix[2], r.qoffset[1]},
		{2 * (b*d - a*c) * pix[0], 2 * (c*d + a*b) * pix[1], (a*a + d*d - c*c - b*b) * pix[2], r.qoffset[2]},
	}
}

// perpendicular makes the columns of a matrix (row-major) orthonormal by Gram and Schmidt's method. One that is
// orthonormal but for rounding stays as it is.
func perpendicular(m [9]float64) [9]float64 {
	column := func(j int) [3]float64 { return [3]float64{m[j], m[3+j], m[6+j]} }
	dot := func(a, b [3]float64) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }
	const rounding = 1e-6
	exact := true
	for a := range 3 {
		for b := range a + 1 {
			want := 0.0
			if a == b {
				want = 1
			}
			exact = exact && math.Abs(dot(column(a), column(b))-want) <= rounding
		}
	}
	if exact {
		return m
	}
	out := m
	for j := range 3 {
		v := column(j)
		for k := range j {
			done := [3]float64{out[k], out[3+k], out[6+k]}
			along := dot(v, done)
			for i := range v {
				v[i] -= along * done[i]
			}
		}
		norm := math.Sqrt(dot(v, v))
		for i := range v {
			out[3*i+j] = v[i] / norm
		}
	}
	return out
}

// quaternion turns an orthonormal RAS+ matrix (row-major) into NIfTI's (b, c, d) and qfac (Shepperd 1978, the largest
// of the four components first, so that nothing is divided by a small number).
func quaternion(m [9]float64) (bcd [3]float64, qfac float64) {
	det := m[0]*(m[4]*m[8]-m[5]*m[7]) - m[1]*(m[3]*m[8]-m[5]*m[6]) + m[2]*(m[3]*m[7]-m[4]*m[6])
	qfac = 1
	if det < 0 {
		qfac = -1
		m[2], m[5], m[8] = -m[2], -m[5], -m[8]
	}
	four := [4]float64{ // four times the square of a, b, c, d
		1 + m[0] + m[4] + m[8], 1 + m[0] - m[4] - m[8], 1 - m[0] + m[4] - m[8], 1 - m[0] - m[4] + m[8],
	}
	best := 0
	for i, v := range four {
		if v > four[best] {
			best = i
		}
	}
	s := 2 * math.Sqrt(four[best])
	var q [4]float64
	q[best] = s / 4
	pair := func(i int, sum float64) { q[i] = sum / s }
	switch best {
	case 0:
		pair(1, m[7]-m[5])
		pair(2, m[2]-m[6])
		pair(3, m[3]-m[1])
	case 1:
		pair(0, m[7]-m[5])
		pair(2, m[1]+m[3])
		pair(3, m[2]+m[6])
	case 2:
		pair(0, m[2]-m[6])
		pair(1, m[1]+m[3])
		pair(3, m[5]+m[7])
	case 3:
		pair(0, m[3]-m[1])
		pair(1, m[2]+m[6])
		pair(2, m[5]+m[7])
	}
	if q[0] < 0 {
		q[1], q[2], q[3] = -q[1], -q[2], -q[3]
	}
	return [3]float64{q[1], q[2], q[3]}, qfac
}

// Orientation names the anatomical direction in which each voxel axis (x, y, z as stored) runs, for people: "RAS" means
// that x grows to the patient's right, y to the front, z to the head.
func Orientation(g Geometry) string {
	names := [3][2]byte{{'L', 'R'}, {'P', 'A'}, {'S', 'I'}} // LPS: + is left, posterior, superior
	out := make([]byte, 3)
	for j := range 3 {
		best := 0
		for i := range 3 {
			if math.Abs(g.Direction[3*i+j]) > math.Abs(g.Direction[3*best+j]) {
				best = i
			}
		}
		negative := 0
		if g.Direction[3*best+j] < 0 {
			negative = 1
		}
		out[j] = names[best][negative]
	}
	return string(out)
}
