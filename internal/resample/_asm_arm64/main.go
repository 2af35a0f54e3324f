// Command asm writes the machine code of package resample for arm64; `go generate ./internal/resample` runs it.
package main

import . "github.com/universal-classifier/uc/internal/neon"

func main() {
	f := NewFile("resample", "go run ./_asm_arm64")
	causal(f)
	anticausal(f)
	combine(f)
	clip(f)
	limits(f)
	transpose(f)
	if err := f.Write("kernels_arm64"); err != nil {
		panic(err)
	}
}

// causal and those after it round as the portable versions do: products are not fused with the sums that they go into.
func causal(file *File) {
	f := file.Func("causalNEON", "(row *float32, previous *float32, n int, gain float32, z float32)")
	row, previous, n := f.Load("row"), f.Load("previous"), f.Load("n")
	const a, b, gain, z = V(0), V(4), V(16), V(17)
	f.LoadFloat("gain", gain)
	f.LoadFloat("z", z)
	f.OverRow(n, 4, func(count int, by Access) {
		by.Load(f, a, count, row)
		by.Load(f, b, count, previous)
		for i := range V(count) {
			x, y := (a + i).S4(), (b + i).S4()
			f.FMUL(x, x, gain.S(0))
			f.FMUL(y, y, z.S(0))
			f.FADD(x, x, y)
		}
		by.Store(f, a, count, row)
		by.Advance(f, count, row, previous)
	})
	f.RET()
}

func anticausal(file *File) {
	f := file.Func("anticausalNEON", "(row *float32, next *float32, n int, z float32)")
	row, next, n := f.Load("row"), f.Load("next"), f.Load("n")
	const a, b, z = V(0), V(4), V(16)
	f.LoadFloat("z", z)
	f.OverRow(n, 4, func(count int, by Access) {
		by.Load(f, a, count, row)
		by.Load(f, b, count, next)
		for i := range V(count) {
			x, y := (a + i).S4(), (b + i).S4()
			f.FSUB(x, y, x)
			f.FMUL(x, x, z.S(0))
		}
		by.Store(f, a, count, row)
		by.Advance(f, count, row, next)
	})
	f.RET()
}

// combine emits out[i] = sum of weight[k] * lines[i + k*n].
func combine(file *File) {
	f := file.Func("combineNEON", "(out *float32, lines *float32, n int, weight *[4]float32)")
	out, n, weight := f.Load("out"), f.Load("n"), f.Load("weight")
	lines := []R{f.Load("lines"), f.GP(), f.GP(), f.GP()}
	for k := range 3 {
		f.Go("ADD %v<<2, %v, %v", n, lines[k], lines[k+1])
	}
	const sum, value, w = V(0), V(4), V(16)
	f.LDRQ(w, weight, 0)
	f.OverRow(n, 4, func(count int, by Access) {
		for k, p := range lines {
			to := value
			if k == 0 {
				to = sum
			}
			by.Load(f, to, count, p)
			by.Advance(f, count, p)
			for i := range V(count) {
				f.FMUL((to + i).S4(), (to + i).S4(), w.S(k))
				if k > 0 {
					f.FADD((sum + i).S4(), (sum + i).S4(), (to + i).S4())
				}
			}
		}
		by.Store(f, sum, count, out)
		by.Advance(f, count, out)
	})
	f.RET()
}

func clip(file *File) {
	f := file.Func("clipNEON", "(out *float32, n int, low float32, high float32)")
	out, n := f.Load("out"), f.Load("n")
	const low, high = V(16), V(17)
	f.LoadEverywhere("low", low)
	f.LoadEverywhere("high", high)
	f.OverRow(n, 4, func(count int, by Access) {
		by.Load(f, 0, count, out)
		for v := range V(count) {
			f.FMAX(v.S4(), v.S4(), low.S4())
			f.FMIN(v.S4(), v.S4(), high.S4())
		}
		by.Store(f, 0, count, out)
		by.Advance(f, count, out)
	})
	f.RET()
}

// limits emits the least and the largest of four lanes; n is at least 16, and what does not fill four vectors is left
// over.
func limits(file *File) {
	f := file.Func("limitsNEON", "(data *float32, n int, low *[4]float32, high *[4]float32)")
	data, n, low, high := f.Load("data"), f.Load("n"), f.Load("low"), f.Load("high")
	const least, largest, value = V(0), V(4), V(8)
	Vector.Load(f, least, 4, data)
	Vector.Load(f, largest, 4, data)
	f.Vectors(n, 4, func() {
		Vector.Load(f, value, 4, data)
		Vector.Advance(f, 4, data)
		for i := range V(4) {
			f.FMINNM((least + i).S4(), (least + i).S4(), (value + i).S4())
			f.FMAXNM((largest + i).S4(), (largest + i).S4(), (value + i).S4())
		}
	})
	for _, i := range []V{2, 1} {
		for j := range i {
			f.FMINNM((least + j).S4(), (least + j).S4(), (least + j + i).S4())
			f.FMAXNM((largest + j).S4(), (largest + j).S4(), (largest + j + i).S4())
		}
	}
	f.STRQ(least, low, 0)
	f.STRQ(largest, high, 0)
	f.RET()
}

// transpose emits dst[i*dstStride + j] = src[j*srcStride + i] for j < 4 and i < n, n being a multiple of 4; strides in
// bytes.
func transpose(file *File) {
	f := file.Func("transposeNEON", "(dst *float32, dstStride int, src *float32, srcStride int, n int)")
	dst, dstStride, srcStride, n := f.Load("dst"), f.Load("dstStride"), f.Load("srcStride"), f.Load("n")
	rows := []R{f.Load("src"), f.GP(), f.GP(), f.GP()}
	for j := range 3 {
		f.Go("ADD %v, %v, %v", srcStride, rows[j], rows[j+1])
	}
	f.Vectors(n, 1, func() {
		for j, r := range rows {
			f.LDRQPost(V(j), r, 16)
		}
		for i := V(0); i < 4; i += 2 {
			f.TRN1((4 + i).S4(), i.S4(), (i + 1).S4())
			f.TRN2((5 + i).S4(), i.S4(), (i + 1).S4())
		}
		f.TRN1(V(0).D2(), V(4).D2(), V(6).D2())
		f.TRN1(V(1).D2(), V(5).D2(), V(7).D2())
		f.TRN2(V(2).D2(), V(4).D2(), V(6).D2())
		f.TRN2(V(3).D2(), V(5).D2(), V(7).D2())
		for i := range V(4) {
			f.STRQ(i, dst, 0)
			f.Go("ADD %v, %v, %v", dstStride, dst, dst)
		}
	})
	f.RET()
}
