package cpu

import (
	"unsafe"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
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
func widened(p *Workers, a Act, s *Scratch) Act {
	if !a.BF16 {
		return a
	}
	wide, k := wideTwin(a, s), p.kernels()
	eachPiece(p, a, func(n, b, from, count int) {
		k.BF16.Widen(&wide.block(n, b)[from*kernel.Block], &a.block(n, b)[from*a.vec()], count)
	})
	return wide
}

// narrow rounds wide to y, in bfloat16.
func narrow(p *Workers, wide, y Act) {
	k := p.kernels()
	eachPiece(p, y, func(n, b, from, count int) {
		k.BF16.Narrow(&y.block(n, b)[from*y.vec()], &wide.block(n, b)[from*kernel.Block], count)
	})
}
