package main

import (
	"fmt"

	. "github.com/universal-classifier/uc/internal/neon"
)

func init() {
	kinds["gemm"] = func(f *File) {
		for mr := 1; mr <= gemmRows; mr++ {
			gemm(f, mr)
		}
		outer(f)
		transpose(f)
		ceiling(f)
	}
}

// gemmRows is the largest number of rows of a tile: 4 registers of sums a row leave 8 for the operands.
const gemmRows = 6

const gemmArgs = "(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int)"

// gemmShape is what gemmLoops needs to know of a kernel.
type gemmShape struct {
	name, args string
	mr         int
	aRow, cRow int // bytes of a row of a, of c
}

// gemmLoops emits the loops around the products of a tile of rows by one block of columns: over tiles, blocks of 16 and
// groups of 4 inner indices. step emits a group; it moves b behind it, and a by aRow/4. store may overwrite tmp.
func gemmLoops(f *Func, g gemmShape, zero func(), step func(a, b R), load func(c R), store func(c, tmp R)) {
	a, aStride, b0, c, tiles := f.Load("a"), f.Load("aStride"), f.Load("b"), f.Load("c"), f.Load("tiles")
	k4, add := f.Load("k4"), f.Load("add")
	pa, pb, rest, count, tmp := f.GP(), f.GP(), f.GP(), f.GP(), f.GP()
	f.Go("SUB $%d, %v, %v", g.aRow, aStride, aStride)
	f.Label("tile")
	f.Go("MOVD %v, %v", a, pa)
	f.Go("MOVD %v, %v", b0, pb)
	f.Go("MOVD %v, %v", k4, rest)
	f.Go("CBZ %v, zero", add)
	load(c)
	f.Go("B block")
	f.Label("zero")
	zero()
	f.Label("block")
	f.Go("MOVD $4, %v", tmp)
	f.Go("CMP %v, %v", tmp, rest)
	f.Go("CSEL LT, %v, %v, %v", rest, tmp, count)
	f.Go("SUB %v, %v, %v", count, rest, rest)
	f.Loop("inner", count, func() { step(pa, pb) })
	f.Go("ADD %v, %v, %v", aStride, pa, pa)
	f.Go("CBNZ %v, block", rest)
	store(c, tmp)
	f.Go("ADD $%d, %v, %v", g.mr*g.aRow, a, a)
	f.Go("ADD $%d, %v, %v", g.mr*g.cRow, c, c)
	f.Go("SUBS $1, %v, %v", tiles, tiles)
	f.Go("BNE tile")
	f.RET()
}

// gemm multiplies with elements of a: register 24+p holds 4 inner indices of row p.
func gemm(file *File, mr int) {
	shape := gemmShape{fmt.Sprintf("gemmNEONx%d", mr), gemmArgs, mr, 64, 64}
	f := file.Func(shape.name, shape.args)
	acc := func(p, quarter int) V { return V(4*p + quarter) }
	as, bs := V(4*gemmRows), V(5*gemmRows)
	pairs := func(emit func(t, u V, base R, offset int), c R) {
		for p := range mr {
			for q := 0; q < 4; q += 2 {
				emit(acc(p, q), acc(p, q+1), c, p*64+q*16)
			}
		}
	}
	gemmLoops(f, shape,
		func() {
			for v := range V(4 * mr) {
				f.Zero(v)
			}
		},
		func(a, b R) {
			for p := mr - 1; p > 0; p-- {
				f.LDRQ(as+V(p), a, p*64)
			}
			f.LDRQPost(as, a, 16)
			for i := range 4 {
				for half := range 2 {
					if i+half == 0 {
						f.LDPQPost(bs, bs+1, b, 256)
					} else {
						f.LDPQ(bs, bs+1, b, i*64+half*32-256)
					}
					for p := range mr {
						for q := range 2 {
							f.FMLA(acc(p, 2*half+q).S4(), (bs + V(q)).S4(), (as + V(p)).S(i))
						}
					}
				}
			}
		},
		func(c R) { pairs(f.LDPQ, c) },
		func(c, _ R) { pairs(f.STPQ, c) })
}

const outerArgs = "(a *float32, z *float32, zStride int, rows int, c *float32, cStride int, add int)"

// outerLoops emits the sums over rows of outer products, 8 rows of c by 8 columns at a time. Sums are registers 0 to
// 15, 2 a row. step emits one row (or what rows counts); it moves a and z behind it.
func outerLoops(f *Func, step func(a, z, count R)) {
	a, z, rows, c, add := f.Load("a"), f.Load("z"), f.Load("rows"), f.Load("c"), f.Load("add")
	pa, pz, count, left := f.GP(), f.GP(), f.GP(), f.GP()
	f.Go("MOVD $4, %v", left)
	f.Label("quarter")
	f.Go("MOVD %v, %v", a, pa)
	f.Go("MOVD %v, %v", z, pz)
	f.Go("MOVD %v, %v", rows, count)
	for v := range V(16) {
		f.Zero(v)
	}
	step(pa, pz, count)
	f.Go("CBZ %v, store", add)
	for i := range V(8) {
		f.LDPQ(16, 17, c, int(i)*64)
		f.FADD((2 * i).S4(), (2 * i).S4(), V(16).S4())
		f.FADD((2*i + 1).S4(), (2*i + 1).S4(), V(17).S4())
	}
	f.Label("store")
	for i := range V(8) {
		f.STPQ(2*i, 2*i+1, c, int(i)*64)
	}
	// columns 8 to 15, then rows 8 to 15 and columns 0 to 7, then 8 to 15
	f.Go("ADD $32, %v, %v", z, z)
	f.Go("ADD $32, %v, %v", c, c)
	f.Go("CMP $3, %v", left)
	f.Go("BNE same")
	f.Go("SUB $64, %v, %v", z, z)
	f.Go("ADD $32, %v, %v", a, a)
	f.Go("ADD $%d, %v, %v", 8*64-64, c, c)
	f.Label("same")
	f.Go("SUBS $1, %v, %v", left, left)
	f.Go("BNE quarter")
	f.RET()
}

func outer(file *File) {
	f := file.Func("outerNEON", outerArgs)
	row := func(a, z R, v V) {
		f.LDPQPost(v, v+1, a, 64)
		f.LDPQPost(v+2, v+3, z, 64)
		for i := range V(8) {
			for q := range V(2) {
				f.FMLA((2*i + q).S4(), (v + 2 + q).S4(), (v + i/4).S(int(i%4)))
			}
		}
	}
	outerLoops(f, func(a, z, count R) {
		f.Go("TBZ $0, %v, even", count)
		row(a, z, 16)
		f.Label("even")
		f.Go("LSR $1, %v, %v", count, count)
		f.Go("CBZ %v, sum", count)
		f.Loop("rows", count, func() {
			row(a, z, 16)
			row(a, z, 20)
		})
		f.Label("sum")
	})
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
