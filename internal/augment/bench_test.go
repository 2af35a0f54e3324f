package augment

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchSample returns a smooth textured sample with a mask of three labels, as a preprocessed case looks.
func benchSample(shape [3]int, modalities int) []float32 {
	n := shape[0] * shape[1] * shape[2]
	data := make([]float32, (modalities+1)*n)
	rng := rand.New(rand.NewPCG(1, 2))
	p := NewPipeline(DefaultParams(false, nil, modalities), shape, modalities)
	for c := range modalities {
		channel := p.channel(data, c)
		p.addNoise(channel, 1, Seed{rng.Uint64(), rng.Uint64()})
		p.blur(channel, 1)
	}
	mask := p.channel(data, modalities)
	for z := range shape[0] {
		for y := range shape[1] {
			for x := range shape[2] {
				var r float64
				for axis, i := range [3]int{z, y, x} {
					d := 2*float64(i)/float64(shape[axis]) - 1
					r += d * d
				}
				label := float32(0)
				switch {
				case r < 0.1:
					label = 2
				case r < 0.4:
					label = 1
				case r > 1.2:
					label = -1
				}
				mask[(z*shape[1]+y)*shape[2]+x] = label
			}
		}
	}
	return data
}

var benchShapes = [][3]int{{96, 96, 96}, {160, 160, 160}}

// BenchmarkChain is the mean over the real probabilities: one sample per iteration.
func BenchmarkChain(b *testing.B) {
	for _, shape := range benchShapes {
		b.Run(fmt.Sprintf("2x%d", shape[0]), func(b *testing.B) {
			original := benchSample(shape, 2)
			data := make([]float32, len(original))
			p := NewPipeline(DefaultParams(false, nil, 2), shape, 2)
			rng := rand.New(rand.NewPCG(3, 4))
			for b.Loop() {
				copy(data, original)
				p.Apply(rng, data)
			}
		})
	}
}

// BenchmarkTransform is each transform alone, on all channels.
func BenchmarkTransform(b *testing.B) {
	angles := [3]float64{0.15, -0.1, 0.2}
	cases := []struct {
		name string
		draw func(d *Draw)
	}{
		{"rotation", func(d *Draw) { d.Spatial = Spatial{Rotation: true, Angles: angles, Scale: 1} }},
		{"scale", func(d *Draw) { d.Spatial = Spatial{Scaling: true, Scale: 1.1} }},
		{"elastic", func(d *Draw) { d.Spatial = Spatial{Elastic: true, Alpha: 450, Sigma: 11, Scale: 1} }},
		{"elastic_rotation_scale", func(d *Draw) {
			d.Spatial = Spatial{Elastic: true, Alpha: 450, Sigma: 11, Rotation: true, Angles: angles, Scaling: true, Scale: 1.1}
		}},
		{"noise", intensityDraw(Noise, 0.05)},
		{"blur", intensityDraw(Blur, 0.75)},
		{"brightness", intensityDraw(Brightness, 1.1)},
		{"contrast", intensityDraw(Contrast, 1.1)},
		{"lowres", intensityDraw(LowResolution, 0.75)},
		{"gamma_inverted", intensityDraw(GammaInverted, 1.2)},
		{"gamma", intensityDraw(Gamma, 1.2)},
		{"mirror", func(d *Draw) { d.Mirror = [3]bool{true, true, true} }},
	}
	for _, shape := range benchShapes {
		original := benchSample(shape, 2)
		data := make([]float32, len(original))
		for _, c := range cases {
			b.Run(fmt.Sprintf("%s/2x%d", c.name, shape[0]), func(b *testing.B) {
				p := NewPipeline(DefaultParams(false, nil, 2), shape, 2)
				d := newDraw(&p.params, 2)
				c.draw(&d)
				copy(data, original)
				for b.Loop() {
					// The transform alone, without the mask's last steps, which belong to no transform.
					if d.Spatial.active() {
						p.spatial(&d.Spatial, data)
					}
					for i, step := range p.params.Intensity {
						for ch, channel := range d.Intensity[i] {
							if channel.Apply {
								p.intensity(step.Transform, channel, p.channel(data, ch))
							}
						}
					}
					p.mirror(d.Mirror, data)
				}
			})
		}
	}
}

func intensityDraw(t Transform, value float64) func(*Draw) {
	return func(d *Draw) {
		for i, step := range DefaultParams(false, nil, 2).Intensity {
			if step.Transform == t {
				for c := range d.Intensity[i] {
					d.Intensity[i][c] = Channel{Apply: true, Value: value, Seed: Seed{1, 2}}
				}
			}
		}
	}
}

// BenchmarkMemory is the ceiling of transforms that touch every voxel once: copying both channels, in bytes read and
// written per second.
func BenchmarkMemory(b *testing.B) {
	for _, shape := range benchShapes {
		b.Run(fmt.Sprintf("copy/2x%d", shape[0]), func(b *testing.B) {
			n := 2 * shape[0] * shape[1] * shape[2]
			from, to := make([]float32, n), make([]float32, n)
			b.SetBytes(int64(2 * 4 * n))
			for b.Loop() {
				copy(to, from)
			}
		})
	}
}
