package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
)

func TestMaxPool(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	type pc struct{ k, s, size [3]int }
	cases := []pc{
		{[3]int{1, 3, 3}, [3]int{1, 2, 2}, [3]int{5, 7, 7}}, {[3]int{1, 3, 3}, [3]int{1, 2, 2}, [3]int{3, 8, 6}},
		{[3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{4, 5, 6}}, {[3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{4, 1, 1}},
		{[3]int{3, 3, 3}, [3]int{2, 2, 2}, [3]int{7, 4, 5}}, {[3]int{2, 2, 2}, [3]int{2, 2, 2}, [3]int{7, 2, 3}},
		{[3]int{2, 2, 2}, [3]int{2, 2, 2}, [3]int{1, 1, 1}}, {[3]int{3, 3, 3}, [3]int{2, 2, 2}, [3]int{1, 2, 3}},
	}
	for range 8 {
		var c pc
		for a := range 3 {
			c.k[a], c.s[a], c.size[a] = 1+r.IntN(4), 1+r.IntN(3), 1+r.IntN(8)
		}
		cases = append(cases, c)
	}
	for _, k := range cases {
		q := SamePooling(k.k, k.s, k.size)
		channels := 1 + r.IntN(40)
		x := randomTensor(r, 2, channels, k.size)
		for i := range x.v { // few values, so that ties happen; negative ones, so that zeros win
			x.v[i] = math.Floor(x.v[i]*2-1) / 2
		}
		dy := randomTensor(r, 2, channels, q.OutSize)
		before := randomTensor(r, 2, channels, k.size)
		y, dx := newTensor(2, channels, q.OutSize), newTensor(2, channels, k.size)
		for i := range y.v {
			at := i
			var pos [5]int
			for a, m := range []int{q.OutSize[2], q.OutSize[1], q.OutSize[0], channels, 2} {
				pos[4-a], at = at%m, at/m
			}
			best, from := math.Inf(-1), -1
			for tap := range k.k[0] * k.k[1] * k.k[2] {
				id := pos[2]*k.s[0] - q.PadLo[0] + tap/(k.k[1]*k.k[2])
				ih := pos[3]*k.s[1] - q.PadLo[1] + tap/k.k[2]%k.k[1]
				iw := pos[4]*k.s[2] - q.PadLo[2] + tap%k.k[2]
				if id >= k.size[0]+q.PadHi[0] || ih >= k.size[1]+q.PadHi[1] || iw >= k.size[2]+q.PadHi[2] {
					continue
				}
				v, src := 0.0, -1
				if x.inside(id, ih, iw) {
					src = x.at(pos[0], pos[1], id, ih, iw)
					v = x.v[src]
				}
				if v > best {
					best, from = v, src
				}
			}
			y.v[i] = best
			if from >= 0 {
				dx.v[from] += dy.v[i]
			}
		}
		eachPool(t, func(t *testing.T, p *Workers) {
			xa, ya, da := x.act(p), y.act(p), before.act(p)
			MaxPoolForward(p, &q, xa, ya, nil, &Scratch{})
			testutil.Near(t, "max pooling", y.fromAct(p, ya).v, y.v, 0)
			idx := make([]uint8, PoolIndexLen(&q, 2, channels))
			ya = dy.act(p)
			MaxPoolForward(p, &q, xa, ya, idx, &Scratch{})
			testutil.Near(t, "max pooling with indices", y.fromAct(p, ya).v, y.v, 0)
			checkGuards(t, "max pooling", ya)
			MaxPoolBackward(p, &q, dy.act(p), idx, da, false, &Scratch{})
			testutil.Near(t, "max pooling backward", dx.fromAct(p, da).v, dx.v, 1e-6)
			checkGuards(t, "max pooling backward", da)
			da = before.act(p)
			MaxPoolBackward(p, &q, dy.act(p), idx, da, true, &Scratch{})
			sum := newTensor(2, channels, k.size)
			for i := range sum.v {
				sum.v[i] = before.v[i] + dx.v[i]
			}
			testutil.Near(t, "max pooling backward, added", dx.fromAct(p, da).v, sum.v, 1e-6)
			checkGuards(t, "max pooling backward, added", da)
		})
	}
}

func TestBatchNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const eps, momentum = 1e-5, 0.1
	for _, shape := range [][5]int{{2, 20, 3, 4, 5}, {1, 16, 1, 1, 2}, {3, 33, 2, 3, 1}, {2, 8, 17, 18, 19}} {
		n, c, size := shape[0], shape[1], [3]int{shape[2], shape[3], shape[4]}
		vox := size[0] * size[1] * size[2]
		count := n * vox
		x, dy := randomTensor(r, n, c, size), randomTensor(r, n, c, size)
		gamma, beta := randomTensor(r, 1, c, [3]int{1, 1, 1}).v, randomTensor(r, 1, c, [3]int{1, 1, 1}).v
		runMean, runVar := randomTensor(r, 1, c, [3]int{1, 1, 1}).v, make([]float64, c)
		mean, variance := make([]float64, c), make([]float64, c)
		channel := func(i int) int { return i / vox % c }
		for i, v := range x.v {
			mean[channel(i)] += v / float64(count)
		}
		for i, v := range x.v {
			d := v - mean[channel(i)]
			variance[channel(i)] += d * d / float64(count)
		}
		for _, relu := range []bool{false, true} {
			y, g := newTensor(n, c, size), newTensor(n, c, size)
			dgamma, dbeta := make([]float64, c), make([]float64, c)
			hat := func(i int) float64 { return (x.v[i] - mean[channel(i)]) / math.Sqrt(variance[channel(i)]+eps) }
			for i := range x.v {
				k := channel(i)
				y.v[i] = hat(i)*gamma[k] + beta[k]
				g.v[i] = dy.v[i]
				if relu && y.v[i] <= 0 {
					y.v[i], g.v[i] = 0, 0
				}
				dgamma[k] += g.v[i] * hat(i)
				dbeta[k] += g.v[i]
			}
			dx := newTensor(n, c, size)
			for i := range dx.v {
				k := channel(i)
				dx.v[i] = gamma[k] / math.Sqrt(variance[k]+eps) * (g.v[i] - dbeta[k]/float64(count) - hat(i)*dgamma[k]/float64(count))
			}
			eachPool(t, func(t *testing.T, p *Workers) {
				var s Scratch
				conv := SameConv(c, c, [3]int{1, 1, 1}, [3]int{1, 1, 1}, size)
				unit := make([]float32, c*c)
				for i := range c {
					unit[i*c+i] = 1
				}
				packed := make([]float32, PackedLen(&conv))
				PackWeights(&conv, unit, packed)
				raw, ya := x.act(p), dy.act(p)
				e := Epilogue{Sum: make([]float64, c), SumSq: make([]float64, c)}
				ConvForward(p, &conv, x.act(p), packed, raw, &e, &s)
				mu, inv, rm, rv := make([]float32, c), make([]float32, c), testutil.Float32(runMean), testutil.Float32(runVar)
				BatchNormStats(e.Sum, e.SumSq, count, eps, momentum, mu, inv, rm, rv)
				testutil.Near(t, "mean", testutil.Float64(mu), mean, 1e-5)
				for k := range c {
					if want := 0.9*runVar[k] + 0.1*variance[k]*float64(count)/float64(count-1); math.Abs(float64(rv[k])-want) > 1e-5 {
						t.Fatalf("running variance %g, want %g", rv[k], want)
					}
					if want := 0.9*runMean[k] + 0.1*mean[k]; math.Abs(float64(rm[k])-want) > 1e-5 {
						t.Fatalf("running mean %g, want %g", rm[k], want)
					}
				}
				norm := Norm{Mean: mu, InvStd: inv, Gamma: testutil.Float32(gamma), Beta: testutil.Float32(beta), ReLU: relu}
				BatchNormForward(p, raw, norm, ya)
				testutil.Near(t, "batch norm", y.fromAct(p, ya).v, y.v, 1e-5)
				checkGuards(t, "batch norm", ya)
				da, dg, db := dy.act(p), make([]float32, c), make([]float32, c)
				BatchNormBackward(p, raw, da, norm, da, dg, db, &s)
				testutil.Near(t, "gamma's gradient", testutil.Float64(dg), dgamma, 1e-4)
				testutil.Near(t, "beta's gradient", testutil.Float64(db), dbeta, 1e-4)
				testutil.Near(t, "batch norm backward", dx.fromAct(p, da).v, dx.v, 1e-4)
				checkGuards(t, "batch norm backward", da)
			})
		}
	}
}

func TestAvgPoolMean(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	window := [3]int{2, 2, 7}
	for _, size := range [][3]int{{1, 1, 1}, {4, 1, 1}, {8, 2, 2}, {3, 4, 9}} {
		x := randomTensor(r, 2, 20, size)
		k := [3]int{min(2, size[0]), min(2, size[1]), min(7, size[2])}
		want, dx := make([]float64, 2*20), newTensor(2, 20, size)
		dout := randomTensor(r, 2, 20, [3]int{1, 1, 1})
		windows := (size[0] - k[0] + 1) * (size[1] - k[1] + 1) * (size[2] - k[2] + 1)
		f := 1 / float64(windows*k[0]*k[1]*k[2])
		for nc := range want {
			for d := range size[0] - k[0] + 1 {
				for h := range size[1] - k[1] + 1 {
					for w := range size[2] - k[2] + 1 {
						for tap := range k[0] * k[1] * k[2] {
							at := x.at(nc/20, nc%20, d+tap/(k[1]*k[2]), h+tap/k[2]%k[1], w+tap%k[2])
							want[nc] += x.v[at] * f
							dx.v[at] += dout.v[nc] * f
						}
					}
				}
			}
		}
		eachPool(t, func(t *testing.T, p *Workers) {
			out := make([]float32, len(want))
			AvgPoolMean(p, window, x.act(p), out)
			testutil.Near(t, "mean", testutil.Float64(out), want, 1e-6)
			da := x.act(p)
			AvgPoolMeanBackward(p, window, dout.f32(), da)
			testutil.Near(t, "mean backward", dx.fromAct(p, da).v, dx.v, 1e-6)
			checkGuards(t, "mean backward", da)
		})
	}
}

func TestSGD(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, n := range []int{1, 15, 16, 1000, sgdChunk*2 + 77} {
		start, grad := randomTensor(r, 1, n, [3]int{1, 1, 1}), randomTensor(r, 1, n, [3]int{1, 1, 1})
		eachPool(t, func(t *testing.T, p *Workers) {
			var s Scratch
			var norm float64
			for _, g := range grad.v {
				norm += g * g
			}
			if got := SumSquares(p, grad.f32(), &s); math.Abs(got-norm) > 1e-5*norm {
				t.Fatalf("sum of squares of %d: %g, want %g", n, got, norm)
			}
			w, m := start.f32(), make([]float32, n+1)
			m[n] = guard
			want, buf := append([]float64{}, start.v...), make([]float64, n)
			for step := range 3 {
				o := SGD{LR: 0.1, Momentum: 0.9, WeightDecay: 0.01, Scale: 0.5, First: step == 0}
				SGDStep(p, o, w, grad.f32(), m[:n])
				for i := range want {
					g := 0.5*grad.v[i] + 0.01*want[i]
					if step == 0 {
						buf[i] = g
					} else {
						buf[i] = 0.9*buf[i] + g
					}
					want[i] -= 0.1 * (g + 0.9*buf[i])
				}
			}
			testutil.Near(t, "parameters", testutil.Float64(w), want, 1e-6)
			testutil.Near(t, "momentum", testutil.Float64(m[:n]), buf, 1e-6)
			if m[n] != guard {
				t.Fatal("wrote beyond the momentum")
			}
		})
	}
}
