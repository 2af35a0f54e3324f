package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkProducts times the matrix products of the kernel sets on one thread, in GFLOP/s, beside the ceiling of multiply-adds.
func BenchmarkProducts(b *testing.B) {
	r := rand.New(rand.NewPCG(41, 42))
	for _, set := range AvailableFeatures() {
		k := kernelSets[set]
		b.Run(fmt.Sprintf("%v/ceiling", set), func(b *testing.B) {
			const rounds = 1 << 14
			for b.Loop() {
				k.ceiling(rounds)
			}
			b.ReportMetric(k.ceilingFlops*rounds*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
		for _, size := range []struct{ inner, rows int }{{192, 98}, {192, 980}, {528, 490}, {832, 98}, {832, 3920}} {
			blocks := size.inner / Block
			floats := func(n int) []float32 {
				v := AlignedFloats(n)
				for i := range v {
					v[i] = float32(r.NormFloat64())
				}
				return v
			}
			a, w, c := floats(size.inner*size.rows), floats(size.inner*k.cols*Block), floats(size.rows*k.cols*Block)
			rate := func(name string, cols int, f func()) {
				b.Run(fmt.Sprintf("%v/%s/%d channels, %d rows", set, name, size.inner, size.rows), func(b *testing.B) {
					for b.Loop() {
						f()
					}
					b.ReportMetric(2*float64(size.inner*size.rows*cols*Block)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
			rate("gemm", k.cols, func() {
				k.multiply(false, a, size.rows*Block, w, size.inner*Block, size.inner, c, size.rows*Block, size.rows, k.cols, false)
			})
			if k.half == nil {
				continue
			}
			ah, wh := AlignedFloats(len(a)/2), AlignedFloats(len(w)/2)
			k.half.narrow(&ah[0], &a[0], blocks*size.rows)
			k.half.packPairs(&wh[0], &w[0], len(w)/(2*Block))
			rate("bf16 gemm", k.half.cols, func() {
				k.multiply(true, ah, size.rows*Block/2, wh, size.inner*Block/2, size.inner, c, size.rows*Block, size.rows, k.half.cols, false)
			})
			rate("bf16 product", k.half.cols, func() {
				k.half.multiply(ah, size.rows*Block/2, wh, size.inner*Block/2, size.inner, c, size.rows*Block/2, size.rows, k.half.cols, false, w, true)
			})
		}
	}
}
