package neon

import "fmt"

// Access is how a kernel reaches a row of float32: in vectors of four or, where no vector is left, in single values,
// which lie in the lowest lane beside zeros. NEON has no masked loads; as a single value takes the instructions of a
// vector, its bits do not depend on where it lies in a row. The number is that of bytes.
type Access int

// The two kinds of access.
const (
	Single Access = 4
	Vector Access = 16
)

// Load loads count registers from first on, with the values at base and those behind them.
func (a Access) Load(f *Func, first V, count int, base R) {
	i := 0
	for ; a == Vector && i+1 < count; i += 2 {
		f.LDPQ(first+V(i), first+V(i)+1, base, 16*i)
	}
	for ; i < count; i++ {
		if a == Vector {
			f.LDRQ(first+V(i), base, 16*i)
		} else {
			f.LDRS(first+V(i), base, 4*i)
		}
	}
}

// Store is the counterpart of Load.
func (a Access) Store(f *Func, first V, count int, base R) {
	i := 0
	for ; a == Vector && i+1 < count; i += 2 {
		f.STPQ(first+V(i), first+V(i)+1, base, 16*i)
	}
	for ; i < count; i++ {
		if a == Vector {
			f.STRQ(first+V(i), base, 16*i)
		} else {
			f.STRS(first+V(i), base, 4*i)
		}
	}
}

// Advance moves pointers on by count vectors or single values.
func (a Access) Advance(f *Func, count int, pointers ...R) {
	for _, p := range pointers {
		f.Go("ADD $%d, %v, %v", count*int(a), p, p)
	}
}

// NewLabel returns a label that the function does not have yet.
func (f *Func) NewLabel(name string) string {
	f.labels++
	return fmt.Sprintf("%s%d", name, f.labels)
}

// Vectors adds body as often as n float32 fill whole groups of vectors; n keeps what is left. body advances its
// pointers itself.
func (f *Func) Vectors(n R, group int, body func()) {
	again, done := f.NewLabel("vectors"), f.NewLabel("vectorsEnd")
	f.Go("SUBS $%d, %v, %v", 4*group, n, n)
	f.Go("BLT %s", done)
	f.Label(again)
	body()
	f.Go("SUBS $%d, %v, %v", 4*group, n, n)
	f.Go("BGE %s", again)
	f.Label(done)
	f.Go("ADD $%d, %v, %v", 4*group, n, n)
}

// OverRow adds body for groups of vectors, then for single vectors, then for single values, until n float32 are done.
func (f *Func) OverRow(n R, group int, body func(count int, a Access)) {
	f.Vectors(n, group, func() { body(group, Vector) })
	if group > 1 {
		f.Vectors(n, 1, func() { body(1, Vector) })
	}
	end := f.NewLabel("end")
	f.Go("CBZ %v, %s", n, end)
	f.Loop(f.NewLabel("singles"), n, func() { body(1, Single) })
	f.Label(end)
}

// LoadEverywhere loads an argument, a float32, into every lane of v.
func (f *Func) LoadEverywhere(name string, v V) {
	f.LoadFloat(name, v)
	f.DUP(v.S4(), v.S(0))
}

// LoadConstants loads float32 constants, four to a register, from first on.
func (f *Func) LoadConstants(first V, values ...float32) {
	for len(values)%4 != 0 {
		values = append(values, 0)
	}
	p := f.GP()
	f.Address(f.file.Floats(values...), p)
	for i := range len(values) / 4 {
		f.LDRQ(first+V(i), p, 16*i)
	}
	f.Free(p)
}
