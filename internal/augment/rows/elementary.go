package rows

import "math"

// Polynomials of least maximum error on their intervals, constant term first.
var (
	// log2Poly is log2(1+t)/t for t in [sqrt(1/2)-1, sqrt(2)-1]; the product with t is within 5e-8.
	log2Poly = [8]float32{1.44269477, -0.721357121, 0.480939392, -0.360088119, 0.28670854, -0.250061196, 0.236882485, -0.14575751}
	// exp2Poly is 2^x for x in [-1/2, 1/2], within 8e-8.
	exp2Poly = [6]float32{1.00000008, 0.693147225, 0.240221074, 0.055502973, 0.00967603636, 0.00134100049}
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

// exp2 returns 2^x for x from -126 to 127.
func exp2(x float32) float32 {
	// Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
	const round = 3 << 22
	whole := float32(x+round) - round
	t := x - whole
	c := &exp2Poly
	y := c[5]
	y = y*t + c[4]
	y = y*t + c[3]
	y = y*t + c[2]
	y = y*t + c[1]
	y = y*t + c[0]
	return math.Float32frombits(math.Float32bits(y) + uint32(int32(whole))<<23)
}

// smallestBase is the smallest base that pow distinguishes from 0.
const smallestBase = 1e-30

// lowestPower keeps exp2 in its range.
const lowestPower = -126

// pow returns max(v, 0)^exponent for v <= 1 and exponent > 0.
func pow(v, exponent float32) float32 {
	if !(v > smallestBase) {
		return 0
	}
	return exp2(max(log2(v)*exponent, lowestPower))
}
