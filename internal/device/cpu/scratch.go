package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// Scratch is working memory that kernels borrow for the length of one call. The zero value is ready; it grows to
// the largest need and is then reused, so a repeated step allocates nothing. One call at a time may use it.
type Scratch struct {
	slab   slab
	extra  []slab // of this call, beside a slab that is too small
	used   int    // floats handed out in this call
	demand int    // floats asked for in this call
	f64    []float64
}

// reset ends the loans of the call before; every exported function that takes a Scratch begins with it.
func (s *Scratch) reset() {
	s.freeExtra()
	if s.demand > len(s.slab.floats) {
		s.slab.free() // before the larger one is taken
		s.slab = mustSlab(s.demand)
	}
	s.used, s.demand = 0, 0
}

// floats returns n floats of undefined content that begin on a 64-byte boundary.
func (s *Scratch) floats(n int) []float32 {
	rounded := (n + kernel.Block - 1) / kernel.Block * kernel.Block
	s.demand += rounded
	if s.used+rounded > len(s.slab.floats) {
		more := mustSlab(n) // the slab grows at the next call
		s.extra = append(s.extra, more)
		return more.floats
	}
	f := s.slab.floats[s.used : s.used+n : s.used+n]
	s.used += rounded
	return f
}

// doubles returns n zeros; they end the loan of the doubles before.
func (s *Scratch) doubles(n int) []float64 {
	if len(s.f64) < n {
		s.f64 = make([]float64, n+n/8)
	}
	d := s.f64[:n]
	clear(d)
	return d
}

// Bytes returns the memory the scratch holds.
func (s *Scratch) Bytes() int64 { return int64(len(s.slab.floats))*4 + int64(len(s.f64))*8 }

func (s *Scratch) freeExtra() {
	for i := range s.extra {
		s.extra[i].free()
	}
	s.extra = s.extra[:0]
}

// free gives the memory back.
func (s *Scratch) free() {
	s.freeExtra()
	s.slab.free()
	*s = Scratch{}
}
