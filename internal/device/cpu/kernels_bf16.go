package cpu

import (
	"math"
	"unsafe"
)

// The micro-kernels on bfloat16, which is the upper half of a float32: 8 bits of exponent, 7 of mantissa. Activations keep the blocked
// layout with 2 bytes per value, 32 per voxel of a channel block. Pointers to them are typed *float32 as well, so that both formats share
// the types of the kernels. Strides and offsets stay in bytes.
//
// Rounding is to the nearest, ties to even; what is not a number stays so. Like the processor's instructions, rounding turns numbers
// below 2^-126 into zeros of their sign. The products of assembly kernels take such inputs for zeros too, and flush such sums; the
// portable ones do not.
type (
	// productFunc is gemmFunc with a and c in bfloat16 and b in pairs (see halfKernels.gemm): c[j][m][:] = the sum over k, plus c[j][m][:]
	// if add, plus bias[j*16:][:16] unless it is nil, at least 0 if relu. It is rounded once.
	productFunc func(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int, bias *float32, relu int)
	// rearrangeFunc writes count vectors, rows or pairs of rows of src to dst in another format.
	rearrangeFunc func(dst, src *float32, count int)
)

// halfKernels are the kernels of a set on bfloat16. Those without a comment are the kernels of the same name with all activations (and their
// gradients) in bfloat16; they compute in float32, or in float64 where the others do, but may add up 16 voxels in float32 before.
type halfKernels struct {
	rows, cols int // largest mr and nr of gemm and product

	// gemm takes a in bfloat16, 32 bytes a row, and b in bfloat16 in pairs of inner indices, [k/2][16][2]; c is float32. By mr, nr.
	gemm    [15][3]gemmFunc
	product [15][3]productFunc // by mr, nr
	// outer takes a and z in bfloat16 in pairs of rows, [rows/2][16][2], and counts pairs in its rows; c is float32. By nr.
	outer [4]outerFunc

	interleave rearrangeFunc // count rows of 16 bfloat16 to pairs of rows [(count+1)/2][16][2]; zeros partner an odd last row
	packPairs  rearrangeFunc // count pairs of float32 rows [2*count][16] to pairs of bfloat16 rows [count][16][2]
	narrow     rearrangeFunc // count vectors of 16 float32 to bfloat16
	widen      rearrangeFunc // count vectors of 16 bfloat16 to float32

	// transforms, by scheme: inputTransform and gradientTransform read bfloat16 and write float32; outputTransform, outputAddTransform and
	// outputReLUTransform read float32 and write bfloat16; other kinds are nil.
	transforms [][transformKinds]transformFunc
	// transformsV, by scheme, are inputTransforms that read float32 and write bfloat16.
	transformsV []transformFunc

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

// toHalf rounds to bfloat16.
func toHalf(f float32) uint16 {
	b := math.Float32bits(f)
	switch {
	case b&0x7f800000 == 0:
		return uint16(b >> 16 & 0x8000)
	case f != f:
		return uint16(b>>16 | 0x40)
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// fromHalf returns the value of a bfloat16.
func fromHalf(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// halfVector returns the 16 bfloat16 at a byte offset.
func halfVector(p *float32, offset int) *[Block]uint16 {
	return (*[Block]uint16)(unsafe.Add(unsafe.Pointer(p), offset))
}

// halfPairs returns the 16 pairs of bfloat16 at a byte offset.
func halfPairs(p *float32, offset int) *[Block][2]uint16 {
	return (*[Block][2]uint16)(unsafe.Add(unsafe.Pointer(p), offset))
}
