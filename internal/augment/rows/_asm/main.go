// Command _asm writes the machine code of package rows: every kernel for AVX2 and for AVX-512.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, v := range []isa{avx2, avx512} {
		v.combine()
		v.combine4()
		v.smooth()
		v.decay("decay", false)
		v.decay("decayBack", true)
		v.affine()
		v.scale()
		v.describe()
		v.power()
		v.swapReversed()
		v.swap()
		v.interleave()
		v.symmetric()
		v.addNormal()
		v.locate()
	}
	taps4()
	cubic(1)
	cubic(2)
	Generate()
}
