// Package kernel holds the micro-kernels of the processor: portable Go, which is their specification, AVX2,
// AVX-512 and NEON, chosen by level.
package kernel

import (
	"unsafe"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
)

// The micro-kernels of a kernel set. Strides and offsets are in bytes. In all of them an array of rows holds 16 floats
// (one channel block) per row; blocks of channels lie a stride apart.
type (
	// gemmFunc computes, for tiles*mr rows m and nr blocks j of 16 columns, c[j][m][:] (+)= sum over k of a[k/16][m][k%16]
	// * b[j][k][:], k < 4*k4. aStride parts blocks of a, bStride and cStride those of b and c.
	gemmFunc func(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int)
	// outerFunc computes, for nr blocks j, c[j][i][:] (+)= sum over rows m of a[m][i] * z[j][m][:], i < 16.
	outerFunc func(a, z *float32, zStride int, rows int, c *float32, cStride int, add int)
	// transformFunc computes dst[i] = sum_j matrix[i][j]*src[j] for n2 x n1 lines of vectors of 16. Elements of a line are
	// dstElement and srcElement apart, lines dst1/src1 and dst2/src2. Bit e of mask is set if element e exists:
	// missing inputs are zero and not read, missing outputs not written. src+srcOffset may lie outside the array as long
	// as what exists lies inside.
	transformFunc func(dst, src *float32, srcOffset int, dstElement, srcElement int, n1, dst1, src1, n2, dst2, src2 int, mask int, bias *float32)
	// normalizeFunc computes dst = max(src*scale + shift, floor) on count voxels; params are 16 scales, shifts, floors.
	normalizeFunc func(dst, src *float32, count int, params *float32)
	// sumsFunc overwrites out by 16 sums and 16 sums of squares.
	sumsFunc func(src *float32, count int, out *float64)
	// gradientSumsFunc overwrites out by 16 sums of g' and 16 of g'*(x-mean), g' being g where x*scale + shift > floor and
	// else 0; params are 16 scales, shifts, floors, means.
	gradientSumsFunc func(x, g *float32, count int, params *float32, out *float64)
	// normalizeBackFunc computes dst = x*slope + offset + g'*scale; params are 16 scales, shifts, floors, slopes, offsets.
	normalizeBackFunc func(dst, x, g *float32, count int, params *float32)
	// sgdFunc computes, on count vectors of 16, g' = scale*g + decay*w; m = keep*m + g'; w += negativeRate*(g' +
	// momentum*m).
	sgdFunc func(w, g, m *float32, count int, scale, decay, keep, momentum, negativeRate float32)
	// adamwFunc computes, on count vectors of 16 and with the numbers k = scale, b1, c1, b2, c2, shrink, negativeRate,
	// root, eps: g' = scale*g; m = b1*m + c1*g'; v = b2*v + c2*g'*g'; w = shrink*w + negativeRate*m/(sqrt(v)*root + eps).
	adamwFunc func(w, g, m, v *float32, count int, k *[9]float32)
	// windowFunc computes the maxima of count windows that lie step bytes apart. The taps of a window lie at the byte
	// offsets from src; between the first before and the remaining after of them a zero takes part if zeroTap >= 0.
	// winners gets the number taps[i] of the first tap that is largest.
	windowFunc func(dst *float32, winners *uint8, src *float32, step, count int, offsets *int, taps *[16]uint8, before, after int, zeroTap int)
	// winnersFunc adds up, for count voxels that lie step bytes apart (from zero, or from dst if add), the gradients g of
	// the windows they won: window i of a voxel lies offsets[i] vectors from g and w, and the voxel is its tap taps[i].
	winnersFunc func(dst *float32, step int, g *float32, w *uint8, count int, offsets *int, taps *[16]uint8, windows int, add int)
	// transposeFunc writes the transposed 16x16 matrix src to dst.
	transposeFunc func(dst, src *float32)
	// ceilingFunc does rounds rounds of ceilingAdds independent multiply-adds on registers.
	ceilingFunc func(rounds int)
)

// The kinds of transformations of a Winograd scheme.
const (
	InputTransform       = iota // BT; the mask is on the input
	WeightsTransform            // G
	OutputTransform             // AT; the mask is on the output
	OutputAddTransform          // AT, added to what is there
	OutputReLUTransform         // AT, plus bias, max(0, .)
	GradientTransform           // A: the output's gradient to products; the mask is on the input
	WeightsBackTransform        // GT: the products' gradient to the weights'
	transformKinds
)

// Set is one kernel set.
type Set struct {
	Rows, Cols int                             // largest mr and nr of gemm
	gemm       [15][3]gemmFunc                 // by mr, nr
	OuterCols  int                             // largest nr of outer
	outer      [4]outerFunc                    // by nr
	Transforms [][transformKinds]transformFunc // by scheme, in the order of schemes

	Normalize     normalizeFunc
	Sums          sumsFunc
	GradientSums  gradientSumsFunc
	NormalizeBack normalizeBackFunc
	Sgd           sgdFunc
	Adamw         adamwFunc
	Max3          func(dst, x, y, z *float32, count int) // the maximum of three arrays of count vectors, as axisMax finds it; dst may be x
	Narrow        func(dst, src *float32, count int)     // count vectors of 16 float32 to the activations' format
	Widen         func(dst, src *float32, count int)     // and back
	AxisMax       axisMaxFunc
	WindowArgMax  windowFunc
	WinnersSum    winnersFunc
	CombineMax    combineFunc
	SplitSum      splitFunc
	Transpose     transposeFunc
	Ceiling       ceilingFunc
	CeilingFlops  float64 // of a round of ceiling

	BF16   *bf16Kernels // nil without bfloat16
	Tiles  *Tiles       // nil without tiles
	halved *Set         // this set with activations in bfloat16
}

// Block is the number of channels that lie side by side in a blocked array: one AVX-512 register of float32.
const Block = 16

// Schemes are the Winograd schemes for which every set has transformations.
var Schemes = winograd.Schemes()

// KernelSets holds what this build has, by level; other files of the platform add to it.
var KernelSets = func() (sets [cpulevel.Count]*Set) {
	g := &Set{Rows: 4, Cols: 1, OuterCols: 1}
	for mr := 1; mr <= g.Rows; mr++ {
		g.gemm[mr][1] = func(a *float32, aStride int, b *float32, _ int, k4 int, c *float32, _ int, tiles int, add int) {
			gemmGeneric(a, aStride, b, k4, c, tiles*mr, add != 0)
		}
	}
	g.outer[1] = func(a, z *float32, _ int, rows int, c *float32, _ int, add int) {
		outerGeneric(a, z, rows, c, add != 0)
	}
	for _, s := range Schemes {
		g.Transforms = append(g.Transforms, genericTransforms(s))
	}
	g.Normalize, g.Sums, g.GradientSums, g.NormalizeBack, g.Sgd, g.Adamw = normalizeGeneric, sumsGeneric, gradientSumsGeneric, normalizeBackGeneric, sgdGeneric, adamwGeneric
	g.AxisMax, g.WindowArgMax, g.WinnersSum = axisMaxGeneric, windowGeneric, winnersGeneric
	g.Max3, g.CombineMax, g.SplitSum = max3Generic, combineGeneric, splitGeneric
	g.Transpose = transposeGeneric
	g.Ceiling, g.CeilingFlops = ceilingGeneric, 16
	g.BF16 = bf16Generic(g)
	sets[cpulevel.Generic] = g
	addKernelSets(&sets)
	for _, k := range sets {
		if k != nil {
			k.Narrow, k.Widen = copyVectors, copyVectors
			k.halved = k.BF16.over(k)
		}
	}
	return sets
}()

// On returns the kernels for activations in bfloat16 or float32.
func (k *Set) On(bf16 bool) *Set {
	if bf16 {
		return k.halved
	}
	return k
}

// vector returns the 16 floats at a byte offset.
func vector(p *float32, offset int) *[Block]float32 {
	return (*[Block]float32)(unsafe.Add(unsafe.Pointer(p), offset))
}

// Multiply computes c[o][m][:] (+)= sum_k a[k/16][m][k%16] b[o][k][:] for rows m and blocks o with the micro-kernels.
// Strides are in floats; inner is the number of k, a multiple of 4 or rounded up to one (a's filling is zero). With
// bf16, a is in bfloat16 and b in pairs of it.
func (k *Set) Multiply(bf16 bool, a []float32, aStride int, b []float32, bStride int, inner int, c []float32, cStride int, rows, blocks int, add bool) {
	if rows == 0 {
		return
	}
	k4, flag := (inner+3)/4, 0
	if add {
		flag = 1
	}
	most, cols, gemm, lane := k.Rows, k.Cols, &k.gemm, Block
	if bf16 {
		most, cols, gemm, lane = k.BF16.rows, k.BF16.cols, &k.BF16.gemm, Block/2
	}
	count := (rows + most - 1) / most
	mr, longer := rows/count, rows%count // longer tiles of mr+1 rows, then tiles of mr
	for o := 0; o < blocks; {
		nr := min(cols, blocks-o)
		pb := &b[o*bStride]
		at := 0
		if longer > 0 {
			gemm[mr+1][nr](&a[0], aStride*4, pb, bStride*4, k4, &c[o*cStride], cStride*4, longer, flag)
			at = longer * (mr + 1)
		}
		gemm[mr][nr](&a[at*lane], aStride*4, pb, bStride*4, k4, &c[o*cStride+at*Block], cStride*4, count-longer, flag)
		o += nr
	}
}

// OuterProducts computes c[o][i][:] (+)= sum_m a[m][i] z[o][m][:]. Strides are in floats.
func (k *Set) OuterProducts(a, z []float32, zStride, rows int, c []float32, cStride, blocks int, add bool) {
	flag := 0
	if add {
		flag = 1
	}
	for o := 0; o < blocks; {
		nr := min(k.OuterCols, blocks-o)
		if blocks-o == 4 && nr == 3 {
			nr = 2
		}
		k.outer[nr](&a[0], &z[o*zStride], zStride*4, rows, &c[o*cStride], cStride*4, flag)
		o += nr
	}
}
