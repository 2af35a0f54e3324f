package kernel

import (
	"math"
	"unsafe"
)

// The micro-kernels on bfloat16, which is the upper half of a float32: 8 bits of exponent, 7 of mantissa. Activations
// keep the blocked layout with 2 bytes per value, 32 per voxel of a channel block. Pointers to them are typed *float32
// as well, so that both formats share the types of the kernels. Strides and offsets stay in bytes.
//
// Rounding is to the nearest, ties to even; what is not a number stays so. Like the processor's instructions, rounding
// turns numbers below 2^-126 into zeros of their sign. The products of assembly kernels take such inputs for zeros too,
// and flush such sums; the portable ones do not.
type (
	// productFunc is gemmFunc with a and c in bfloat16 and b in pairs (see bf16Kernels.gemm): c[j][m][:] = the sum over k,
	// plus c[j][m][:] if add, plus bias[j*16:][:16] unless it is nil, at least 0 if relu. It is rounded once.
	productFunc func(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int, bias *float32, relu int)
	// rearrangeFunc writes count vectors, rows or pairs of rows of src to dst in another format.
	rearrangeFunc func(dst, src *float32, count int)
)

// bf16Kernels are the kernels of a set on bfloat16. Those without a comment are the kernels of the same name with all
// activations (and their gradients) in bfloat16; they compute in float32, or in float64 where the others do, but may
// add up 16 voxels in float32 before.
type bf16Kernels struct {
	rows, cols int // largest mr and nr of gemm and product

	// gemm takes a in bfloat16, 32 bytes a row, and b in bfloat16 in pairs of inner indices, [k/2][16][2]; c is float32.
	// By mr, nr.
	gemm    [15][3]gemmFunc
	product [15][3]productFunc // by mr, nr
	// outer takes a and z in bfloat16 in pairs of rows, [rows/2][16][2], and counts pairs in its rows; c is float32. By
	// nr.
	outer [4]outerFunc

	Interleave rearrangeFunc // count rows of 16 bfloat16 to pairs of rows [(count+1)/2][16][2]; zeros partner an odd last row
	PackPairs  rearrangeFunc // count pairs of float32 rows [2*count][16] to pairs of bfloat16 rows [count][16][2]
	Narrow     rearrangeFunc // count vectors of 16 float32 to bfloat16
	Widen      rearrangeFunc // count vectors of 16 bfloat16 to float32

	// transforms, by scheme: inputTransform and gradientTransform read bfloat16 and write float32; outputTransform,
	// outputAddTransform and outputReLUTransform read float32 and write bfloat16; other kinds are nil.
	transforms [][transformKinds]transformFunc
	// transformsV, by scheme, are inputTransforms that read float32 and write bfloat16.
	TransformsV []transformFunc

	normalize     normalizeFunc
	sums          sumsFunc
	gradientSums  gradientSumsFunc
	normalizeBack normalizeBackFunc
	axisMax       axisMaxFunc
	windowArgMax  windowFunc
	winnersSum    winnersFunc
	combineMax    combineFunc
	splitSum      splitFunc
	max3          func(dst, x, y, z *float32, count int)
}

// ToBF16 rounds to bfloat16.
func ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	switch {
	case b&0x7f800000 == 0:
		return uint16(b >> 16 & 0x8000)
	case f != f:
		return uint16(b>>16 | 0x40)
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// FromBF16 returns the value of a bfloat16.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// bf16Vector returns the 16 bfloat16 at a byte offset.
func bf16Vector(p *float32, offset int) *[Block]uint16 {
	return (*[Block]uint16)(unsafe.Add(unsafe.Pointer(p), offset))
}

// bf16Pairs returns the 16 pairs of bfloat16 at a byte offset.
func bf16Pairs(p *float32, offset int) *[Block][2]uint16 {
	return (*[Block][2]uint16)(unsafe.Add(unsafe.Pointer(p), offset))
}

// multiply computes c[o][m][:] = sum_k a[k/16][m][k%16] b[o][k][:], plus c if add, plus bias[o][:] unless nil, at least
// 0 if relu, for rows m and blocks o. Strides are in floats of memory; a and c are in bfloat16, b in pairs of it, inner
// is the number of k, rounded up to a multiple of 4.
func (h *bf16Kernels) Multiply(a []float32, aStride int, b []float32, bStride int, inner int, c []float32, cStride int, rows, blocks int, add bool, bias []float32, relu bool) {
	const lane = Block / 2
	k4, count := (inner+3)/4, (rows+h.rows-1)/h.rows
	mr, longer := rows/count, rows%count
	adds, floors := Flag(add), Flag(relu)
	for o := 0; o < blocks; {
		nr := min(h.cols, blocks-o)
		var shift *float32
		if bias != nil {
			shift = &bias[o*Block]
		}
		at := 0
		if longer > 0 {
			h.product[mr+1][nr](&a[0], aStride*4, &b[o*bStride], bStride*4, k4, &c[o*cStride], cStride*4, longer, adds, shift, floors)
			at = longer * (mr + 1) * lane
		}
		h.product[mr][nr](&a[at], aStride*4, &b[o*bStride], bStride*4, k4, &c[o*cStride+at], cStride*4, count-longer, adds, shift, floors)
		o += nr
	}
}

// outerProducts computes c[o][i][:] (+)= sum_m a[m][i] z[o][m][:] for rows in pairs; strides are in floats of memory.
func (h *bf16Kernels) OuterProducts(a, z []float32, zStride, pairs int, c []float32, cStride, blocks int, add bool) {
	most := len(h.outer) - 1
	for h.outer[most] == nil {
		most--
	}
	for o := 0; o < blocks; {
		nr := min(most, blocks-o)
		h.outer[nr](&a[0], &z[o*zStride], zStride*4, pairs, &c[o*cStride], cStride*4, Flag(add))
		o += nr
	}
}

// Flag is 1 for true and 0 for false, as kernels take it.
func Flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// over returns k with activations in bfloat16, nil for no kernels.
func (h *bf16Kernels) over(k *Set) *Set {
	if h == nil {
		return nil
	}
	o := *k
	o.Normalize, o.Sums, o.GradientSums, o.NormalizeBack = h.normalize, h.sums, h.gradientSums, h.normalizeBack
	o.Max3, o.Narrow, o.Widen = h.max3, h.Narrow, h.Widen
	o.AxisMax, o.WindowArgMax, o.WinnersSum, o.Transforms = h.axisMax, h.windowArgMax, h.winnersSum, h.transforms
	o.CombineMax, o.SplitSum = h.combineMax, h.splitSum
	return &o
}

func copyVectors(dst, src *float32, count int) {
	copy(unsafe.Slice(dst, count*Block), unsafe.Slice(src, count*Block))
}
