package augment

import "math/rand/v2"

// Seed starts a noise field: the field is a function of its seed alone.
type Seed [2]uint64

// Spatial holds the pinned parameters of the spatial transform; the zero value with Scale 1 changes nothing.
type Spatial struct {
	Elastic  bool
	Alpha    float64 // magnitude of the field
	Sigma    float64 // smoothness in voxels
	Seed     Seed    // of the noise that is smoothed
	Rotation bool
	Angles   [3]float64 // radians about axes 0, 1, 2; in dummy-2D the first turns the plane
	Scaling  bool
	Scale    float64 // coordinates are multiplied by it
}

// active reports whether any part of the transform was drawn.
func (s *Spatial) active() bool { return s.Elastic || s.Rotation || s.Scaling }

// Channel holds the pinned parameter of one intensity transform for one channel.
type Channel struct {
	Apply bool
	Value float64
	Seed  Seed // noise only
}

// Draw holds the pinned parameters of a whole chain for one sample.
type Draw struct {
	Spatial   Spatial
	Intensity [][]Channel // one row per step of Params.Intensity, one entry per modality
	Mirror    [3]bool
}

func newDraw(p *Params, modalities int) Draw {
	d := Draw{Intensity: make([][]Channel, len(p.Intensity))}
	all := make([]Channel, len(p.Intensity)*modalities)
	for i := range d.Intensity {
		d.Intensity[i], all = all[:modalities:modalities], all[modalities:]
	}
	return d
}

// draw fills d with parameters from p's laws.
func (d *Draw) draw(p *Params, rng *rand.Rand) {
	d.Spatial = p.Spatial.draw(p.Dummy2D, rng)
	for i := range p.Intensity {
		p.Intensity[i].draw(d.Intensity[i], rng)
	}
	for axis, probability := range p.PMirror {
		d.Mirror[axis] = rng.Float64() < probability
	}
}

func (l *SpatialLaw) draw(dummy2D bool, rng *rand.Rand) Spatial {
	s := Spatial{Scale: 1}
	if rng.Float64() < l.PElastic {
		s.Elastic = true
		s.Alpha = l.Alpha.draw(Uniform, rng)
		s.Sigma = l.Sigma.draw(Uniform, rng)
		s.Seed = drawSeed(rng)
	}
	if rng.Float64() < l.PRotation {
		s.Rotation = true
		for axis := range s.Angles {
			if axis == 0 || !dummy2D {
				s.Angles[axis] = l.Angles[axis].draw(Uniform, rng)
			}
		}
	}
	if rng.Float64() < l.PScale {
		s.Scaling = true
		s.Scale = l.Scale.draw(AroundOne, rng)
	}
	return s
}

func (s *Step) draw(channels []Channel, rng *rand.Rand) {
	sample := rng.Float64() < s.P
	var shared float64
	if sample && s.Shared {
		shared = s.Range.draw(s.Law, rng)
	}
	for c := range channels {
		channels[c] = Channel{}
		if !sample || rng.Float64() >= s.PChannel {
			continue
		}
		channels[c].Apply = true
		if s.Shared {
			channels[c].Value = shared
		} else {
			channels[c].Value = s.Range.draw(s.Law, rng)
		}
		if s.Transform == Noise {
			channels[c].Seed = drawSeed(rng)
		}
	}
}

func (r Range) draw(law Law, rng *rand.Rand) float64 {
	low, high := r.Low, r.High
	if law == AroundOne {
		if rng.Float64() < 0.5 && low < 1 {
			high = 1
		} else {
			low = max(low, 1)
		}
	}
	return low + (high-low)*rng.Float64()
}

func drawSeed(rng *rand.Rand) Seed { return Seed{rng.Uint64(), rng.Uint64()} }
