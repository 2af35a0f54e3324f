package cpu

import (
	"unsafe"
)

// halves views memory as bfloat16 values, two to a float.
func halves(f []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(f))), 2*len(f))
}

// wideTwin returns a float32 activation of a's shape that lies in s until the next call.
func wideTwin(a Act, s *Scratch) Act {
	return ActOn(s.floats(ActLen(a.N, a.C, a.D, a.H, a.W)), a.N, a.C, a.D, a.H, a.W)
}

// widened returns a, or a float32 copy of it that lies in s until the next call.
func widened(p *Pool, a Act, s *Scratch) Act {
	if !a.Half {
		return a
	}
	wide, k := wideTwin(a, s), p.kernels()
	eachPiece(p, a, func(n, b, from, count int) {
		k.half.widen(&wide.block(n, b)[from*Block], &a.block(n, b)[from*a.vec()], count)
	})
	return wide
}

// narrow rounds wide to y, in bfloat16.
func narrow(p *Pool, wide, y Act) {
	k := p.kernels()
	eachPiece(p, y, func(n, b, from, count int) {
		k.half.narrow(&y.block(n, b)[from*y.vec()], &wide.block(n, b)[from*Block], count)
	})
}

// multiply computes c[o][m][:] = sum_k a[k/16][m][k%16] b[o][k][:], plus c if add, plus bias[o][:] unless nil, at least 0 if relu, for rows m and blocks
// o. Strides are in floats of memory; a and c are in bfloat16, b in pairs of it, inner is the number of k, rounded up to a multiple of 4.
func (h *halfKernels) multiply(a []float32, aStride int, b []float32, bStride int, inner int, c []float32, cStride int, rows, blocks int, add bool, bias []float32, relu bool) {
	const lane = Block / 2
	k4, count := (inner+3)/4, (rows+h.rows-1)/h.rows
	mr, longer := rows/count, rows%count
	adds, floors := flag(add), flag(relu)
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
func (h *halfKernels) outerProducts(a, z []float32, zStride, pairs int, c []float32, cStride, blocks int, add bool) {
	most := len(h.outer) - 1
	for h.outer[most] == nil {
		most--
	}
	for o := 0; o < blocks; {
		nr := min(most, blocks-o)
		h.outer[nr](&a[0], &z[o*zStride], zStride*4, pairs, &c[o*cStride], cStride*4, flag(add))
		o += nr
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// over returns k with activations in bfloat16, nil for no kernels.
func (h *halfKernels) over(k *kernels) *kernels {
	if h == nil {
		return nil
	}
	o := *k
	o.normalize, o.sums, o.gradientSums, o.normalizeBack = h.normalize, h.sums, h.gradientSums, h.normalizeBack
	o.max3, o.narrow, o.widen = h.max3, h.narrow, h.widen
	o.axisMax, o.windowArgMax, o.winnersSum, o.transforms = h.axisMax, h.windowArgMax, h.winnersSum, h.transforms
	o.combineMax, o.splitSum = h.combineMax, h.splitSum
	return &o
}

func copyVectors(dst, src *float32, count int) {
	copy(unsafe.Slice(dst, count*Block), unsafe.Slice(src, count*Block))
}
