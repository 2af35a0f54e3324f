package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
)

// BenchmarkProducts times the matrix products of the kernel sets on one thread, in GFLOP/s, next to the ceiling of
// multiply-adds.
func BenchmarkProducts(b *testing.B) {
	r := rand.New(rand.NewPCG(41, 42))
	for _, set := range cpulevel.Available() {
		k := KernelSets[set]
		b.Run(fmt.Sprintf("%v/ceiling", set), func(b *testing.B) {
			const rounds = 1 << 14
			for b.Loop() {
				k.Ceiling(rounds)
			}
			b.ReportMetric(k.CeilingFlops*rounds*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
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
			a, w, c := floats(size.inner*size.rows), floats(size.inner*k.Cols*Block), floats(size.rows*k.Cols*Block)
			rate := func(name string, cols int, f func()) {
				b.Run(fmt.Sprintf("%v/%s/%d channels, %d rows", set, name, size.inner, size.rows), func(b *testing.B) {
					for b.Loop() {
						f()
					}
					b.ReportMetric(2*float64(size.inner*size.rows*cols*Block)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
			rate("gemm", k.Cols, func() {
				k.Multiply(false, a, size.rows*Block, w, size.inner*Block, size.inner, c, size.rows*Block, size.rows, k.Cols, false)
			})
			if k.BF16 == nil {
				continue
			}
			ah, wh := AlignedFloats(len(a)/2), AlignedFloats(len(w)/2)
			k.BF16.Narrow(&ah[0], &a[0], blocks*size.rows)
			k.BF16.PackPairs(&wh[0], &w[0], len(w)/(2*Block))
			rate("bf16 gemm", k.BF16.cols, func() {
				k.Multiply(true, ah, size.rows*Block/2, wh, size.inner*Block/2, size.inner, c, size.rows*Block, size.rows, k.BF16.cols, false)
			})
			rate("bf16 product", k.BF16.cols, func() {
				k.BF16.Multiply(ah, size.rows*Block/2, wh, size.inner*Block/2, size.inner, c, size.rows*Block/2, size.rows, k.BF16.cols, false, w, true)
			})
		}
	}
}

// BenchmarkActivations times the kernels that pass over activations on one thread, in bytes of memory moved and in
// voxels of 16 channels, in the second cache and beyond all.
func BenchmarkActivations(b *testing.B) {
	for _, set := range cpulevel.Available() {
		k := KernelSets[set]
		for _, voxels := range []int{1 << 12, 1 << 19} {
			x, y, z := AlignedFloats(voxels*Block), AlignedFloats(voxels*Block), AlignedFloats(voxels*Block)
			for i := range x {
				one := math.Float32frombits(0x3f803f80) // two in bfloat16
				x[i], y[i], z[i] = one, one, one
			}
			params, sums := AlignedFloats(5*Block), make([]float64, 2*Block)
			winners := make([]uint8, voxels*Block)
			windows := [3]int{0, 1, 2} // in voxels
			var taps [3][16]uint8
			for i := range windows {
				for l := range taps[i] {
					taps[i][l] = uint8(i)
				}
			}
			for _, format := range []struct {
				name  string
				k     *Set
				voxel int // bytes
			}{{"float32", k, 64}, {"bfloat16", k.halved, 32}} {
				if format.k == nil {
					continue
				}
				k, voxel := format.k, format.voxel
				at := windows
				for i := range at {
					at[i] *= voxel
				}
				n := voxels - 256
				scheme := slices.IndexFunc(Schemes, func(s winograd.Scheme) bool { return s.Name == "f43" })
				alpha := Schemes[scheme].Alpha
				for _, c := range []struct {
					name  string
					bytes int // per voxel
					run   func()
				}{
					{"normalize", 2 * voxel, func() { k.Normalize(&y[0], &x[0], n, &params[0]) }},
					{"sums", voxel, func() { k.Sums(&x[0], n, &sums[0]) }},
					{"gradient sums", 2 * voxel, func() { k.GradientSums(&x[0], &y[0], n, &params[0], &sums[0]) }},
					{"normalize back", 3 * voxel, func() { k.NormalizeBack(&z[0], &x[0], &y[0], n, &params[0]) }},
					{"max3", 4 * voxel, func() { k.Max3(&z[0], &x[0], &y[0], &z[0], n) }},
					{"windows", 2*voxel + Block, func() {
						k.WindowArgMax(&y[0], &winners[0], &x[0], voxel, n, &at[0], &taps[0], 3, 0, -1)
					}},
					{"winners", 2*voxel + Block, func() {
						k.WinnersSum(&y[0], voxel, &x[0], &winners[0], n, &windows[0], &taps[0], 3, 0)
					}},
					{"combine", 2*voxel + 2*Block, func() {
						k.CombineMax(&y[0], &winners[0], &x[0], &winners[0], n, &windows[0], &taps[0], 3)
					}},
					{"split", 2*voxel + 2*Block, func() {
						k.SplitSum(&y[0], &winners[0], &x[0], &winners[0], n, &windows[0], &taps[0], 3, 1)
					}},
					{"f43 input", 64 + voxel, func() {
						k.Transforms[scheme][InputTransform](&y[0], &x[0], 0, 64, voxel, alpha, alpha*64, alpha*voxel, n/(alpha*alpha), alpha*alpha*64, alpha*alpha*voxel, 1<<alpha-1, nil)
					}},
					{"widen", 64 + voxel, func() { k.Widen(&y[0], &x[0], n) }},
					{"narrow", 64 + voxel, func() { k.Narrow(&y[0], &x[0], n) }},
				} {
					b.Run(fmt.Sprintf("%v/%s/%s/%d", set, c.name, format.name, voxels), func(b *testing.B) {
						b.SetBytes(int64(c.bytes * n))
						for b.Loop() {
							c.run()
						}
						b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mvoxels/s")
					})
				}
			}
		}
	}
}

// BenchmarkOuter times the outer products of the weights' gradients on one thread.
func BenchmarkOuter(b *testing.B) {
	const rows = 1024
	x, z, c := AlignedFloats(rows*Block), AlignedFloats(3*rows*Block), AlignedFloats(3*Block*Block)
	rate := func(name string, nr int, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(2*float64(rows*nr*Block*Block)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
	for _, set := range cpulevel.Available() {
		k := KernelSets[set]
		for nr, outer := range k.outer {
			if outer != nil {
				rate(fmt.Sprintf("%v/x%d", set, nr), nr, func() { outer(&x[0], &z[0], rows*64, rows, &c[0], Block*64, 0) })
			}
		}
		if k.BF16 == nil {
			continue
		}
		for nr, outer := range k.BF16.outer {
			if outer != nil {
				rate(fmt.Sprintf("%v/bf16 x%d", set, nr), nr, func() { outer(&x[0], &z[0], rows*32, rows/2, &c[0], Block*64, 0) })
			}
		}
	}
}
