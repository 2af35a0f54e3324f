package rows

import (
	"math"
	"math/bits"
)

// next advances stream lane.
func (g *Generator) next(lane int) uint32 {
	s0, s1, s2, s3 := g.state[0][lane], g.state[1][lane], g.state[2][lane], g.state[3][lane]
	result := bits.RotateLeft32(s0+s3, 7) + s0
	t := s1 << 9
	s2 ^= s0
	s3 ^= s1
	g.state[1][lane] = s1 ^ s2
	g.state[0][lane] = s0 ^ s3
	g.state[2][lane] = s2 ^ t
	g.state[3][lane] = bits.RotateLeft32(s3, 11)
	return result
}

// symmetricPortable: len(dst) is a multiple of Lanes.
func symmetricPortable(g *Generator, dst []float32) {
	for ; len(dst) >= Lanes; dst = dst[Lanes:] {
		for lane := range Lanes {
			dst[lane] = float32(int32(g.next(lane))) * (1. / (1 << 31))
		}
	}
}

// minusTwoLn2 turns a base-2 logarithm into the squared radius of a normal pair.
const minusTwoLn2 = -2 * math.Ln2

// addNormalPortable: len(dst) is a multiple of 2*Lanes. Each pair of turns of the streams gives one radius and one
// direction per lane: one eighth of the circle's symmetry comes from the direction's top bits.
func addNormalPortable(g *Generator, dst []float32, sd float32) {
	for ; len(dst) >= 2*Lanes; dst = dst[2*Lanes:] {
		for lane := range Lanes {
			u := float32(int32(g.next(lane)>>1))*(1./(1<<31)) + 1./(1<<33)
			direction := g.next(lane)
			radius := sd * float32(math.Sqrt(float64(max(minusTwoLn2*log2(u), 0))))
			x := float32(int32(direction<<2)) * (1. / (1 << 32))
			xx := x * x
			s, c := &sinPoly, &cosPoly
			sin := x * (((s[3]*xx+s[2])*xx+s[1])*xx + s[0])
			cos := ((c[3]*xx+c[2])*xx+c[1])*xx + c[0]
			if direction>>31 != 0 {
				cos = -cos
			}
			if direction>>30&1 != 0 {
				sin, cos = cos, sin
			}
			dst[lane] += radius * cos
			dst[Lanes+lane] += radius * sin
		}
	}
}
