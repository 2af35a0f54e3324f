// Package mt19937 is numpy's legacy random generator, so that splits equal those drawn in Python.
package mt19937

import "gonum.org/v1/gonum/mathext/prng"

// RandomState draws what numpy.random.RandomState draws from the same seed: gonum's MT19937 (Matsumoto & Nishimura
// 1998), and NumPy's ways to make numbers of its words. It is not safe for concurrent use.
type RandomState struct{ words *prng.MT19937 }

// New returns the generator of numpy.random.RandomState(seed) for an integer seed.
func New(seed uint32) *RandomState {
	r := &RandomState{prng.NewMT19937()}
	r.words.Seed(uint64(seed))
	return r
}

// Uint32 returns the next raw 32-bit word.
func (r *RandomState) Uint32() uint32 { return r.words.Uint32() }

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
