package main

import "github.com/universal-classifier/uc/internal/neon"

func init() {
	kinds["pooling"] = func(file *neon.File) {
		windows(file, float32s)
		axisMax(file, float32s)
		winners(file, float32s)
		combineMax(file)
		splitSum(file, float32s)
	}
	kinds["pooling_bf16"] = func(file *neon.File) {
		windows(file, bfloats)
		axisMax(file, bfloats)
		winners(file, bfloats)
		combineMaxBF16(file)
		splitSum(file, bfloats)
	}
}

// infinity puts negative infinity into every lane of q.
func infinity(f *neon.Func, q quad) {
	r := f.GP()
	f.Go("MOVD $0xff800000, %v", r)
	for _, v := range q {
		f.DUPGeneral(v.S4(), r)
	}
	f.Free(r)
}

// bytesOf narrows the 16 masks of 32 bits of q to bytes in its first register.
func bytesOf(f *neon.Func, q quad) neon.V {
	f.UZP1(q[0].H8(), q[0].H8(), q[1].H8())
	f.UZP1(q[2].H8(), q[2].H8(), q[3].H8())
	f.UZP1(q[0].B16(), q[0].B16(), q[2].B16())
	return q[0]
}

// largerOf is larger for values that have a tap's number as well: which = tap where x wins.
func largerOf(f *neon.Func, best, x, work quad, which, tap neon.V) {
	for i := range best {
		f.FCMGE(work[i].S4(), best[i].S4(), x[i].S4())
	}
	for i := range best {
		f.BIF(best[i].B16(), x[i].B16(), work[i].B16())
	}
	f.BIF(which.B16(), tap.B16(), bytesOf(f, work).B16())
}

// windows: count outputs of a row, window positions step bytes apart. The taps of a window lie at the byte offsets;
// between the first before and the remaining after of them a zero of the padding takes part when zeroTap >= 0. The
// number of a tap is taps[16*i].
func windows(file *neon.File, a format) {
	f := file.Func("windowArgMax"+a.name, "(dst *float32, winners *uint8, src *float32, step, count int, offsets *int, taps *[16]uint8, before, after int, zeroTap int)")
	dst, win, src, step, count := f.Load("dst"), f.Load("winners"), f.Load("src"), f.Load("step"), f.Load("count")
	offsets, taps, before, after, zeroTap := f.Load("offsets"), f.Load("taps"), f.Load("before"), f.Load("after"), f.Load("zeroTap")
	left, p, t, at := f.GP(), f.GP(), f.GP(), f.GP()
	best, x, work, least, none := quadAt(0), quadAt(4), quadAt(8), quadAt(16), quadAt(20)
	which, tap, zeroNumber := neon.V(24), neon.V(25), neon.V(26)
	infinity(f, least)
	zero(f, none)
	f.DUPGeneral(zeroNumber.B16(), zeroTap)
	var r rounding
	if a.half() {
		r = newRounding(f, 28, 29, 30)
	}
	loop := func(label string, taps neon.R) {
		f.Go("CBZ %v, %sDone", taps, label)
		f.Go("MOVD %v, %v", taps, left)
		f.Loop(label, left, func() {
			f.Go("MOVD.P 8(%v), %v", p, at)
			f.Go("ADD %v, %v, %v", src, at, at)
			f.LDRQPost(tap, t, 16)
			a.read(f, x, at, 0)
			largerOf(f, best, x, work, which, tap)
		})
		f.Label(label + "Done")
	}
	f.Loop("window", count, func() {
		copyTo(f, best, least)
		f.Zero(which)
		f.Go("MOVD %v, %v", offsets, p)
		f.Go("MOVD %v, %v", taps, t)
		loop("front", before)
		f.Go("TBNZ $63, %v, noZero", zeroTap)
		largerOf(f, best, none, work, which, zeroNumber)
		f.Label("noZero")
		loop("back", after)
		a.writeExact(f, best, r, dst, a.voxel)
		f.STRQPost(which, win, 16)
		f.Go("ADD %v, %v, %v", step, src, src)
	})
	f.RET()
}

// axisMax: for lines of count voxels, whose sources lie step bytes apart: the maximum of the source, what lies tap1 and
// tap2 bytes further, and (start == 0) zero or (start > 0) dst, which come first.
func axisMax(file *neon.File, a format) {
	f := file.Func("axisMax"+a.name, "(dst, src *float32, lines, dstLine, srcLine, count, step, tap1, tap2, start int)")
	dst, src, lines, dstLine, srcLine := f.Load("dst"), f.Load("src"), f.Load("lines"), f.Load("dstLine"), f.Load("srcLine")
	count, step, tap1, tap2, start := f.Load("count"), f.Load("step"), f.Load("tap1"), f.Load("tap2"), f.Load("start")
	to, first, second, third, left := f.GP(), f.GP(), f.GP(), f.GP(), f.GP()
	best, x, y, z := quadAt(0), quadAt(4), quadAt(8), quadAt(12)
	var r rounding
	if a.half() {
		r = newRounding(f, 28, 29, 30)
	}
	voxels := func(label string, before func(x quad) quad) {
		f.Loop(label, left, func() {
			for _, tap := range []struct {
				at neon.R
				q  quad
			}{{first, x}, {second, y}, {third, z}} {
				a.read(f, tap.q, tap.at, 0)
				f.Go("ADD %v, %v, %v", step, tap.at, tap.at)
			}
			best := before(x)
			if best != x {
				larger(f, best, x, 20)
			}
			larger(f, best, y, 21)
			larger(f, best, z, 22)
			a.writeExact(f, best, r, to, a.voxel)
		})
	}
	f.Loop("line", lines, func() {
		f.Go("MOVD %v, %v", dst, to)
		f.Go("MOVD %v, %v", src, first)
		f.Go("ADD %v, %v, %v", tap1, src, second)
		f.Go("ADD %v, %v, %v", tap2, src, third)
		f.Go("MOVD %v, %v", count, left)
		f.Go("CMP $0, %v", start)
		f.Go("BLT taps")
		f.Go("BEQ zero")
		voxels("more", func(quad) quad { a.read(f, best, to, 0); return best })
		f.Go("B next")
		f.Label("zero")
		voxels("positive", func(quad) quad { zero(f, best); return best })
		f.Go("B next")
		f.Label("taps")
		// negative infinity would lose against whatever the first tap is
		voxels("free", func(x quad) quad { return x })
		f.Label("next")
		f.Go("ADD %v, %v, %v", dstLine, dst, dst)
		f.Go("ADD %v, %v, %v", srcLine, src, src)
	})
	f.RET()
}

// axis holds the pointers of the kernels that go through vectors at offsets.
type axis struct {
	src, from, offsets, taps, n neon.R
	p, t, left, at              neon.R
	values, winners             neon.R // of the vector
	shift                       int    // log2 of the bytes of a voxel
}

// newAxis loads the arguments that have the names given and offsets, taps and n.
func newAxis(f *neon.Func, a format, src, from, n string) axis {
	x := axis{src: f.Load(src), from: f.Load(from), offsets: f.Load("offsets"), taps: f.Load("taps"), n: f.Load(n),
		p: f.GP(), t: f.GP(), left: f.GP(), at: f.GP(), values: f.GP(), winners: f.GP(), shift: 6}
	if a.half() {
		x.shift = 5
	}
	return x
}

// each emits, for every vector of a voxel, take with its values' and winners' addresses and tap's number in tap; first,
// unless nil, takes the first.
func (x axis) each(f *neon.Func, label string, tap neon.V, first, take func()) {
	f.Go("MOVD %v, %v", x.offsets, x.p)
	f.Go("MOVD %v, %v", x.taps, x.t)
	step := func(take func()) {
		f.Go("MOVD.P 8(%v), %v", x.p, x.at)
		f.LDRQPost(tap, x.t, 16)
		f.Go("ADD %v<<%d, %v, %v", x.at, x.shift, x.src, x.values)
		f.Go("ADD %v<<4, %v, %v", x.at, x.from, x.winners)
		take()
	}
	if first == nil {
		f.Go("CBZ %v, %sDone", x.n, label)
		f.Go("MOVD %v, %v", x.n, x.left)
	} else {
		step(first)
		f.Go("SUBS $1, %v, %v", x.n, x.left)
		f.Go("BEQ %sDone", label)
	}
	f.Loop(label, x.left, func() { step(take) })
	f.Label(label + "Done")
}

// advance moves on by voxels.
func (x axis) advance(f *neon.Func, voxels int) {
	f.Go("ADD $%d, %v, %v", voxels<<x.shift, x.src, x.src)
	f.Go("ADD $%d, %v, %v", voxels*16, x.from, x.from)
}

// negativeZero puts -0 into every lane of v.
func (a format) negativeZero(f *neon.Func, v neon.V) {
	if a.half() {
		f.MOVI(v.H8(), 0x80, 8)
	} else {
		f.MOVI(v.S4(), 0x80, 24)
	}
}

// masked adds to sum the values that lie at x.values where the byte of mask is set, elsewhere -0 (see negativeZero),
// which changes nothing.
func (x axis) masked(f *neon.Func, a format, sum, value, work quad, mask, none neon.V) {
	f.ZIP1(work[0].B16(), mask.B16(), mask.B16())
	f.ZIP2(work[2].B16(), mask.B16(), mask.B16())
	if a.half() {
		f.LDPQ(value[1], value[3], x.values, 0)
		f.BIF(value[1].B16(), none.B16(), work[0].B16())
		f.BIF(value[3].B16(), none.B16(), work[2].B16())
		widen(f, value)
	} else {
		load(f, value, x.values, 0)
		for _, i := range []int{0, 2} {
			f.ZIP2(work[i+1].H8(), work[i].H8(), work[i].H8())
			f.ZIP1(work[i].H8(), work[i].H8(), work[i].H8())
		}
		for i := range value {
			f.BIF(value[i].B16(), none.B16(), work[i].B16())
		}
	}
	for i := range sum {
		f.FADD(sum[i].S4(), sum[i].S4(), value[i].S4())
	}
}

// winners: count inputs of a row, step bytes apart: dst = (dst or 0) + sum of the gradients of the windows that it won.
// Window i's gradient lies offsets[i] vectors of 16 from g (its winners from w), and dst is tap taps[i] of it.
func winners(file *neon.File, a format) {
	f := file.Func("winnersSum"+a.name, "(dst *float32, step int, dy *float32, w *uint8, count int, offsets *int, taps *[16]uint8, windows int, add int)")
	dst, step, count, add := f.Load("dst"), f.Load("step"), f.Load("count"), f.Load("add")
	x := newAxis(f, a, "dy", "w", "windows")
	sum, value, work, tap, won, none := quadAt(0), quadAt(4), quadAt(16), neon.V(20), neon.V(21), neon.V(22)
	a.negativeZero(f, none)
	var r rounding
	if a.half() {
		r = newRounding(f, 28, 29, 30)
	}
	f.Loop("voxel", count, func() {
		zero(f, sum)
		f.Go("CBZ %v, start", add)
		a.read(f, sum, dst, 0)
		f.Label("start")
		x.each(f, "window", tap, nil, func() {
			f.LDRQ(won, x.winners, 0)
			f.CMEQ(won.B16(), won.B16(), tap.B16())
			x.masked(f, a, sum, value, work, won, none)
		})
		a.write(f, sum, r, dst, 0)
		x.advance(f, 1)
		f.Go("ADD %v, %v, %v", step, dst, dst)
	})
	f.RET()
}

const combineArgs = "(dst *float32, winners *uint8, src *float32, srcWinners *uint8, count int, offsets *int, taps *[16]uint8, n int)"

// combineMax: the maxima of n vectors that lie offsets[i] vectors from src, and the winner of the first largest, which
// is its winner in srcWinners plus taps[i].
func combineMax(file *neon.File) {
	f := file.Func("combineMaxNEON", combineArgs)
	dst, win, count := f.Load("dst"), f.Load("winners"), f.Load("count")
	a := float32s
	x := newAxis(f, a, "src", "srcWinners", "n")
	best, value, work, which, won, tap := quadAt(0), quadAt(4), quadAt(16), neon.V(20), neon.V(21), neon.V(22)
	take := func(q quad, won neon.V) {
		f.LDRQ(won, x.winners, 0)
		f.ADD(won.B16(), won.B16(), tap.B16())
		a.read(f, q, x.values, 0)
	}
	f.Loop("voxel", count, func() {
		x.each(f, "vector", tap, func() { take(best, which) }, func() {
			take(value, won)
			largerOf(f, best, value, work, which, won)
		})
		a.write(f, best, rounding{}, dst, a.voxel)
		f.STRQPost(which, win, 16)
		x.advance(f, 1)
	})
	f.RET()
}

// combineMaxBF16 compares the bits of values as integers, those of numbers below zero turned over.
func combineMaxBF16(file *neon.File) {
	f := file.Func("combineMaxBF16NEON", combineArgs)
	dst, win, count := f.Load("dst"), f.Load("winners"), f.Load("count")
	x := newAxis(f, bfloats, "src", "srcWinners", "n")
	type pair [2]neon.V
	best, value, work, which, won, tap, sign := pair{0, 1}, pair{2, 3}, pair{4, 5}, neon.V(16), neon.V(17), neon.V(18), neon.V(19)
	f.MOVI(sign.H8(), 0x80, 8)
	// turn maps values to integers of the same order, and back.
	turn := func(v neon.V) {
		f.SSHR(work[0].H8(), v.H8(), 15)
		f.BIC(work[0].B16(), work[0].B16(), sign.B16())
		f.EOR(v.B16(), v.B16(), work[0].B16())
	}
	take := func(q pair, won neon.V) {
		f.LDRQ(won, x.winners, 0)
		f.ADD(won.B16(), won.B16(), tap.B16())
		f.LDPQ(q[0], q[1], x.values, 0)
		turn(q[0])
		turn(q[1])
	}
	f.Loop("voxel", count, func() {
		x.each(f, "vector", tap, func() { take(best, which) }, func() {
			take(value, won)
			for i := range best {
				f.CMGT(work[i].H8(), value[i].H8(), best[i].H8())
				f.SMAX(best[i].H8(), best[i].H8(), value[i].H8())
			}
			f.UZP1(work[0].B16(), work[0].B16(), work[1].B16())
			f.BIT(which.B16(), won.B16(), work[0].B16())
		})
		turn(best[0])
		turn(best[1])
		f.STPQPost(best[0], best[1], dst, 32)
		f.STRQPost(which, win, 16)
		x.advance(f, 1)
	})
	f.RET()
}

// splitSum: the sum of the n vectors that lie offsets[i] vectors from g, each where its winner in w is one of the span
// from taps[i] on; winners gets the last such winner's distance from taps[i], 255 without one.
func splitSum(file *neon.File, a format) {
	f := file.Func("splitSum"+a.name, "(dst *float32, winners *uint8, dy *float32, w *uint8, count int, offsets *int, taps *[16]uint8, n, span int)")
	dst, win, count, last := f.Load("dst"), f.Load("winners"), f.Load("count"), f.Load("span")
	x := newAxis(f, a, "dy", "w", "n")
	sum, value, work, which, distance, tap, most, mask, none := quadAt(0), quadAt(4), quadAt(16), neon.V(20), neon.V(21), neon.V(22), neon.V(23), neon.V(24), neon.V(25)
	a.negativeZero(f, none)
	f.Go("SUB $1, %v, %v", last, last)
	f.Go("MOVD $255, %v", x.at)
	f.Go("CMP %v, %v", x.at, last)
	f.Go("CSEL LT, %v, %v, %v", last, x.at, last)
	f.DUPGeneral(most.B16(), last)
	var r rounding
	if a.half() {
		r = newRounding(f, 28, 29, 30)
	}
	f.Loop("voxel", count, func() {
		zero(f, sum)
		f.MOVIBytes(which.B16(), 255)
		x.each(f, "vector", tap, nil, func() {
			f.LDRQ(distance, x.winners, 0)
			f.SUB(distance.B16(), distance.B16(), tap.B16())
			f.CMHS(mask.B16(), most.B16(), distance.B16())
			f.BIT(which.B16(), distance.B16(), mask.B16())
			x.masked(f, a, sum, value, work, mask, none)
		})
		a.write(f, sum, r, dst, a.voxel)
		f.STRQPost(which, win, 16)
		x.advance(f, 1)
	})
	f.RET()
}
