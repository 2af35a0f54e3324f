package main

import (
	"fmt"

	. "github.com/universal-classifier/uc/internal/neon"
)

func init() {
	kinds["gemm_bf16"] = func(f *File) {
		for mr := 1; mr <= gemmRows; mr++ {
			gemmBF16(f, mr, false)
			gemmBF16(f, mr, true)
		}
		outerBF16(f)
		rearrangements(f)
	}
}

// gemmBF16 multiplies pairs of rows by pairs of columns, 4 inner indices at a time (BFMMLA): a register of sums holds
// two columns of one row, then of the next. The last of an odd number of rows is alone: what its registers hold of
// another is never stored. rounded emits the product: with c in bfloat16, bias and ReLU.
func gemmBF16(file *File, mr int, rounded bool) {
	shape := gemmShape{fmt.Sprintf("gemmBF16NEONx%d", mr), gemmArgs, mr, 32, 64}
	if rounded {
		shape.name = fmt.Sprintf("productBF16NEONx%d", mr)
		shape.args = "(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int, bias *float32, relu int)"
		shape.cRow = 32
	}
	f := file.Func(shape.name, shape.args)
	couples := (mr + 1) / 2
	acc := func(couple, columns int) V { return V(8*couple + columns) }
	const as, bs = V(24), V(27)
	// rows returns the numbers of the two rows of a couple.
	rows := func(couple int) (int, int) { return 2 * couple, min(2*couple+1, mr-1) }
	each := func(emit func(v V, columns int)) {
		for couple := range couples {
			for columns := range 8 {
				emit(acc(couple, columns), columns)
			}
		}
	}
	// load reads one quarter of a row of c to v.
	load := func(v V, c R, row, quarter int) {
		if rounded {
			f.LDRD(v, c, row*32+quarter*8)
			f.SHLL(v.S4(), v.H4())
		} else {
			f.LDRQ(v, c, row*64+quarter*16)
		}
	}
	gemmLoops(f, shape,
		func() { each(func(v V, _ int) { f.Zero(v) }) },
		func(a, b R) {
			// of 16 indices, 32 bytes a row, the group is 8 bytes
			for couple := range couples {
				first, second := rows(couple)
				f.LDRD(as+V(couple), a, first*32)
				if second != first {
					f.LDRD(bs, a, second*32)
					f.ZIP1((as + V(couple)).D2(), (as + V(couple)).D2(), bs.D2())
				}
			}
			f.Go("ADD $8, %v, %v", a, a)
			for half := range 2 {
				// 8 columns of two pairs of inner indices
				if half == 0 {
					f.LDPQPost(bs, bs+1, b, 128)
				} else {
					f.LDPQ(bs, bs+1, b, 32-128)
				}
				f.LDPQ(bs+2, bs+3, b, half*32+64-128)
				for q := range V(2) {
					f.ZIP1((bs + 4).S4(), (bs + q).S4(), (bs + 2 + q).S4())
					f.ZIP2((bs + q).S4(), (bs + q).S4(), (bs + 2 + q).S4())
					for i, operand := range []V{bs + 4, bs + q} {
						for couple := range couples {
							f.BFMMLA(acc(couple, 4*half+2*int(q)+i).S4(), (as + V(couple)).H8(), operand.H8())
						}
					}
				}
			}
		},
		func(c R) {
			for couple := range couples {
				first, second := rows(couple)
				for quarter := range 4 {
					load(bs, c, first, quarter)
					if second != first {
						load(bs+1, c, second, quarter)
					}
					f.ZIP1(acc(couple, 2*quarter).D2(), bs.D2(), (bs + 1).D2())
					f.ZIP2(acc(couple, 2*quarter+1).D2(), bs.D2(), (bs + 1).D2())
				}
			}
		},
		func(c, tmp R) {
			if rounded {
				f.LoadInto("bias", tmp)
				f.Go("CBZ %v, biased", tmp)
				for half := range 2 {
					f.LDPQ(bs, bs+1, tmp, half*32)
					for q := range V(2) {
						f.ZIP1((bs + 2).D2(), (bs + q).D2(), (bs + q).D2())
						f.ZIP2((bs + 3).D2(), (bs + q).D2(), (bs + q).D2())
						for couple := range couples {
							for i := range 2 {
								v := acc(couple, 4*half+2*int(q)+i)
								f.FADD(v.S4(), v.S4(), (bs + 2 + V(i)).S4())
							}
						}
					}
				}
				f.Label("biased")
				f.LoadInto("relu", tmp)
				f.Go("CBZ %v, rectified", tmp)
				f.Zero(bs)
				each(func(v V, _ int) { f.FMAX(v.S4(), v.S4(), bs.S4()) })
				f.Label("rectified")
			}
			write := func() {
				for couple := range couples {
					first, second := rows(couple)
					for half := range 2 {
						for i, row := range []int{first, second}[:second-first+1] {
							separate := []func(d, n, m Vec){f.UZP1, f.UZP2}[i]
							for q := range V(2) {
								separate((bs + q).D2(), acc(couple, 4*half+2*int(q)).D2(), acc(couple, 4*half+2*int(q)+1).D2())
							}
							if rounded {
								storeHalves(f, [2]V{bs, bs + 1}, bs, c, row*32+half*16)
							} else {
								f.STPQ(bs, bs+1, c, row*64+half*32)
							}
						}
					}
				}
			}
			if rounded {
				flushing(f, tmp, write)
			} else {
				write()
			}
		})
}

// outerBF16 sums over pairs of rows; two of them at a time are what BFMMLA multiplies, with zeros beside an odd last
// one. A register of sums holds two columns of one row of c, then of the next, until the end.
func outerBF16(file *File) {
	f := file.Func("outerBF16NEON", outerArgs)
	// multiply takes 8 rows of c from v to v+3, 8 columns from v+4 to v+7
	multiply := func(v V) {
		for i := range V(4) {
			for j := range V(4) {
				f.BFMMLA((4*i + j).S4(), (v + i).H8(), (v + 4 + j).H8())
			}
		}
	}
	const v, t = V(16), V(24)
	load := func() {
		// pairs of columns and of rows come together: lanes 0, 1 and 2, 3 of both pairs of rows
		zip := func(to, first, second V) {
			f.ZIP1(to.S4(), first.S4(), second.S4())
			f.ZIP2((to + 1).S4(), first.S4(), second.S4())
		}
		zip(v, t, t+2)
		zip(v+2, t+1, t+3)
		zip(v+4, t+4, t+6)
		zip(v+6, t+5, t+7)
	}
	outerLoops(f, func(a, z, count R) {
		f.Go("TBZ $0, %v, even", count)
		f.LDPQPost(t, t+1, a, 64)
		f.LDPQPost(t+4, t+5, z, 64)
		for _, u := range []V{t + 2, t + 3, t + 6, t + 7} {
			f.Zero(u)
		}
		load()
		multiply(v)
		f.Label("even")
		f.Go("LSR $1, %v, %v", count, count)
		f.Go("CBZ %v, sum", count)
		f.Loop("rows", count, func() {
			f.LDPQPost(t, t+1, a, 64)
			f.LDPQPost(t+2, t+3, a, 64)
			f.LDPQPost(t+4, t+5, z, 64)
			f.LDPQPost(t+6, t+7, z, 64)
			load()
			multiply(v)
		})
		f.Label("sum")
		for i := range V(4) {
			// rows 2i and 2i+1 of c, whose sums are 4i to 4i+3, become registers 4i, 4i+1 and 4i+2, 4i+3
			f.UZP1(v.D2(), (4 * i).D2(), (4*i + 1).D2())
			f.UZP1((v + 1).D2(), (4*i + 2).D2(), (4*i + 3).D2())
			f.UZP2((v + 2).D2(), (4 * i).D2(), (4*i + 1).D2())
			f.UZP2((4*i + 3).D2(), (4*i + 2).D2(), (4*i + 3).D2())
			f.MOV(4*i, v)
			f.MOV(4*i+1, v+1)
			f.MOV(4*i+2, v+2)
		}
	})
}

const rearrangeArgs = "(dst, src *float32, count int)"

// rearrangements emits the changes of format.
func rearrangements(file *File) {
	interleave(file)
	f := file.Func("packPairsBF16NEON", rearrangeArgs)
	dst, src, count, tmp := f.Load("dst"), f.Load("src"), f.Load("count"), f.GP()
	flushing(f, tmp, func() {
		f.Loop("pairs", count, func() {
			f.LDPQ(0, 1, src, 0)
			f.LDPQ(2, 3, src, 32)
			f.LDPQ(4, 5, src, 64)
			f.LDPQ(6, 7, src, 96)
			for v := range V(8) {
				f.BFCVTN(v.H4(), v.S4())
			}
			for v := range V(4) {
				f.ZIP1(v.H8(), v.H8(), (v + 4).H8())
			}
			f.STPQ(0, 1, dst, 0)
			f.STPQ(2, 3, dst, 32)
			f.Go("ADD $128, %v, %v", src, src)
			f.Go("ADD $64, %v, %v", dst, dst)
		})
	})
	f.RET()

	f = file.Func("narrowBF16NEON", rearrangeArgs)
	dst, src, count, tmp = f.Load("dst"), f.Load("src"), f.Load("count"), f.GP()
	flushing(f, tmp, func() {
		f.Loop("vectors", count, func() {
			f.LDPQPost(0, 1, src, 64)
			f.LDPQ(2, 3, src, 32-64)
			round(f, [2]V{0, 1}, 0)
			round(f, [2]V{2, 3}, 1)
			f.STPQPost(0, 1, dst, 32)
		})
	})
	f.RET()

	f = file.Func("widenBF16NEON", rearrangeArgs)
	dst, src, count = f.Load("dst"), f.Load("src"), f.Load("count")
	f.Loop("vectors", count, func() {
		f.LDPQPost(0, 1, src, 32)
		f.SHLL(V(2).S4(), V(0).H4())
		f.SHLL2(V(3).S4(), V(0).H8())
		f.SHLL(V(4).S4(), V(1).H4())
		f.SHLL2(V(5).S4(), V(1).H8())
		f.STPQPost(2, 3, dst, 64)
		f.STPQ(4, 5, dst, 32-64)
	})
	f.RET()
}

func interleave(file *File) {
	f := file.Func("interleaveBF16NEON", rearrangeArgs)
	dst, src, count := f.Load("dst"), f.Load("src"), f.Load("count")
	pair := func() {
		for v := range V(2) {
			f.ZIP1((4 + 2*v).H8(), v.H8(), (2 + v).H8())
			f.ZIP2((5 + 2*v).H8(), v.H8(), (2 + v).H8())
		}
		f.STPQPost(4, 5, dst, 64)
		f.STPQ(6, 7, dst, 32-64)
	}
	f.Go("SUBS $2, %v, %v", count, count)
	f.Go("BLT last")
	f.Label("pairs")
	f.LDPQPost(0, 1, src, 64)
	f.LDPQ(2, 3, src, 32-64)
	pair()
	f.Go("SUBS $2, %v, %v", count, count)
	f.Go("BGE pairs")
	f.Label("last")
	f.Go("TBZ $0, %v, done", count)
	f.LDPQ(0, 1, src, 0)
	f.Zero(2)
	f.Zero(3)
	pair()
	f.Label("done")
	f.RET()
}
