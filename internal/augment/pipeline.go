package augment

import (
	"fmt"
	"math/rand/v2"
)

// Pipeline applies a chain to samples of one shape. It owns all memory that the chain needs, so a sample
// costs no allocation; one goroutine uses a Pipeline at a time.
type Pipeline struct {
	params     Params
	shape      [3]int // z, y, x
	voxels     int
	modalities int
	drawn      Draw
	scratch    scratch
}

// NewPipeline returns a pipeline for samples (modalities+1, shape...). Its results depend on p, the sample and the
// random numbers alone.
func NewPipeline(p Params, shape [3]int, modalities int) *Pipeline {
	if modalities < 1 || shape[0] < 1 || shape[1] < 1 || shape[2] < 1 || len(p.MaskForNorm) > modalities {
		panic(fmt.Sprintf("augment: %d modalities (%d with a mask rule) of shape %v", modalities, len(p.MaskForNorm), shape))
	}
	return &Pipeline{
		params: p, shape: shape, voxels: shape[0] * shape[1] * shape[2], modalities: modalities,
		drawn: newDraw(&p, modalities),
	}
}

// Apply augments data (modalities+1, Z, Y, X) in place with parameters drawn from rng. The mask comes back without
// negative labels, divided as Params.ROILabels says.
func (p *Pipeline) Apply(rng *rand.Rand, data []float32) {
	p.drawn.draw(&p.params, rng)
	p.ApplyDraw(&p.drawn, data)
}

// Draw draws the parameters of one sample. The result is valid until the next Draw or Apply.
func (p *Pipeline) Draw(rng *rand.Rand) *Draw {
	p.drawn.draw(&p.params, rng)
	return &p.drawn
}

// ApplyDraw augments data in place with pinned parameters.
func (p *Pipeline) ApplyDraw(d *Draw, data []float32) {
	p.check(data)
	if d.Spatial.active() {
		p.spatial(&d.Spatial, data)
	}
	for i, step := range p.params.Intensity {
		for c, channel := range d.Intensity[i] {
			if channel.Apply {
				p.intensity(step.Transform, channel, p.channel(data, c))
			}
		}
	}
	p.mirror(d.Mirror, data)
	p.maskOutside(data)
	p.finishMask(data)
}

// ApplyValidation does to a validation sample what the reference does: the mask loses label -1 and is divided
// as in Apply; the modalities stay.
func (p *Pipeline) ApplyValidation(data []float32) {
	p.check(data)
	p.finishMask(data)
}

func (p *Pipeline) intensity(t Transform, c Channel, channel []float32) {
	switch t {
	case Noise:
		p.addNoise(channel, c.Value, c.Seed)
	case Blur:
		p.blur(channel, c.Value)
	case Brightness:
		brightness(channel, c.Value)
	case Contrast:
		contrast(channel, c.Value)
	case LowResolution:
		p.lowResolution(channel, c.Value)
	case GammaInverted:
		gamma(channel, c.Value, true, true)
	case Gamma:
		gamma(channel, c.Value, false, true)
	default:
		panic("augment: no such transform: " + t.String())
	}
}

// channel returns channel c of a sample; c == modalities is the mask.
func (p *Pipeline) channel(data []float32, c int) []float32 {
	return data[c*p.voxels : (c+1)*p.voxels : (c+1)*p.voxels]
}

func (p *Pipeline) check(data []float32) {
	if want := (p.modalities + 1) * p.voxels; len(data) != want {
		panic(fmt.Sprintf("augment: sample of %d values, want %d: (%d modalities + mask) x %v", len(data), want, p.modalities, p.shape))
	}
}

// Memory is how many bytes a pipeline for such samples holds once all of its transforms were drawn.
func Memory(p Params, shape [3]int, modalities int) int64 {
	gathered, axes := shape, 3 // dummy-2D displaces and gathers plane by plane
	if p.Dummy2D {
		gathered[0], axes = 1, 2
	}
	voxels := gathered[0] * gathered[1] * gathered[2]
	g := padded(gathered, p.Dummy2D)
	volume := max(min(modalities, together)*g.size(), voxels)
	const taps = 64 // reach of the widest filter, about
	block := (max(gathered[0], shape[1]) + 2*taps) * shape[2]
	const byteCodes = 2 // the mask's labels and its cells
	return int64(4*(volume+axes*voxels+block) + byteCodes*g.size())
}
