package augment

import (
	"math"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/augment/rows"
)

var propertyShape = [3]int{13, 18, 37}

func propertyPipeline(dummy2D bool) (p *Pipeline, sample []float32) {
	return NewPipeline(DefaultParams(dummy2D, nil, 1), propertyShape, 1), benchSample(propertyShape, 1)
}

// A quarter turn of a cube about axis 0 moves voxels onto voxels.
func TestQuarterTurnPermutes(t *testing.T) {
	const n = 16
	shape := [3]int{5, n, n}
	for _, dummy2D := range []bool{false, true} {
		eachLevel(t, func(t *testing.T) {
			p := NewPipeline(DefaultParams(dummy2D, nil, 1), shape, 1)
			original := benchSample(shape, 1)
			got := slices.Clone(original)
			// A hair less than the quarter keeps the corners within the volume.
			p.spatial(&Spatial{Rotation: true, Angles: [3]float64{math.Pi / 2 * (1 - 1e-12)}, Scale: 1}, got)
			wrong := 0
			for c := range 2 {
				for z := range shape[0] {
					for y := range n {
						for x := range n {
							at := func(y, x int) int { return ((c*shape[0]+z)*n+y)*n + x }
							// Row vectors times [[cos, -sin], [sin, cos]]: output (y, x) comes from (x, -y).
							if d := got[at(y, x)] - original[at(x, n-1-y)]; math.Abs(float64(d)) > 1e-5 {
								border := y == 0 || x == 0 || y == n-1 || x == n-1
								if !border {
									wrong++
								}
							}
						}
					}
				}
			}
			if wrong > 0 {
				t.Errorf("dummy2D=%v: %d voxels differ", dummy2D, wrong)
			}
		})
	}
}

// A linear ramp stays linear under a scale within the volume: splines reproduce polynomials.
func TestScaleOfRampIsRamp(t *testing.T) {
	p, sample := propertyPipeline(false)
	nz, ny, nx := propertyShape[0], propertyShape[1], propertyShape[2]
	value := func(z, y, x float64) float64 { return 0.3*z - 0.2*y + 0.1*x }
	each := func(f func(i, z, y, x int)) {
		for z := range nz {
			for y := range ny {
				for x := range nx {
					f((z*ny+y)*nx+x, z, y, x)
				}
			}
		}
	}
	each(func(i, z, y, x int) { sample[i] = float32(value(float64(z), float64(y), float64(x))) })
	const factor = 0.5
	p.spatial(&Spatial{Scaling: true, Scale: factor}, sample)
	each(func(i, z, y, x int) {
		from := func(i, n int) float64 { return (float64(i)-float64(n-1)/2)*factor + float64(n-1)/2 }
		if want := value(from(z, nz), from(y, ny), from(x, nx)); math.Abs(float64(sample[i])-want) > 1e-2 {
			t.Fatalf("voxel %d %d %d is %v, want %v", z, y, x, sample[i], want)
		}
	})
}

// The two ways to resample, axis by axis and by gathering, agree.
func TestSeparableScaleEqualsGather(t *testing.T) {
	for _, dummy2D := range []bool{false, true} {
		for _, scale := range []float64{0.85, 1, 1.25} {
			p, separable := propertyPipeline(dummy2D)
			gathered := slices.Clone(separable)
			p.spatial(&Spatial{Scaling: true, Scale: scale}, separable)
			p.spatial(&Spatial{Scaling: true, Scale: scale, Rotation: true}, gathered) // by no angle
			if d := largestDifference(separable, gathered); d > 1e-5 {
				t.Errorf("dummy2D=%v scale %v: difference %g", dummy2D, scale, d)
			}
		}
	}
}

// A field of whole voxels shifts; what comes from outside is 0.
func TestDisplacementShifts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		p, sample := propertyPipeline(false)
		original := slices.Clone(sample)
		n := p.voxels
		field := make([]float32, 3*n)
		for i := range n {
			field[n+i], field[2*n+i] = 2, -3
		}
		p.resample(&Spatial{Elastic: true, Scale: 1}, field, sample)
		ny, nx := propertyShape[1], propertyShape[2]
		for i := range sample {
			y, x := i/nx%ny, i%nx
			want := float32(0)
			if y+2 < ny && x-3 >= 0 {
				want = original[i+2*nx-3]
			}
			if math.Abs(float64(sample[i]-want)) > 1e-5 {
				t.Fatalf("value %d is %v, want %v", i, sample[i], want)
			}
		}
	})
}

func TestConstantChannelStays(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, transform := range []Transform{Blur, Contrast, LowResolution, GammaInverted, Gamma} {
			p, sample := propertyPipeline(false)
			channel := p.channel(sample, 0)
			for i := range channel {
				channel[i] = -3.25
			}
			p.intensity(transform, Channel{Apply: true, Value: 0.8}, channel)
			for i, v := range channel {
				if math.Abs(float64(v)+3.25) > 2e-6 {
					t.Fatalf("%v: voxel %d of a constant channel became %v", transform, i, v)
				}
			}
		}
	})
}

// Intensity far from 0 keeps its digits where statistics are retained.
func TestGammaRetainsStatistics(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, offset := range []float32{0, 1000} {
			p, sample := propertyPipeline(false)
			channel := p.channel(sample, 0)
			for i := range channel {
				channel[i] += offset
			}
			before := rows.Describe(channel)
			gamma(channel, 0.7, false, true)
			after := rows.Describe(channel)
			limit := 1e-5 + 1e-6*float64(offset)
			if math.Abs(after.Mean-before.Mean) > limit || math.Abs(after.SD-before.SD) > limit {
				t.Errorf("offset %v: %+v became %+v", offset, before, after)
			}
		}
	})
}

func TestMirrorTwiceIsNothing(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for axes := range 8 {
			p, sample := propertyPipeline(false)
			original := slices.Clone(sample)
			flips := [3]bool{axes&1 != 0, axes&2 != 0, axes&4 != 0}
			p.mirror(flips, sample)
			nz, ny, nx := propertyShape[0], propertyShape[1], propertyShape[2]
			for i, v := range sample {
				c, z, y, x := i/p.voxels, i/(ny*nx)%nz, i/nx%ny, i%nx
				if flips[0] {
					z = nz - 1 - z
				}
				if flips[1] {
					y = ny - 1 - y
				}
				if flips[2] {
					x = nx - 1 - x
				}
				if want := original[((c*nz+z)*ny+y)*nx+x]; v != want {
					t.Fatalf("flips %v: value %d is %v, want %v", flips, i, v, want)
				}
			}
		}
	})
}

func TestValidationChangesTheMaskAlone(t *testing.T) {
	params := DefaultParams(false, []bool{true}, 1)
	params.ROILabels = 2
	p := NewPipeline(params, [3]int{1, 1, 4}, 1)
	data := []float32{5, 6, 7, 8, -1, 0, 1, 2}
	p.ApplyValidation(data)
	if want := []float32{5, 6, 7, 8, 0, 0, 1. / 3, 2. / 3}; !slices.Equal(data, want) {
		t.Errorf("%v, want %v", data, want)
	}
}

func TestWrongSizesPanic(t *testing.T) {
	p := NewPipeline(DefaultParams(false, nil, 1), [3]int{2, 2, 2}, 1)
	defer func() {
		if recover() == nil {
			t.Error("a sample without mask was taken")
		}
	}()
	p.ApplyValidation(make([]float32, 8))
}
