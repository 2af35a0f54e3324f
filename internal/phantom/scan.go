package phantom

import (
	"math"
	"math/rand/v2"

	"github.com/universal-classifier/uc/internal/volume"
)

var (
	lesionNames = []string{"no lesion", "one lesion or more"}
	sizeNames   = []string{"small organ", "medium organ", "large organ"}
	roiNames    = []string{"background", "cortex", "medulla"}
)

// fieldOfView is the edge of every scan in mm; the number of voxels follows from the spacing.
const fieldOfView = 40

// organRadius is the mean half axis of the organ in mm for each class of Size. The steps are wider than the spread
// within a class (+-3 %), and than most of what scaling does in augmentation.
var organRadius = [3]float64{8.2, 10.2, 12.2}

// Brightness of the tissues, in units of the scanner before its gain.
const (
	tissueBody    = 110
	tissueCortex  = 260
	tissueMedulla = 200
	textureRMS    = 16
	noiseSD       = 16
)

// vec is a point or direction in mm: z, y, x.
type vec [3]float64

// ellipsoid is a rotated ellipsoid.
type ellipsoid struct {
	centre vec
	axes   [3]vec // orthonormal
	radii  vec
}

// depth is below 1 inside, 1 on the surface, and grows in proportion to the distance from the centre.
func (e *ellipsoid) depth(p vec) float64 {
	sum := 0.0
	for i, axis := range e.axes {
		d := 0.0
		for j := range p {
			d += (p[j] - e.centre[j]) * axis[j]
		}
		d /= e.radii[i]
		sum += d * d
	}
	return math.Sqrt(sum)
}

// at is the point in direction u (in the ellipsoid's own axes, scaled by its radii) from the centre.
func (e *ellipsoid) at(u vec) vec {
	p := e.centre
	for i, axis := range e.axes {
		for j := range p {
			p[j] += u[i] * e.radii[i] * axis[j]
		}
	}
	return p
}

// blob is a round spot with a soft edge.
type blob struct {
	ellipsoid
	contrast float64
}

// wave is one component of a texture.
type wave struct {
	k     vec // radians per mm
	phase float64
}

// scan draws the subject: voxels of the image, the mask, which carries the geometry, and where the lesions are, 1, 2
// and so on.
func (s subject) scan() (image []int16, mask, lesions *volume.Mask) {
	rng := rand.New(rand.NewPCG(s.seed[0], s.seed[1]))
	g := geometry(rng)
	organ := ellipsoid{centre: jitter(rng, vec{fieldOfView / 2, fieldOfView / 2, fieldOfView / 2}, 2), axes: rotation(rng)}
	for i := range organ.radii {
		organ.radii[i] = organRadius[s.size] * uniform(rng, 0.97, 1.03) * [3]float64{1.08, 1, 0.92}[i]
	}
	body := ellipsoid{centre: vec{fieldOfView / 2, fieldOfView / 2, fieldOfView / 2}, axes: [3]vec{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		radii: vec{uniform(rng, 21, 24), uniform(rng, 18, 20), uniform(rng, 18, 20)}}
	medulla := organ
	medulla.centre = organ.at(vec{uniform(rng, -0.15, 0.15), uniform(rng, -0.15, 0.15), uniform(rng, -0.15, 0.15)})
	for i := range medulla.radii {
		medulla.radii[i] *= uniform(rng, 0.5, 0.62)
	}
	blobs := s.blobs(rng, &organ)
	waves := texture(rng)
	gain := uniform(rng, 0.8, 1.25) // scanners differ: no brightness means the same in two scans

	image = make([]int16, g.Voxels())
	mask = &volume.Mask{Geometry: g, Data: make([]int16, g.Voxels())}
	lesions = &volume.Mask{Geometry: g, Data: make([]int16, g.Voxels())}
	i := 0
	for z := range g.Size[0] {
		for y := range g.Size[1] {
			for x := range g.Size[2] {
				p := vec{(float64(z) + 0.5) * g.Spacing[0], (float64(y) + 0.5) * g.Spacing[1], (float64(x) + 0.5) * g.Spacing[2]}
				v := 0.0
				if body.depth(p) < 1 {
					v = tissueBody
				}
				if organ.depth(p) < 1 {
					v, mask.Data[i] = tissueCortex, 1
					if medulla.depth(p) < 1 {
						v, mask.Data[i] = tissueMedulla, 2
					}
					for b := range blobs {
						depth := blobs[b].depth(p)
						v += blobs[b].contrast * soft(depth)
						if depth < 1 && blobs[b].contrast > 0 {
							lesions.Data[i] = int16(b + 1)
						}
					}
				}
				if v > 0 {
					for _, w := range waves {
						v += textureRMS * math.Sqrt(2/float64(len(waves))) * math.Cos(w.k[0]*p[0]+w.k[1]*p[1]+w.k[2]*p[2]+w.phase)
					}
				}
				// Magnitude images have Rician noise: that of a complex signal.
				v = math.Hypot(v+noiseSD*rng.NormFloat64(), noiseSD*rng.NormFloat64())
				image[i] = int16(math.Round(v * gain))
				i++
			}
		}
	}
	return image, mask, lesions
}

// geometry draws spacing and place; the size follows from the field of view.
func geometry(rng *rand.Rand) volume.Geometry {
	plane, slice := uniform(rng, 0.84, 1.1), uniform(rng, 0.9, 1.1)
	g := volume.Geometry{
		Spacing:   [3]float64{round2(slice), round2(plane), round2(plane)},
		Origin:    [3]float64{round2(uniform(rng, -60, -20)), round2(uniform(rng, -60, -20)), round2(uniform(rng, -60, -20))},
		Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1},
	}
	for i := range g.Size {
		g.Size[i] = int(math.Round(fieldOfView / g.Spacing[i]))
	}
	return g
}

// blobs draws one to three bright lesions if the subject has any, and, in every second scan of either class, a dark
// cyst, so that "something round is there" is not the answer.
func (s subject) blobs(rng *rand.Rand, organ *ellipsoid) []blob {
	var out []blob
	add := func(lo, hi, contrast float64) {
		share := uniform(rng, lo, hi) // of the organ's mean radius
		b := blob{ellipsoid{axes: rotation(rng)}, contrast}
		for i := range b.radii {
			b.radii[i] = share * organRadius[s.size] * uniform(rng, 0.85, 1.15)
		}
		far := uniform(rng, 0.1, 0.95-share*1.15) // wholly inside the organ
		u := rotation(rng)[0]
		b.centre = organ.at(vec{u[0] * far, u[1] * far, u[2] * far})
		out = append(out, b)
	}
	if s.lesion == 1 {
		for range 1 + rng.IntN(3) {
			add(0.27, 0.42, uniform(rng, 260, 360))
		}
	}
	if rng.IntN(2) == 1 {
		add(0.2, 0.32, uniform(rng, -150, -100))
	}
	return out
}

// texture is a sum of plane waves with wavelengths of 5 to 14 mm.
func texture(rng *rand.Rand) []wave {
	waves := make([]wave, 6)
	for i := range waves {
		length := 2 * math.Pi / uniform(rng, 5, 14)
		u := rotation(rng)[0]
		waves[i] = wave{vec{u[0] * length, u[1] * length, u[2] * length}, uniform(rng, 0, 2*math.Pi)}
	}
	return waves
}

// soft falls from 1 to 0 around the surface of a blob, over about a voxel.
func soft(depth float64) float64 { return 1 / (1 + math.Exp((depth-1)*12)) }

func uniform(rng *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }

func jitter(rng *rand.Rand, p vec, by float64) vec {
	for i := range p {
		p[i] += uniform(rng, -by, by)
	}
	return p
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }

// rotation draws three orthonormal axes, uniformly: columns of the matrix of a random unit quaternion.
func rotation(rng *rand.Rand) [3]vec {
	var q [4]float64
	norm := 0.0
	for norm < 1e-6 {
		norm = 0
		for i := range q {
			q[i] = rng.NormFloat64()
			norm += q[i] * q[i]
		}
	}
	norm = math.Sqrt(norm)
	a, b, c, d := q[0]/norm, q[1]/norm, q[2]/norm, q[3]/norm
	return [3]vec{
		{a*a + b*b - c*c - d*d, 2 * (b*c + a*d), 2 * (b*d - a*c)},
		{2 * (b*c - a*d), a*a + c*c - b*b - d*d, 2 * (c*d + a*b)},
		{2 * (b*d + a*c), 2 * (c*d - a*b), a*a + d*d - b*b - c*c},
	}
}
