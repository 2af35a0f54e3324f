package rows

import "math"

// Polynomials of least maximum error on their intervals, constant term first.
var (
	// log2Poly is log2(1+t)/t for t in [sqrt(1/2)-1, sqrt(2)-1]; the product with t is within 5e-8.
	log2Poly = [8]float32{1.44269477, -0.721357121, 0.480939392, -0.360088119, 0.28670854, -0.250061196, 0.236882485, -0.14575751}
	// sinPoly is sin(pi/2 x)/x and cosPoly is cos(pi/2 x), in powers of x^2, for x in [-1/2, 1/2]; within 3e-8.
	sinPoly = [4]float32{1.57079632, -0.645963479, 0.0796802281, -0.004602177}
	cosPoly = [4]float32{0.999999972, -1.23369701, 0.253598644, -0.0204083525}
)

// sqrtHalfBits are the bits of sqrt(1/2): a float is split there into exponent and mantissa.
const sqrtHalfBits = 0x3f3504f3

// log2 returns the logarithm of a positive normal number, within 1e-7 of the truth or of its last digit.
func log2(v float32) float32 {
	bits := int32(math.Float32bits(v)) - sqrtHalfBits
	exponent := bits >> 23
	t := math.Float32frombits(uint32(bits&0x7fffff+sqrtHalfBits)) - 1
	c := &log2Poly
	y := c[7]
	y = y*t + c[6]
	y = y*t + c[5]
	y = y*t + c[4]
	y = y*t + c[3]
	y = y*t + c[2]
	y = y*t + c[1]
	y = y*t + c[0]
	return y*t + float32(exponent)
}

// powers holds what raises numbers from 0 to 1 to one exponent: a number m * 2^e with m in [1, 2) has the power
// 2^(e * exponent), from a table, times m^exponent, by a polynomial.
type powers struct {
	scale [256]float32 // by the biased exponent of the base
	poly  [7]float32   // in m - 3/2, constant term first
}

const (
	exponentBias = 127
	// smallestExponent is that of the smallest base whose power is not 0.
	smallestExponent = exponentBias - 31
	smallestBase     = 1. / (1 << 31)
	oneBits          = 0x3f800000
)

func newPowers(exponent float32) powers {
	var p powers
	for e := smallestExponent; e < len(p.scale); e++ {
		p.scale[e] = float32(math.Exp2(float64(e-exponentBias) * float64(exponent)))
	}
	// Newton's interpolation at the Chebyshev points of [1, 2]: for exponents up to 4 within 1e-6 of the power.
	const n = len(p.poly)
	var at, difference [n]float64
	for i := range at {
		at[i] = math.Cos((float64(i)+0.5)*math.Pi/float64(n)) / 2
		difference[i] = math.Pow(1.5+at[i], float64(exponent))
	}
	for order := 1; order < n; order++ {
		for i := n - 1; i >= order; i-- {
			difference[i] = (difference[i] - difference[i-1]) / (at[i] - at[i-order])
		}
	}
	var poly [n]float64
	for i := n - 1; i >= 0; i-- {
		for k := n - 1; k > 0; k-- {
			poly[k] = poly[k-1] - at[i]*poly[k]
		}
		poly[0] = difference[i] - at[i]*poly[0]
	}
	for i, c := range poly {
		p.poly[i] = float32(c)
	}
	return p
}

// of returns max(v, 0) to the power; v < 2.
func (p *powers) of(v float32) float32 {
	bits := math.Float32bits(max(v, 0))
	t := math.Float32frombits(bits&0x7fffff|oneBits) - 1.5
	c := &p.poly
	y := c[6]
	y = y*t + c[5]
	y = y*t + c[4]
	y = y*t + c[3]
	y = y*t + c[2]
	y = y*t + c[1]
	y = y*t + c[0]
	return y * p.scale[bits>>23&0xff]
}
