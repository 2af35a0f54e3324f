package augment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

// busyParams makes every step of the chain frequent.
func busyParams(dummy2D bool, modalities int) Params {
	p := DefaultParams(dummy2D, []bool{true}, modalities)
	p.Spatial.PElastic, p.Spatial.PRotation, p.Spatial.PScale = 0.5, 0.5, 0.5
	p.Intensity = slices.Clone(p.Intensity)
	for i := range p.Intensity {
		p.Intensity[i].P = 0.5
	}
	p.ROILabels = 2
	return p
}

// A sample's result depends on the random numbers and the sample, not on what the pipeline did before.
func TestApplyIsAFunctionOfDrawAndSample(t *testing.T) {
	for _, shape := range [][3]int{{12, 17, 21}, {3, 40, 33}, {1, 20, 20}, {20, 2, 1}} {
		for _, dummy2D := range []bool{false, true} {
			for _, modalities := range []int{1, 2, 3} {
				params := busyParams(dummy2D, modalities)
				used := NewPipeline(params, shape, modalities)
				original := benchSample(shape, modalities)
				rng := rand.New(rand.NewPCG(5, 6))
				for range 10 {
					seed := rng.Uint64()
					first, second := slices.Clone(original), slices.Clone(original)
					used.Apply(rand.New(rand.NewPCG(seed, 0)), first)
					fresh := NewPipeline(params, shape, modalities)
					fresh.Apply(rand.New(rand.NewPCG(seed, 0)), second)
					if !slices.Equal(first, second) {
						t.Fatalf("%v dummy2D=%v %d modalities: a used pipeline differs from a fresh one for %+v", shape, dummy2D, modalities, fresh.drawn)
					}
					for i, v := range first {
						if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
							t.Fatalf("%v: value %d is %v for %+v", shape, i, v, fresh.drawn)
						}
					}
					for i, v := range used.channel(first, modalities) {
						if v != 0 && v != float32(1)/3 && v != float32(2)/3 {
							t.Fatalf("%v: mask voxel %d is %v", shape, i, v)
						}
					}
				}
			}
		}
	}
}

// All sets of machine instructions do the same but for rounding.
func TestLevelsAgree(t *testing.T) {
	for _, shape := range [][3]int{{23, 37, 41}, {9, 64, 48}} {
		for _, dummy2D := range []bool{false, true} {
			params := busyParams(dummy2D, 2)
			original := benchSample(shape, 2)
			rng := rand.New(rand.NewPCG(7, 8))
			for range 12 {
				seed := rng.Uint64()
				var want []float32
				for _, level := range cpulevel.Available() {
					restore := cpulevel.Use(level)
					got := slices.Clone(original)
					p := NewPipeline(params, shape, 2)
					p.Apply(rand.New(rand.NewPCG(seed, 0)), got)
					restore()
					if want == nil {
						want = got
						continue
					}
					n := p.voxels
					if d := largestDifference(got[:2*n], want[:2*n]); d > 2e-5 {
						t.Errorf("%v %v: difference %g to the portable version for %+v", shape, level, d, p.drawn)
					}
					if wrong := count(got[2*n:], want[2*n:]); wrong > n/10000 {
						t.Errorf("%v %v: %d mask voxels differ from the portable version", shape, level, wrong)
					}
				}
			}
		}
	}
}

func largestDifference(a, b []float32) (worst float64) {
	for i := range a {
		if d := math.Abs(float64(a[i]) - float64(b[i])); !(d <= worst) {
			worst = d
		}
	}
	return worst
}

func TestNoAllocationPerSample(t *testing.T) {
	shape := [3]int{16, 20, 24}
	for _, dummy2D := range []bool{false, true} {
		p := NewPipeline(busyParams(dummy2D, 2), shape, 2)
		data := benchSample(shape, 2)
		rng := rand.New(rand.NewPCG(9, 10))
		for range 30 {
			p.Apply(rng, data)
		}
		if n := testing.AllocsPerRun(30, func() { p.Apply(rng, data) }); n > 0 {
			t.Errorf("dummy2D=%v: %v allocations per sample", dummy2D, n)
		}
	}
}

// TestMemory compares the estimate with the buffers that a pipeline has after every transform.
func TestMemory(t *testing.T) {
	for _, shape := range [][3]int{{32, 32, 32}, {24, 40, 36}} {
		for _, modalities := range []int{1, 2, 4} {
			for _, dummy2D := range []bool{false, true} {
				params := busyParams(dummy2D, modalities)
				p := NewPipeline(params, shape, modalities)
				rng := rand.New(rand.NewPCG(11, 12))
				data := benchSample(shape, modalities)
				for range 60 {
					p.Apply(rng, data)
				}
				s := &p.scratch
				floats := cap(s.volume) + cap(s.displacement) + cap(s.block) + cap(s.line) + cap(s.out) + cap(s.weights) + cap(s.picked)
				held := int64(4*floats + 2*cap(s.codes.Codes))
				if got := Memory(params, shape, modalities); got < held-held/50 || got > held+held/50+1<<15 {
					t.Errorf("%v, %d modalities, dummy2D=%v: estimated %d bytes, held %d", shape, modalities, dummy2D, got, held)
				}
			}
		}
	}
}
