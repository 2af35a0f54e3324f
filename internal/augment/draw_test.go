package augment

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// draws is how many samples the laws are tested on.
const draws = 10000

// frequency fails if a share of draws is further from a probability than five standard errors.
func frequency(t *testing.T, what string, count, of int, probability float64) {
	t.Helper()
	share := float64(count) / float64(of)
	if limit := 5 * math.Sqrt(probability*(1-probability)/float64(of)); math.Abs(share-probability) > limit {
		t.Errorf("%s: %d of %d, expected a share of %g", what, count, of, probability)
	}
}

// distribution fails if values do not follow a distribution function (Kolmogorov and Smirnov, at about 1e-6).
func distribution(t *testing.T, what string, values []float64, cdf func(float64) float64) {
	t.Helper()
	sort.Float64s(values)
	n := float64(len(values))
	var worst float64
	for i, v := range values {
		f := cdf(v)
		worst = max(worst, f-float64(i)/n, float64(i+1)/n-f)
	}
	if limit := 2.7 / math.Sqrt(n); worst > limit {
		t.Errorf("%s: %d values are %.4f off their distribution, limit %.4f", what, len(values), worst, limit)
	}
}

func uniform(r Range) func(float64) float64 {
	return func(v float64) float64 { return min(max((v-r.Low)/(r.High-r.Low), 0), 1) }
}

// aroundOne is half of the weight evenly below one and half above.
func aroundOne(r Range) func(float64) float64 {
	below, above := uniform(Range{r.Low, 1}), uniform(Range{1, r.High})
	return func(v float64) float64 { return (below(v) + above(v)) / 2 }
}

func TestSpatialLaws(t *testing.T) {
	for _, dummy2D := range []bool{false, true} {
		law := DefaultParams(dummy2D, nil, 1).Spatial
		rng := rand.New(rand.NewPCG(11, 12))
		var alpha, sigma, scale []float64
		var angles [3][]float64
		together := 0
		for range draws {
			s := law.draw(dummy2D, rng)
			if s.Elastic {
				alpha, sigma = append(alpha, s.Alpha), append(sigma, s.Sigma)
			}
			if s.Rotation {
				for a, v := range s.Angles {
					angles[a] = append(angles[a], v)
				}
			}
			if s.Scaling {
				scale = append(scale, s.Scale)
			}
			if s.Elastic && s.Rotation && s.Scaling {
				together++
			}
		}
		// nnU-Net's default_3D_augmentation_params, and in dummy-2D its 2D overrides.
		const third = 15. / 180 * math.Pi
		wantAlpha, wantAngle := Range{0, 900}, Range{-third, third}
		if dummy2D {
			wantAlpha, wantAngle = Range{0, 200}, Range{-math.Pi, math.Pi}
		}
		frequency(t, "elastic", len(alpha), draws, 0.2)
		frequency(t, "rotation", len(angles[0]), draws, 0.2)
		frequency(t, "scale", len(scale), draws, 0.2)
		frequency(t, "all three", together, draws, 0.008)
		distribution(t, "alpha", alpha, uniform(wantAlpha))
		distribution(t, "sigma", sigma, uniform(Range{9, 13}))
		distribution(t, "scale", scale, aroundOne(Range{0.85, 1.25}))
		distribution(t, "angle 0", angles[0], uniform(wantAngle))
		for _, axis := range angles[1:] {
			if !dummy2D {
				distribution(t, "angle", axis, uniform(wantAngle))
				continue
			}
			for _, v := range axis {
				if v != 0 {
					t.Fatalf("dummy-2D turned an axis in the plane by %v", v)
				}
			}
		}
	}
}

func TestIntensityLaws(t *testing.T) {
	const modalities = 2
	p := NewPipeline(DefaultParams(false, nil, modalities), [3]int{1, 1, 1}, modalities)
	// The order and the numbers of nnU-Net's training chain.
	want := []struct {
		transform   Transform
		p, pChannel float64
		cdf         func(float64) float64
	}{
		{Noise, 0.1, 1, uniform(Range{0, 0.1})},
		{Blur, 0.2, 0.5, uniform(Range{0.5, 1})},
		{Brightness, 0.15, 1, uniform(Range{0.75, 1.25})},
		{Contrast, 0.15, 1, aroundOne(Range{0.75, 1.25})},
		{LowResolution, 0.25, 0.5, uniform(Range{0.5, 1})},
		{GammaInverted, 0.1, 1, aroundOne(Range{0.7, 1.5})},
		{Gamma, 0.3, 1, aroundOne(Range{0.7, 1.5})},
	}
	if len(p.params.Intensity) != len(want) {
		t.Fatalf("%d steps, want %d", len(p.params.Intensity), len(want))
	}
	rng := rand.New(rand.NewPCG(13, 14))
	values := make([][]float64, len(want))
	first, both, same := make([]int, len(want)), make([]int, len(want)), make([]int, len(want))
	var mirrored [3]int
	seeds := map[Seed]bool{}
	for range draws {
		d := p.Draw(rng)
		for i, channels := range d.Intensity {
			a, b := channels[0], channels[1]
			if a.Apply {
				first[i]++
				values[i] = append(values[i], a.Value)
			}
			if a.Apply && b.Apply {
				both[i]++
				if a.Value == b.Value {
					same[i]++
				}
				if want[i].transform == Noise {
					seeds[a.Seed], seeds[b.Seed] = true, true
				}
			}
		}
		for a, m := range d.Mirror {
			if m {
				mirrored[a]++
			}
		}
	}
	for i, w := range want {
		name := w.transform.String()
		if p.params.Intensity[i].Transform != w.transform {
			t.Errorf("step %d is %v, want %s", i, p.params.Intensity[i].Transform, name)
		}
		frequency(t, name, first[i], draws, w.p*w.pChannel)
		frequency(t, name+" on both channels", both[i], draws, w.p*w.pChannel*w.pChannel)
		distribution(t, name, values[i], w.cdf)
		if shared := w.transform == Noise; shared && same[i] != both[i] || !shared && same[i] > 0 {
			t.Errorf("%s: %d of %d pairs of channels have one value", name, same[i], both[i])
		}
	}
	if len(seeds) != 2*both[0] {
		t.Errorf("%d different noise fields for %d samples", len(seeds), both[0])
	}
	for a, count := range mirrored {
		frequency(t, "mirror axis "+string(rune('0'+a)), count, draws, 0.5)
	}
}

func TestNoiseIsNormal(t *testing.T) {
	const n = 100003
	eachLevel(t, func(t *testing.T) {
		field := make([]float32, n)
		p := NewPipeline(DefaultParams(false, nil, 1), [3]int{1, 1, n}, 1)
		p.addNoise(field, 1, Seed{1, 2})
		values := make([]float64, n)
		for i, v := range field {
			values[i] = float64(v)
		}
		// Neighbours, and the values of one pair of the method, are independent.
		for _, lag := range []int{1, 2, 8, 16, 32} {
			var sum float64
			for i := lag; i < n; i++ {
				sum += values[i] * values[i-lag]
			}
			if r := sum / n; math.Abs(r) > 5/math.Sqrt(n) {
				t.Errorf("correlation %g at distance %d", r, lag)
			}
		}
		distribution(t, "noise", values, func(v float64) float64 { return math.Erfc(-v/math.Sqrt2) / 2 })
	})
}

func TestElasticNoiseIsUniform(t *testing.T) {
	const n = 100003
	eachLevel(t, func(t *testing.T) {
		field := make([]float32, n)
		p := NewPipeline(DefaultParams(false, nil, 1), [3]int{1, 1, n}, 1)
		fillUniform(&p.scratch.generator, field, Seed{3, 4})
		values := make([]float64, n)
		for i, v := range field {
			values[i] = float64(v)
		}
		distribution(t, "uniform noise", values, uniform(Range{-1, 1}))
	})
}
