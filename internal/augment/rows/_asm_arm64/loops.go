package main

import (
	"fmt"

	. "github.com/universal-classifier/uc/internal/neon"
)

// access is how a kernel reaches a row: in vectors of four values or, where no vector is left, in single values, which
// lie in the lowest lane beside zeros. NEON has no masked loads; as a single value takes the instructions of a vector,
// its bits do not depend on where it lies in a row.
type access int

const (
	single access = 4
	vector access = 16
)

// load loads registers from first on, the values at base and those behind them.
func (a access) load(f *Func, first V, count int, base R) {
	i := 0
	for ; a == vector && i+1 < count; i += 2 {
		f.LDPQ(first+V(i), first+V(i)+1, base, 16*i)
	}
	for ; i < count; i++ {
		if a == vector {
			f.LDRQ(first+V(i), base, 16*i)
		} else {
			f.LDRS(first+V(i), base, 4*i)
		}
	}
}

// store is the counterpart of load.
func (a access) store(f *Func, first V, count int, base R) {
	i := 0
	for ; a == vector && i+1 < count; i += 2 {
		f.STPQ(first+V(i), first+V(i)+1, base, 16*i)
	}
	for ; i < count; i++ {
		if a == vector {
			f.STRQ(first+V(i), base, 16*i)
		} else {
			f.STRS(first+V(i), base, 4*i)
		}
	}
}

// advance moves pointers on by count vectors or single values.
func (a access) advance(f *Func, count int, pointers ...R) {
	for _, p := range pointers {
		f.Go("ADD $%d, %v, %v", count*int(a), p, p)
	}
}

var labels int

func label(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

// vectors emits body for as many whole groups of vectors as n values hold; n keeps what is left. body advances its
// pointers itself.
func vectors(f *Func, n R, group int, body func()) {
	again, done := label("vectors"), label("vectorsEnd")
	f.Go("SUBS $%d, %v, %v", 4*group, n, n)
	f.Go("BLT %s", done)
	f.Label(again)
	body()
	f.Go("SUBS $%d, %v, %v", 4*group, n, n)
	f.Go("BGE %s", again)
	f.Label(done)
	f.Go("ADD $%d, %v, %v", 4*group, n, n)
}

// overRow emits body for groups of vectors, then for single vectors, then for single values, until n are done.
func overRow(f *Func, n R, group int, body func(count int, a access)) {
	vectors(f, n, group, func() { body(group, vector) })
	if group > 1 {
		vectors(f, n, 1, func() { body(1, vector) })
	}
	again, end := label("singles"), label("end")
	f.Go("CBZ %v, %s", n, end)
	f.Loop(again, n, func() { body(1, single) })
	f.Label(end)
}

// argument returns lane 0 of v, which then holds a float32 parameter.
func argument(f *Func, name string, v V) Lane {
	f.LoadFloat(name, v)
	return v.S(0)
}

// everywhere spreads a float32 parameter over the lanes of v.
func everywhere(f *Func, name string, v V) V {
	f.LoadFloat(name, v)
	f.DUP(v.S4(), v.S(0))
	return v
}

// constants loads float32 constants, as many as are given, four to a register, from first on.
func constants(f *Func, file *File, first V, values ...float32) {
	for len(values)%4 != 0 {
		values = append(values, 0)
	}
	p := f.GP()
	f.Address(file.Floats(values...), p)
	for i := range len(values) / 4 {
		f.LDRQ(first+V(i), p, 16*i)
	}
	f.Free(p)
}
