package cpu

// Scratch is working memory that kernels borrow for the length of one call. The zero value is ready; it grows to
// the largest need and is then reused, so a repeated step allocates nothing. One call at a time may use it.
type Scratch struct {
	f32 []float32
	f64 []float64
}

// floats returns n floats of undefined content, 64-byte aligned.
func (s *Scratch) floats(n int) []float32 {
	if len(s.f32) < n {
		s.f32 = AlignedFloats(n + n/8)
	}
	return s.f32[:n]
}

// doubles returns n zeros.
func (s *Scratch) doubles(n int) []float64 {
	if len(s.f64) < n {
		s.f64 = make([]float64, n+n/8)
	}
	d := s.f64[:n]
	clear(d)
	return d
}

// Bytes returns the memory the scratch holds.
func (s *Scratch) Bytes() int64 { return int64(len(s.f32))*4 + int64(len(s.f64))*8 }
