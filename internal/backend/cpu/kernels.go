package cpu

import (
	"unsafe"

	"github.com/universal-classifier/uc/internal/backend/cpu/winograd"
)

// The micro-kernels of a kernel set. Strides and offsets are in bytes. In all of them an array of rows holds 16 floats
// (one channel block) per row; blocks of channels lie a stride apart.
type (
	// gemmFunc computes, for tiles*mr rows m and nr blocks j of 16 columns,
	// c[j][m][:] (+)= sum over k of a[k/16][m][k%16] * b[j][k][:], k < 4*k4. aStride parts blocks of a, bStride and cStride those of b and c.
	gemmFunc func(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int)
	// outerFunc computes, for nr blocks j, c[j][i][:] (+)= sum over rows m of a[m][i] * z[j][m][:], i < 16.
	outerFunc func(a, z *float32, zStride int, rows int, c *float32, cStride int, add int)
	// transformFunc computes dst[i] = sum_j matrix[i][j]*src[j] for n2 x n1 lines of vectors of 16. Elements of a line are dstElement
	// and srcElement apart, lines dst1/src1 and dst2/src2. Bit e of mask tells whether element e exists: missing inputs are
	// zero and not read, missing outputs not written. src+srcOffset may lie outside the array as long as what exists lies inside.
	transformFunc func(dst, src *float32, srcOffset int, dstElement, srcElement int, n1, dst1, src1, n2, dst2, src2 int, mask int, bias *float32)
)

// The kinds of transformations of a Winograd scheme.
const (
	inputTransform       = iota // BT; the mask is on the input
	weightsTransform            // G
	outputTransform             // AT; the mask is on the output
	outputAddTransform          // AT, added to what is there
	outputReLUTransform         // AT, plus bias, max(0, .)
	gradientTransform           // A: the output's gradient to products; the mask is on the input
	weightsBackTransform        // GT: the products' gradient to the weights'
	transformKinds
)

// kernels is one kernel set.
type kernels struct {
	rows, cols int                             // largest mr and nr of gemm
	gemm       [15][3]gemmFunc                 // by mr, nr
	outerCols  int                             // largest nr of outer
	outer      [4]outerFunc                    // by nr
	transforms [][transformKinds]transformFunc // by scheme, in the order of schemes
}

var schemes = winograd.Schemes()

// kernelSets holds what this build has, by Features; other files of the platform add to it.
var kernelSets = func() (sets [AVX512 + 1]*kernels) {
	g := &kernels{rows: 4, cols: 1, outerCols: 1}
	for mr := 1; mr <= g.rows; mr++ {
		g.gemm[mr][1] = func(a *float32, aStride int, b *float32, _ int, k4 int, c *float32, _ int, tiles int, add int) {
			gemmGeneric(a, aStride, b, k4, c, tiles*mr, add != 0)
		}
	}
	g.outer[1] = func(a, z *float32, _ int, rows int, c *float32, _ int, add int) {
		outerGeneric(a, z, rows, c, add != 0)
	}
	for _, s := range schemes {
		g.transforms = append(g.transforms, genericTransforms(s))
	}
	sets[Generic] = g
	addKernelSets(&sets)
	return sets
}()

func (p *Pool) kernels() *kernels { return kernelSets[p.features] }

// vector returns the 16 floats at a byte offset.
func vector(p *float32, offset int) *[Block]float32 {
	return (*[Block]float32)(unsafe.Add(unsafe.Pointer(p), offset))
}

func gemmGeneric(a *float32, aStride int, b *float32, k4 int, c *float32, rows int, add bool) {
	for m := range rows {
		var acc [Block]float32
		out := vector(c, m*64)
		if add {
			acc = *out
		}
		for k := 0; k < 4*k4; k += Block {
			in := vector(a, k/Block*aStride+m*64)
			for i := range min(Block, 4*k4-k) {
				w, f := vector(b, (k+i)*64), in[i]
				for o := range acc {
					acc[o] += f * w[o]
				}
			}
		}
		*out = acc
	}
}

func outerGeneric(a, z *float32, rows int, c *float32, add bool) {
	var acc [Block * Block]float32
	for m := range rows {
		x, g := vector(a, m*64), vector(z, m*64)
		for i, f := range x {
			row := (*[Block]float32)(acc[i*Block:])
			for o := range g {
				row[o] += f * g[o]
			}
		}
	}
	for i := range Block {
		out, row := vector(c, i*64), (*[Block]float32)(acc[i*Block:])
		for o := range out {
			if add {
				out[o] += row[o]
			} else {
				out[o] = row[o]
			}
		}
	}
}

// genericTransforms builds the portable transformations of a scheme from its matrices.
func genericTransforms(s winograd.Scheme) (t [transformKinds]transformFunc) {
	t[inputTransform] = genericTransform(s.BT, inputTransform)
	t[weightsTransform] = genericTransform(s.G, weightsTransform)
	for _, kind := range []int{outputTransform, outputAddTransform, outputReLUTransform} {
		t[kind] = genericTransform(s.AT, kind)
	}
	t[gradientTransform] = genericTransform(winograd.Transpose(s.AT), gradientTransform)
	t[weightsBackTransform] = genericTransform(winograd.Transpose(s.G), weightsBackTransform)
	return t
}

func genericTransform(matrix [][]float64, kind int) transformFunc {
	type term struct {
		from int
		by   float32
	}
	terms := make([][]term, len(matrix))
	for i, row := range matrix {
		for j, f := range row {
			if f != 0 {
				terms[i] = append(terms[i], term{j, float32(f)})
			}
		}
	}
	columns := len(matrix[0])
	maskIn := kind == inputTransform || kind == gradientTransform
	maskOut := kind == outputTransform || kind == outputAddTransform || kind == outputReLUTransform
	return func(dst, src *float32, srcOffset int, dstElement, srcElement int, n1, dst1, src1, n2, dst2, src2 int, mask int, bias *float32) {
		for l2 := range n2 {
			for l1 := range n1 {
				var in [8][Block]float32
				for j := range columns {
					if !maskIn || mask>>j&1 != 0 {
						in[j] = *vector(src, srcOffset+l2*src2+l1*src1+j*srcElement)
					}
				}
				for i, row := range terms {
					if maskOut && mask>>i&1 == 0 {
						continue
					}
					var sum [Block]float32
					for _, t := range row {
						x := &in[t.from]
						for o := range sum {
							sum[o] += t.by * x[o]
						}
					}
					out := vector(dst, l2*dst2+l1*dst1+i*dstElement)
					switch kind {
					case outputAddTransform:
						for o := range sum {
							sum[o] += out[o]
						}
					case outputReLUTransform:
						b := vector(bias, 0)
						for o := range sum {
							sum[o] = max(0, sum[o]+b[o])
						}
					}
					*out = sum
				}
			}
		}
	}
}

// multiply computes c[o][m][:] (+)= sum_k a[k/16][m][k%16] b[o][k][:] for rows m and blocks o with the micro-kernels. Strides are in
// floats; inner is the number of k, a multiple of 4 or rounded up to one (a's filling is zero).
func (k *kernels) multiply(a []float32, aStride int, b []float32, bStride int, inner int, c []float32, cStride int, rows, blocks int, add bool) {
	if rows == 0 {
		return
	}
	k4, flag := (inner+3)/4, 0
	if add {
		flag = 1
	}
	count := (rows + k.rows - 1) / k.rows
	mr, longer := rows/count, rows%count // longer tiles of mr+1 rows, then tiles of mr
	for o := 0; o < blocks; {
		nr := min(k.cols, blocks-o)
		pb := &b[o*bStride]
		at := 0
		if longer > 0 {
			k.gemm[mr+1][nr](&a[0], aStride*4, pb, bStride*4, k4, &c[o*cStride], cStride*4, longer, flag)
			at = longer * (mr + 1) * Block
		}
		k.gemm[mr][nr](&a[at], aStride*4, pb, bStride*4, k4, &c[o*cStride+at], cStride*4, count-longer, flag)
		o += nr
	}
}

// outerProducts computes c[o][i][:] (+)= sum_m a[m][i] z[o][m][:]. Strides are in floats.
func (k *kernels) outerProducts(a, z []float32, zStride, rows int, c []float32, cStride, blocks int, add bool) {
	flag := 0
	if add {
		flag = 1
	}
	for o := 0; o < blocks; {
		nr := min(k.outerCols, blocks-o)
		if blocks-o == 4 && nr == 3 {
			nr = 2
		}
		k.outer[nr](&a[0], &z[o*zStride], zStride*4, rows, &c[o*cStride], cStride*4, flag)
		o += nr
	}
}
