package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
	"github.com/universal-classifier/uc/internal/testutil"
)

// bf16 returns t as an activation in bfloat16.
func (t tensor) bf16(p *Workers) Act {
	a := BF16On(kernel.AlignedFloats(ActLen(t.n, t.c, t.size[0], t.size[1], t.size[2])/2), t.n, t.c, t.size[0], t.size[1], t.size[2])
	PackActivations(p, t.f32(), a)
	return a
}

// TestBF16MaxPool checks that max pooling of numbers that bfloat16 holds, and whose sums it holds, is that of float32
// in value and winners.
func TestBF16MaxPool(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for range 40 {
		var kernel, stride, size [3]int
		for a := range 3 {
			kernel[a], stride[a], size[a] = 1+r.IntN(3), 1+r.IntN(2), 1+r.IntN(9)
		}
		q := SamePooling(kernel, stride, size)
		channels := 1 + r.IntN(40)
		x, dy, before := randomTensor(r, 2, channels, size), randomTensor(r, 2, channels, q.OutSize), randomTensor(r, 2, channels, size)
		for _, values := range []tensor{x, dy, before} {
			for i, f := range values.v {
				values.v[i] = min(max(math.Round(f*2), -4), 4) + 0 // no -0, which lies below 0 in bfloat16
			}
		}
		name := fmt.Sprintf("kernel %v, stride %v, size %v", kernel, stride, size)
		eachPool(t, func(t *testing.T, p *Workers) {
			if !p.HasBF16() {
				t.Skip("no kernels on bfloat16")
			}
			var s Scratch
			y, yh := dy.act(p), dy.bf16(p)
			winners, winnersBF16 := make([]uint8, PoolIndexLen(&q, 2, channels)), make([]uint8, PoolIndexLen(&q, 2, channels))
			MaxPoolForward(p, &q, x.act(p), y, winners, &s)
			MaxPoolForward(p, &q, x.bf16(p), yh, winnersBF16, &s)
			testutil.Near(t, name, dy.fromAct(p, yh).v, dy.fromAct(p, y).v, 0)
			if !slices.Equal(winners, winnersBF16) {
				t.Fatalf("%s: winners differ", name)
			}
			MaxPoolForward(p, &q, x.bf16(p), yh, nil, &s)
			testutil.Near(t, name+", without winners", dy.fromAct(p, yh).v, dy.fromAct(p, y).v, 0)
			for _, accumulate := range []bool{false, true} {
				dx, dxh := before.act(p), before.bf16(p)
				MaxPoolBackward(p, &q, dy.act(p), winners, dx, accumulate, &s)
				MaxPoolBackward(p, &q, dy.bf16(p), winners, dxh, accumulate, &s)
				testutil.Near(t, name+", backward", x.fromAct(p, dxh).v, x.fromAct(p, dx).v, 0)
			}
		})
	}
}
