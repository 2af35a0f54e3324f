package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
)

// TestAdamW compares three steps with torch.optim.AdamW's formula in float64.
func TestAdamW(t *testing.T) {
	const lr, b1, b2, eps, decay, scale = 0.02, 0.9, 0.99, 1e-8, 0.1, 0.5
	r := rand.New(rand.NewPCG(15, 16))
	for _, n := range []int{1, 15, 16, 1000, sgdChunk*2 + 77} {
		start, grad := randomTensor(r, 1, n, [3]int{1, 1, 1}), randomTensor(r, 1, n, [3]int{1, 1, 1})
		eachPool(t, func(t *testing.T, p *Workers) {
			w, m, v := start.f32(), make([]float32, n+1), make([]float32, n+1)
			for i := range m {
				m[i], v[i] = float32(math.NaN()), float32(math.NaN()) // the first step does not look at them
			}
			m[n], v[n] = guard, guard
			want, first, second := append([]float64{}, start.v...), make([]float64, n), make([]float64, n)
			for step := 1; step <= 3; step++ {
				c1, c2 := 1-math.Pow(b1, float64(step)), 1-math.Pow(b2, float64(step))
				AdamWStep(p, AdamW{Beta1: b1, Beta2: b2, Shrink: 1 - lr*decay, Rate: lr / c1, Root: 1 / math.Sqrt(c2), Eps: eps, Scale: scale, Fresh: step == 1},
					w, grad.f32(), m[:n], v[:n])
				for i := range want {
					g := scale * grad.v[i]
					want[i] *= 1 - lr*decay
					first[i] = b1*first[i] + (1-b1)*g
					second[i] = b2*second[i] + (1-b2)*g*g
					want[i] -= lr / c1 * first[i] / (math.Sqrt(second[i])/math.Sqrt(c2) + eps)
				}
			}
			testutil.Near(t, "parameters", testutil.Float64(w), want, 1e-5)
			testutil.Near(t, "first moment", testutil.Float64(m[:n]), first, 1e-6)
			testutil.Near(t, "second moment", testutil.Float64(v[:n]), second, 1e-6)
			if m[n] != guard || v[n] != guard {
				t.Fatal("wrote beyond the moments")
			}
		})
	}
}

func TestAverage(t *testing.T) {
	eachPool(t, func(t *testing.T, p *Workers) {
		n := sgdChunk + 5
		dst, src := make([]float32, n+1), make([]float32, n)
		for i := range src {
			dst[i], src[i] = float32(math.NaN()), float32(i)
		}
		dst[n] = guard
		Average(p, dst[:n], src, 0)
		for i := range src {
			if dst[i] != src[i] {
				t.Fatalf("a copy has %v at %d, want %v", dst[i], i, src[i])
			}
			src[i] = -3 * float32(i)
		}
		Average(p, dst[:n], src, 0.75)
		for i := range src {
			if dst[i] != 0 {
				t.Fatalf("0.75*%d + 0.25*%v is %v", i, src[i], dst[i])
			}
		}
		if dst[n] != guard {
			t.Fatal("wrote beyond the average")
		}
	})
}

func BenchmarkAdamW(b *testing.B) {
	p := NewWorkers(1)
	n := 12 << 20
	w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range g {
		g[i] = float32(i%7) - 3
	}
	b.SetBytes(int64(7 * 4 * n)) // four arrays read, three written
	for b.Loop() {
		AdamWStep(p, AdamW{Beta1: 0.9, Beta2: 0.999, Shrink: 1, Rate: 1e-3, Root: 1, Eps: 1e-8, Scale: 1}, w, g, m, v)
	}
}
