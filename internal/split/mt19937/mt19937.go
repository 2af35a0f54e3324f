// Package mt19937 is numpy's legacy random generator, so that splits equal those drawn in Python.
package mt19937

// Sizes and constants of MT19937 (Matsumoto & Nishimura, "Mersenne Twister", ACM TOMACS 8, 1998).
const (
	stateLen  = 624
	shift     = 397
	matrixA   = 0x9908b0df
	upperMask = 0x80000000
	lowerMask = 0x7fffffff
)

// RandomState draws what numpy.random.RandomState draws from the same seed. It is not safe for concurrent use.
type RandomState struct {
	key [stateLen]uint32
	pos int
}

// New returns the generator of numpy.random.RandomState(seed) for an integer seed.
func New(seed uint32) *RandomState {
	r := &RandomState{pos: stateLen}
	for i := range r.key {
		r.key[i] = seed
		seed = 1812433253*(seed^(seed>>30)) + uint32(i) + 1
	}
	return r
}

// Uint32 returns the next raw 32-bit word.
func (r *RandomState) Uint32() uint32 {
	if r.pos == stateLen {
		r.refill()
	}
	y := r.key[r.pos]
	r.pos++
	y ^= y >> 11
	y ^= (y << 7) & 0x9d2c5680
	y ^= (y << 15) & 0xefc60000
	return y ^ y>>18
}

func (r *RandomState) refill() {
	for i := range r.key {
		y := r.key[i]&upperMask | r.key[(i+1)%stateLen]&lowerMask
		next := r.key[(i+shift)%stateLen] ^ y>>1
		if y&1 != 0 {
			next ^= matrixA
		}
		r.key[i] = next
	}
	r.pos = 0
}

// Float64 is RandomState.random_sample(): uniform in [0, 1) with 53 bits.
func (r *RandomState) Float64() float64 {
	a, b := r.Uint32()>>5, r.Uint32()>>6
	return (float64(a)*67108864 + float64(b)) / 9007199254740992
}

// interval draws an integer from 0 to last inclusive as numpy's legacy random_interval does: masked words, those
// beyond last rejected.
func (r *RandomState) interval(last uint32) uint32 {
	mask := last
	for s := 1; s < 32; s <<= 1 {
		mask |= mask >> s
	}
	for last > 0 {
		if v := r.Uint32() & mask; v <= last {
			return v
		}
	}
	return 0
}

// Permutation is RandomState.permutation(n): the numbers 0 to n-1 shuffled.
func (r *RandomState) Permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := r.interval(uint32(i))
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// Choice is RandomState.choice(n, size, replace=False): size different numbers below n in the order drawn.
// It panics if size exceeds n.
func (r *RandomState) Choice(n, size int) []int { return r.Permutation(n)[:size] }
