package main

import "github.com/universal-classifier/uc/internal/neon"

func init() {
	kinds["elementwise"] = func(file *neon.File) {
		normalize(file, float32s)
		sums(file)
		gradientSums(file)
		normalizeBack(file, float32s)
		sgd(file)
		adamw(file)
		max3(file, float32s)
	}
	kinds["elementwise_bf16"] = func(file *neon.File) {
		normalize(file, bfloats)
		sumsBF16(file)
		gradientSumsBF16(file)
		normalizeBack(file, bfloats)
		max3(file, bfloats)
	}
}

// normalize: dst = max(src*scale + shift, floor); params are 16 scales, shifts, floors.
func normalize(file *neon.File, a format) {
	f := file.Func("normalize"+a.name, "(dst, src *float32, count int, params *float32)")
	dst, src, count, params := f.Load("dst"), f.Load("src"), f.Load("count"), f.Load("params")
	scale, shift, floor, x, y := quadAt(16), quadAt(20), quadAt(24), quadAt(0), quadAt(4)
	for i, q := range []quad{scale, shift, floor} {
		load(f, q, params, 64*i)
	}
	var r rounding
	if a.half() {
		r = newRounding(f, 28, 29, 30)
	}
	f.Loop("voxel", count, func() {
		a.read(f, x, src, a.voxel)
		copyTo(f, y, shift)
		for i := range x {
			f.FMLA(y[i].S4(), x[i].S4(), scale[i].S4())
			f.FMAX(y[i].S4(), y[i].S4(), floor[i].S4())
		}
		a.write(f, y, r, dst, a.voxel)
	})
	f.RET()
}

// doubles are the registers of 16 float64.
type doubles [8]neon.V

func doublesAt(first neon.V) (d doubles) {
	for i := range d {
		d[i] = first + neon.V(i)
	}
	return d
}

// storeDoubles writes d.
func storeDoubles(f *neon.Func, d doubles, base neon.R, at int) {
	for i := 0; i < len(d); i += 2 {
		f.STPQ(d[i], d[i+1], base, at+16*i)
	}
}

// sums: out = 16 sums and 16 sums of squares in float64.
func sums(file *neon.File) {
	f := file.Func("sumsNEON", "(src *float32, count int, out *float64)")
	src, count, out := f.Load("src"), f.Load("count"), f.Load("out")
	x, d, sum, square := quadAt(0), doublesAt(4), doublesAt(12), doublesAt(20)
	for i := range sum {
		f.Zero(sum[i])
		f.Zero(square[i])
	}
	f.Loop("voxel", count, func() {
		float32s.read(f, x, src, 64)
		for i, v := range x {
			f.FCVTL(d[2*i].D2(), v.S2())
			f.FCVTL2(d[2*i+1].D2(), v.S4())
		}
		for i, v := range d {
			f.FADD(sum[i].D2(), sum[i].D2(), v.D2())
			f.FMLA(square[i].D2(), v.D2(), v.D2())
		}
	})
	storeDoubles(f, sum, out, 0)
	storeDoubles(f, square, out, 128)
	f.RET()
}

// gradientSums: with g' = g where x*scale + shift > floor, else 0: out = 16 sums of g' and 16 of g'*(x-mean), in
// float64. params are 16 scales, shifts, floors, means. The sums fill half of the registers, so that the parameters of
// 8 channels are loaded for two voxels at a time.
func gradientSums(file *neon.File) {
	f := file.Func("gradientSumsNEON", "(x, dy *float32, count int, params *float32, out *float64)")
	px, pg, count, params, out := f.Load("x"), f.Load("dy"), f.Load("count"), f.Load("params"), f.Load("out")
	sum, product := doublesAt(16), doublesAt(24)
	for i := range sum {
		f.Zero(sum[i])
		f.Zero(product[i])
	}
	type pair [2]neon.V
	scale, shift, floor, mean, x, g := pair{0, 1}, pair{2, 3}, pair{4, 5}, pair{6, 7}, pair{8, 9}, pair{10, 11}
	y, d := neon.V(12), neon.V(13)
	voxels := func(n int) {
		for half := range 2 {
			for i, p := range []pair{scale, shift, floor, mean} {
				f.LDPQ(p[0], p[1], params, 64*i+32*half)
			}
			for v := range n {
				f.LDPQ(x[0], x[1], px, 64*v+32*half)
				f.LDPQ(g[0], g[1], pg, 64*v+32*half)
				for i := range 2 {
					x, g := x[i], g[i]
					f.MOV(y, shift[i])
					f.FMLA(y.S4(), x.S4(), scale[i].S4())
					f.FCMGT(y.S4(), y.S4(), floor[i].S4())
					f.AND(g.B16(), g.B16(), y.B16())
					f.FSUB(x.S4(), x.S4(), mean[i].S4())
					f.AND(x.B16(), x.B16(), y.B16()) // nothing comes of 0 times what is not finite
					at := 4*half + 2*i
					f.FCVTL(y.D2(), g.S2())
					f.FCVTL(d.D2(), x.S2())
					f.FADD(sum[at].D2(), sum[at].D2(), y.D2())
					f.FMLA(product[at].D2(), y.D2(), d.D2())
					f.FCVTL2(y.D2(), g.S4())
					f.FCVTL2(d.D2(), x.S4())
					f.FADD(sum[at+1].D2(), sum[at+1].D2(), y.D2())
					f.FMLA(product[at+1].D2(), y.D2(), d.D2())
				}
			}
		}
	}
	f.Go("SUBS $2, %v, %v", count, count)
	f.Go("BLT last")
	f.Label("two")
	voxels(2)
	f.Go("ADD $128, %v, %v", px, px)
	f.Go("ADD $128, %v, %v", pg, pg)
	f.Go("SUBS $2, %v, %v", count, count)
	f.Go("BGE two")
	f.Label("last")
	f.Go("ADDS $2, %v, %v", count, count)
	f.Go("BEQ done")
	voxels(1)
	f.Label("done")
	storeDoubles(f, sum, out, 0)
	storeDoubles(f, product, out, 128)
	f.RET()
}

// normalizeBack: dst = x*slope + offset, plus g*scale where x*scale + shift > floor; params are 16 scales, shifts,
// floors, slopes, offsets.
func normalizeBack(file *neon.File, a format) {
	f := file.Func("normalizeBack"+a.name, "(dst, x, dy *float32, count int, params *float32)")
	dst, px, pg, count, params := f.Load("dst"), f.Load("x"), f.Load("dy"), f.Load("count"), f.Load("params")
	scale, shift, floor, slope, offset := quadAt(0), quadAt(4), quadAt(8), quadAt(12), quadAt(16)
	for i, q := range []quad{scale, shift, floor, slope, offset} {
		load(f, q, params, 64*i)
	}
	x, g := quadAt(20), quadAt(24)
	var r rounding
	if a.half() {
		r = newRounding(f, 30, 31, g[0])
	}
	f.Loop("voxel", count, func() {
		a.read(f, x, px, a.voxel)
		a.read(f, g, pg, a.voxel)
		for i := 0; i < 4; i += 2 {
			results := [2]neon.V{28, 29}
			for j, y := range results {
				x, g, i := x[i+j], g[i+j], i+j
				f.MOV(y, shift[i])
				f.FMLA(y.S4(), x.S4(), scale[i].S4())
				f.FCMGT(y.S4(), y.S4(), floor[i].S4())
				f.AND(g.B16(), g.B16(), y.B16())
				f.MOV(y, offset[i])
				f.FMLA(y.S4(), x.S4(), slope[i].S4())
				f.FMLA(y.S4(), g.S4(), scale[i].S4())
			}
			if a.half() {
				r.round(f, x[i/2], results[0], results[1])
			} else {
				f.STPQPost(results[0], results[1], dst, 32)
			}
		}
		if a.half() {
			f.STPQPost(x[0], x[1], dst, 32)
		}
	})
	f.RET()
}

// sgd: g' = scale*g + decay*w; m = keep*m + g'; w += negativeRate*(g' + momentum*m).
func sgd(file *neon.File) {
	f := file.Func("sgdNEON", "(w, dw, m *float32, count int, scale, decay, keep, momentum, negativeRate float32)")
	pw, pg, pm, count := f.Load("w"), f.Load("dw"), f.Load("m"), f.Load("count")
	numbers := broadcast(f, []string{"scale", "decay", "keep", "momentum", "negativeRate"})
	scale, decay, keep, momentum, rate := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
	w, g, m, step := quadAt(0), quadAt(4), quadAt(8), quadAt(12)
	f.Loop("loop", count, func() {
		float32s.read(f, w, pw, 0)
		float32s.read(f, g, pg, 64)
		float32s.read(f, m, pm, 0)
		for i := range w {
			f.FMUL(step[i].S4(), g[i].S4(), scale.S4())
			f.FMLA(step[i].S4(), w[i].S4(), decay.S4())
			f.MOV(g[i], step[i])
			f.FMLA(g[i].S4(), m[i].S4(), keep.S4()) // the new momentum
			f.FMLA(step[i].S4(), g[i].S4(), momentum.S4())
			f.FMLA(w[i].S4(), step[i].S4(), rate.S4())
		}
		float32s.write(f, g, rounding{}, pm, 64)
		float32s.write(f, w, rounding{}, pw, 64)
	})
	f.RET()
}

// broadcast loads float32 arguments to all lanes of the registers from 16 on.
func broadcast(f *neon.Func, names []string) (numbers []neon.V) {
	for i, name := range names {
		v := 16 + neon.V(i)
		f.LoadFloat(name, v)
		f.DUP(v.S4(), v.S(0))
		numbers = append(numbers, v)
	}
	return numbers
}

// adamw: g' = scale*g; m = b1*m + c1*g'; v = b2*v + c2*g'*g'; w = shrink*w + negativeRate*m/(sqrt(v)*root + eps). The
// numbers lie at k, in this order.
func adamw(file *neon.File) {
	f := file.Func("adamwNEON", "(w, dw, m, v *float32, count int, k *[9]float32)")
	pw, pg, pm, pv, count, k := f.Load("w"), f.Load("dw"), f.Load("m"), f.Load("v"), f.Load("count"), f.Load("k")
	var numbers [9]neon.V
	for i := range numbers {
		numbers[i] = 20 + neon.V(i)
		f.LD1R(numbers[i].S4(), k, true)
	}
	scale, b1, c1, b2, c2, shrink, rate, root, eps := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
	g, m, v, w, x := quadAt(0), quadAt(4), quadAt(8), quadAt(12), quadAt(16)
	f.Loop("loop", count, func() {
		float32s.read(f, g, pg, 64)
		float32s.read(f, m, pm, 0)
		float32s.read(f, v, pv, 0)
		float32s.read(f, w, pw, 0)
		for i := range g {
			g, m, v := g[i].S4(), m[i].S4(), v[i].S4()
			f.FMUL(g, g, scale.S4())
			f.FMUL(m, m, b1.S4())
			f.FMLA(m, g, c1.S4())
			f.FMUL(g, g, g)
			f.FMUL(v, v, b2.S4())
			f.FMLA(v, g, c2.S4())
		}
		for i := range g {
			g, x := g[i].S4(), x[i].S4()
			f.FSQRT(g, v[i].S4())
			f.MOV(x.V, eps)
			f.FMLA(x, g, root.S4())
			f.FDIV(x, m[i].S4(), x)
		}
		float32s.write(f, m, rounding{}, pm, 64)
		float32s.write(f, v, rounding{}, pv, 64)
		for i := range w {
			f.FMUL(w[i].S4(), w[i].S4(), shrink.S4())
			f.FMLA(w[i].S4(), x[i].S4(), rate.S4())
		}
		float32s.write(f, w, rounding{}, pw, 64)
	})
	f.RET()
}

// larger: best = x unless x <= best. A later number wins where one of both is not a number, the earlier one where they
// are equal.
func larger(f *neon.Func, best, x quad, work neon.V) {
	for i := range best {
		f.FCMGE(work.S4(), best[i].S4(), x[i].S4())
		f.BIF(best[i].B16(), x[i].B16(), work.B16())
	}
}

// max3: dst = the largest of x, y and z.
func max3(file *neon.File, a format) {
	f := file.Func("max3"+a.name, "(dst, x, y, z *float32, count int)")
	dst, px, py, pz, count := f.Load("dst"), f.Load("x"), f.Load("y"), f.Load("z"), f.Load("count")
	x, y, z := quadAt(0), quadAt(4), quadAt(8)
	var r rounding
	if a.half() {
		r = newRounding(f, 16, 17, 18)
	}
	f.Loop("loop", count, func() {
		a.read(f, x, px, a.voxel)
		a.read(f, y, py, a.voxel)
		a.read(f, z, pz, a.voxel)
		larger(f, x, y, 20)
		larger(f, x, z, 21)
		a.writeExact(f, x, r, dst, a.voxel)
	})
	f.RET()
}
