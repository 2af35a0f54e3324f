package main

import . "github.com/universal-classifier/uc/internal/neon"

// combine emits dst[i] = sum of weights[k] * src[i + k*stride]; stride in bytes, taps > 0.
func combine(file *File) {
	f := file.Func("combineNEON", "(dst *float32, src *float32, n int, stride int, weights *float32, taps int)")
	dst, src, n, stride, weights := f.Load("dst"), f.Load("src"), f.Load("n"), f.Load("stride"), f.Load("weights")
	taps, p, w, left := f.Load("taps"), f.GP(), f.GP(), f.GP()
	const acc, value, weight = V(0), V(8), V(16)
	f.OverRow(n, 8, func(count int, a Access) {
		for i := range V(count) {
			f.Zero(acc + i)
		}
		f.Go("MOVD %v, %v", src, p)
		f.Go("MOVD %v, %v", weights, w)
		f.Go("MOVD %v, %v", taps, left)
		f.Loop(f.NewLabel("taps"), left, func() {
			f.LD1R(weight.S4(), w, true)
			a.Load(f, value, count, p)
			f.Go("ADD %v, %v, %v", stride, p, p)
			for i := range V(count) {
				f.FMLA((acc + i).S4(), (value + i).S4(), weight.S4())
			}
		})
		a.Store(f, acc, count, dst)
		a.Advance(f, count, dst, src)
	})
	f.RET()
}

// combine4 emits four neighbouring rows of a correlation: weights is padded with three zeros at either end, and
// steps = taps + 3 rows of src go in; strides in bytes.
func combine4(file *File) {
	f := file.Func("combine4NEON", "(dst *float32, dstStride int, n int, src *float32, stride int, weights *float32, steps int)")
	dst, dstStride, n, src, stride := f.Load("dst"), f.Load("dstStride"), f.Load("n"), f.Load("src"), f.Load("stride")
	weights, steps, p, w, left := f.Load("weights"), f.Load("steps"), f.GP(), f.GP(), f.GP()
	const acc, value, weight = V(0), V(16), V(20)
	f.OverRow(n, 4, func(count int, a Access) {
		row := func(j int) V { return acc + V(j*count) }
		for i := range V(4 * count) {
			f.Zero(acc + i)
		}
		f.Go("MOVD %v, %v", src, p)
		f.Go("MOVD %v, %v", weights, w)
		f.Go("MOVD %v, %v", steps, left)
		f.Loop(f.NewLabel("steps"), left, func() {
			f.LDRQ(weight, w, 0)
			f.Go("ADD $4, %v, %v", w, w)
			a.Load(f, value, count, p)
			f.Go("ADD %v, %v, %v", stride, p, p)
			for j := range 4 {
				// Row j takes source row r with weight r-j, which lies three further in the padded weights.
				for i := range V(count) {
					f.FMLA((row(j) + i).S4(), (value + i).S4(), weight.S(3-j))
				}
			}
		})
		f.Go("MOVD %v, %v", dst, p)
		for j := range 4 {
			a.Store(f, row(j), count, p)
			if j < 3 {
				f.Go("ADD %v, %v, %v", dstStride, p, p)
			}
		}
		a.Advance(f, count, dst, src)
	})
	f.RET()
}

// smooth emits two vectors of results for each of eight rows: over steps values of the rows, each times the eight
// weights that end one further to the left with every step. Strides in bytes. Four steps go together: a vector of each
// row holds the values of all four.
func smooth(file *File) {
	f := file.Func("smoothNEON", "(dst *float32, dstStride int, src *float32, stride int, weights *float32, steps int)")
	dst, dstStride, stride := f.Load("dst"), f.Load("dstStride"), f.Load("stride")
	w, steps, rest := f.Load("weights"), f.Load("steps"), f.GP()
	var rows [8]R
	for j := range rows {
		if j == 0 {
			rows[j] = f.Load("src")
			continue
		}
		rows[j] = f.GP()
		f.Go("ADD %v, %v, %v", stride, rows[j-1], rows[j])
	}
	const acc, weight, value = V(0), V(16), V(24)
	for i := range V(16) {
		f.Zero(acc + i)
	}
	f.Go("AND $3, %v, %v", steps, rest)
	f.Go("LSR $2, %v, %v", steps, steps)
	f.Go("CBZ %v, singly", steps)
	f.Loop("together", steps, func() {
		for k := range 4 {
			f.LDRQ(weight+V(2*k), w, -4*k)
			f.LDRQ(weight+V(2*k)+1, w, 16-4*k)
		}
		f.Go("SUB $16, %v, %v", w, w)
		for j := range V(8) {
			f.LDRQPost(value+j, rows[j], 16)
		}
		for k := range 4 {
			for j := range V(8) {
				for i := range V(2) {
					f.FMLA((acc + 2*j + i).S4(), (weight + V(2*k) + i).S4(), (value + j).S(k))
				}
			}
		}
	})
	f.Label("singly")
	f.Go("CBZ %v, store", rest)
	f.Loop("step", rest, func() {
		f.LDPQ(weight, weight+1, w, 0)
		f.Go("SUB $4, %v, %v", w, w)
		for j := range V(8) {
			f.LDRS(value+j, rows[j], 0)
			f.Go("ADD $4, %v, %v", rows[j], rows[j])
			for i := range V(2) {
				f.FMLA((acc + 2*j + i).S4(), (weight + i).S4(), (value + j).S(0))
			}
		}
	})
	f.Label("store")
	for j := range V(8) {
		f.STPQ(acc+2*j, acc+2*j+1, dst, 0)
		if j < 7 {
			f.Go("ADD %v, %v, %v", dstStride, dst, dst)
		}
	}
	f.RET()
}

// decay emits dst[i] += pole * other[i], or backwards dst[i] = pole * (other[i] - dst[i]).
func decay(file *File, name string, backwards bool) {
	f := file.Func(name, "(dst *float32, other *float32, n int, pole float32)")
	dst, other, n := f.Load("dst"), f.Load("other"), f.Load("n")
	const a, b, pole = V(0), V(4), V(16)
	f.LoadFloat("pole", pole)
	f.OverRow(n, 4, func(count int, by Access) {
		by.Load(f, a, count, dst)
		by.Load(f, b, count, other)
		for i := range V(count) {
			x, y := (a + i).S4(), (b + i).S4()
			if backwards {
				f.FSUB(x, y, x)
				f.FMUL(x, x, pole.S(0))
			} else {
				f.FMLA(x, y, pole.S(0))
			}
		}
		by.Store(f, a, count, dst)
		by.Advance(f, count, dst, other)
	})
	f.RET()
}

// interleave emits dst[2i] = a[i], dst[2i+1] = b[i] for a whole number of vectors.
func interleave(file *File) {
	f := file.Func("interleaveNEON", "(dst *float32, a *float32, b *float32, n int)")
	dst, a, b, n := f.Load("dst"), f.Load("a"), f.Load("b"), f.Load("n")
	f.Vectors(n, 1, func() {
		f.LDRQPost(0, a, 16)
		f.LDRQPost(1, b, 16)
		f.ZIP1(V(2).S4(), V(0).S4(), V(1).S4())
		f.ZIP2(V(3).S4(), V(0).S4(), V(1).S4())
		f.STPQPost(2, 3, dst, 32)
	})
	f.RET()
}
