package main

import . "github.com/universal-classifier/uc/internal/neon"

// flushing emits body such that it takes denormals for zeros of their sign, as rounding to bfloat16 must: unlike
// Intel's instruction, BFCVTN keeps them unless FPCR.FZ is set. Kernels that must compute with denormals as the
// portable ones do round with rounding (vectors.go) instead, which costs instructions every time. body may use tmp.
func flushing(f *Func, tmp R, body func()) {
	const flushToZero = 1 << 24
	before := f.GP()
	f.Go("MOVD FPCR, %v", before)
	f.Go("ORR $%d, %v, %v", flushToZero, before, tmp)
	f.Go("MOVD %v, FPCR", tmp)
	body()
	f.Go("MOVD %v, FPCR", before)
}

// loadHalves widens 8 bfloat16 to two registers.
func loadHalves(f *Func, v [2]V, base R, offset int) {
	f.LDRQ(v[1], base, offset)
	f.SHLL(v[0].S4(), v[1].H4())
	f.SHLL2(v[1].S4(), v[1].H8())
}

// storeHalves rounds two registers to 8 bfloat16; tmp may be one of them. It must be within flushing.
func storeHalves(f *Func, v [2]V, tmp V, base R, offset int) {
	round(f, v, tmp)
	f.STRQ(tmp, base, offset)
}

// round rounds two registers to 8 bfloat16 in result, which may be the first of them. It must be within flushing.
func round(f *Func, v [2]V, result V) {
	f.BFCVTN(result.H4(), v[0].S4())
	f.BFCVTN2(result.H8(), v[1].S4())
}
