// Command asm writes the machine code of package rows for arm64; `go generate ./internal/augment/rows` runs it.
package main

import "github.com/universal-classifier/uc/internal/neon"

func main() {
	f := neon.NewFile("rows", "go run ./_asm_arm64")
	combine(f)
	combine4(f)
	smooth(f)
	decay(f, "decayNEON", false)
	decay(f, "decayBackNEON", true)
	affine(f)
	scale(f)
	describe(f)
	power(f)
	swapReversed(f)
	swap(f)
	interleave(f)
	symmetric(f)
	addNormal(f)
	taps4(f)
	locate(f)
	cubic(f, 1)
	cubic(f, 2)
	if err := f.Write("kernels_arm64"); err != nil {
		panic(err)
	}
}
