package main

import . "github.com/universal-classifier/uc/internal/neon"

func init() {
	kinds["gemm"] = func(f *File) {
		transpose(f)
		ceiling(f)
	}
}

// ceilingAdds is the number of independent multiply-adds of 4 float32 in a round of ceiling.
const ceilingAdds = 24

func ceiling(file *File) {
	f := file.Func("ceilingNEON", "(rounds int)")
	for v := range V(ceilingAdds + 2) {
		f.Zero(v)
	}
	f.Loop("round", f.Load("rounds"), func() {
		for v := range V(ceilingAdds) {
			f.FMLA(v.S4(), V(ceilingAdds).S4(), V(ceilingAdds+1).S4())
		}
	})
	f.RET()
}

// transpose: dst = transposed src, both 16x16, four columns at a time.
func transpose(file *File) {
	f := file.Func("transposeNEON", "(dst, src *float32)")
	dst, src, columns := f.Load("dst"), f.Load("src"), f.GP()
	f.Go("MOVD $4, %v", columns)
	f.Loop("columns", columns, func() {
		// four columns of rows 4g to 4g+3 are registers 4g to 4g+3
		for row := range 16 {
			f.LDRQ(V(row), src, row*64)
		}
		for g := V(0); g < 16; g += 4 {
			for i := V(0); i < 4; i += 2 {
				f.TRN1((16 + i).S4(), (g + i).S4(), (g + i + 1).S4())
				f.TRN2((17 + i).S4(), (g + i).S4(), (g + i + 1).S4())
			}
			f.TRN1(g.D2(), V(16).D2(), V(18).D2())
			f.TRN1((g + 1).D2(), V(17).D2(), V(19).D2())
			f.TRN2((g + 2).D2(), V(16).D2(), V(18).D2())
			f.TRN2((g + 3).D2(), V(17).D2(), V(19).D2())
		}
		for column := range V(4) {
			f.STPQ(column, column+4, dst, int(column)*64)
			f.STPQ(column+8, column+12, dst, int(column)*64+32)
		}
		f.Go("ADD $16, %v, %v", src, src)
		f.Go("ADD $256, %v, %v", dst, dst)
	})
	f.RET()
}
