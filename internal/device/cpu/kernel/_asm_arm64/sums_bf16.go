package main

import "github.com/universal-classifier/uc/internal/neon"

// The sums over voxels in bfloat16 multiply pairs of voxels (BFDOT): 16 voxels are summed up in float32, and such sums
// in float64, which lie at out.

// shortSums are the registers of two sums of 16 channels in float32.
type shortSums struct {
	sum, product quad
	out          neon.R
	work         [4]neon.V
}

// newShortSums emits zero sums.
func newShortSums(f *neon.Func, sum, product neon.V, out neon.R, work [4]neon.V) shortSums {
	s := shortSums{quadAt(sum), quadAt(product), out, work}
	zero(f, s.sum)
	zero(f, s.product)
	for at := 0; at < 256; at += 32 {
		f.STPQ(s.sum[0], s.sum[1], out, at)
	}
	return s
}

// fold adds the short sums to those at out.
func (s shortSums) fold(f *neon.Func) {
	a, b, c, d := s.work[0], s.work[1], s.work[2], s.work[3]
	for i, q := range []quad{s.sum, s.product} {
		for j, v := range q {
			at := 128*i + 32*j
			f.LDPQ(a, b, s.out, at)
			f.FCVTL(c.D2(), v.S2())
			f.FCVTL2(d.D2(), v.S4())
			f.FADD(a.D2(), a.D2(), c.D2())
			f.FADD(b.D2(), b.D2(), d.D2())
			f.STPQ(a, b, s.out, at)
			f.Zero(v)
		}
	}
}

// loops emits voxels, which takes 1 or 2 of them and moves on, for count voxels.
func (s shortSums) loops(f *neon.Func, count neon.R, voxels func(n int)) {
	pairs := f.GP()
	f.Go("SUBS $16, %v, %v", count, count)
	f.Go("BLT few")
	f.Label("many")
	f.Go("MOVD $8, %v", pairs)
	f.Loop("pair", pairs, func() { voxels(2) })
	s.fold(f)
	f.Go("SUBS $16, %v, %v", count, count)
	f.Go("BGE many")
	f.Label("few")
	f.Go("ADDS $14, %v, %v", count, count)
	f.Go("BLT last")
	f.Label("two")
	voxels(2)
	f.Go("SUBS $2, %v, %v", count, count)
	f.Go("BGE two")
	f.Label("last")
	f.Go("ADDS $2, %v, %v", count, count)
	f.Go("BEQ done")
	voxels(1)
	f.Label("done")
	s.fold(f)
}

// add adds up one register of pairs of voxels, a product with ones and one with y.
func (s shortSums) add(f *neon.Func, i int, x, y, ones neon.V) {
	f.BFDOT(s.sum[i].S4(), x.H8(), ones.H8())
	f.BFDOT(s.product[i].S4(), x.H8(), y.H8())
}

// loadPair loads the 16 bfloat16 of n voxels; a missing second one is zero.
func loadPair(f *neon.Func, q quad, n int, base neon.R) {
	if n == 2 {
		f.LDPQ(q[2], q[3], base, 32)
	} else {
		f.Zero(q[2])
		f.Zero(q[3])
	}
	f.LDPQPost(q[0], q[1], base, 32*n)
}

// bfloatOnes puts 1 into every lane of 16 bits.
func bfloatOnes(f *neon.Func, v neon.V) {
	r := f.GP()
	f.Go("MOVD $0x3f80, %v", r)
	f.DUPGeneral(v.H8(), r)
	f.Free(r)
}

func sumsBF16(file *neon.File) {
	f := file.Func("sumsBF16NEON", "(src *float32, count int, out *float64)")
	src, count, out := f.Load("src"), f.Load("count"), f.Load("out")
	x, ones, pairs := quadAt(0), neon.V(4), quadAt(24)
	bfloatOnes(f, ones)
	s := newShortSums(f, 16, 20, out, [4]neon.V{0, 1, 2, 3})
	s.loops(f, count, func(n int) {
		loadPair(f, x, n, src)
		for i := range 2 {
			f.ZIP1(pairs[2*i].H8(), x[i].H8(), x[i+2].H8())
			f.ZIP2(pairs[2*i+1].H8(), x[i].H8(), x[i+2].H8())
		}
		for i, v := range pairs {
			s.add(f, i, v, v, ones)
		}
	})
	f.RET()
}

// gradientSumsBF16 takes the mean off at the end: the sum of g'*(x-mean) is that of g'*x less mean times the sum of g'.
func gradientSumsBF16(file *neon.File) {
	f := file.Func("gradientSumsBF16NEON", "(x, dy *float32, count int, params *float32, out *float64)")
	px, pg, count, params, out := f.Load("x"), f.Load("dy"), f.Load("count"), f.Load("params"), f.Load("out")
	scale, shift, floor := quadAt(16), quadAt(20), quadAt(24)
	for i, q := range []quad{scale, shift, floor} {
		load(f, q, params, 64*i)
	}
	ones, upper := neon.V(28), neon.V(29)
	bfloatOnes(f, ones)
	s := newShortSums(f, 8, 12, out, [4]neon.V{0, 1, 2, 3})
	f.Zero(upper)
	f.NOT(upper.B16(), upper.B16())
	f.SHL(upper.S4(), upper.S4(), 16)
	x, g, y, z, w := quadAt(0), [2]neon.V{4, 5}, neon.V(6), neon.V(7), neon.V(30)
	s.loops(f, count, func(n int) {
		loadPair(f, x, n, px)
		// pairs of channels 0 to 3, 4 to 7 and so on; x[1] is free afterwards
		f.ZIP1(neon.V(31).H8(), x[0].H8(), x[2].H8())
		f.ZIP2(x[2].H8(), x[0].H8(), x[2].H8())
		f.ZIP1(x[0].H8(), x[1].H8(), x[3].H8())
		f.ZIP2(x[3].H8(), x[1].H8(), x[3].H8())
		x, free := quad{31, x[2], x[0], x[3]}, x[1]
		for half := range 2 {
			f.LDRQ(g[0], pg, 16*half)
			if n == 2 {
				f.LDRQ(g[1], pg, 32+16*half)
			} else {
				f.Zero(g[1])
			}
			f.ZIP1(free.H8(), g[0].H8(), g[1].H8())
			f.ZIP2(g[1].H8(), g[0].H8(), g[1].H8())
			for j, g := range []neon.V{free, g[1]} {
				i := 2*half + j
				f.MOV(y, shift[i])
				f.SHL(w.S4(), x[i].S4(), 16)
				f.FMLA(y.S4(), w.S4(), scale[i].S4())
				f.FCMGT(y.S4(), y.S4(), floor[i].S4())
				mask := y
				if n == 2 {
					f.MOV(z, shift[i])
					f.AND(w.B16(), x[i].B16(), upper.B16())
					f.FMLA(z.S4(), w.S4(), scale[i].S4())
					f.FCMGT(z.S4(), z.S4(), floor[i].S4())
					f.SRI(z.S4(), y.S4(), 16)
					mask = z
				}
				f.AND(g.B16(), g.B16(), mask.B16())
				f.AND(mask.B16(), x[i].B16(), mask.B16()) // nothing comes of 0 times what is not finite
				s.add(f, i, g, mask, ones)
			}
		}
		f.Go("ADD $%d, %v, %v", 32*n, pg, pg)
	})
	mean, a, b := s.work[0], s.work[1], s.work[2]
	for i := range 8 { // two channels
		f.LDRD(mean, params, 192+8*i)
		f.FCVTL(mean.D2(), mean.S2())
		f.LDRQ(a, out, 16*i)
		f.LDRQ(b, out, 128+16*i)
		f.FMLS(b.D2(), mean.D2(), a.D2())
		f.STRQ(b, out, 128+16*i)
	}
	f.RET()
}
