package augment

import (
	"math"

	"github.com/universal-classifier/uc/internal/augment/rows"
)

// spatial moves the anatomy: elastic displacement, rotation and scale composed into one resampling. Modalities are
// interpolated by cubic B-splines, 0 outside; the mask label by label (see rows.Places.Labels), 0 outside.
func (p *Pipeline) spatial(s *Spatial, data []float32) {
	var field []float32
	if s.Elastic {
		shape, axes := p.shape, 3
		if p.params.Dummy2D {
			shape[0], axes = 1, 2
		}
		field = room(&p.scratch.displacement, axes*shape[0]*shape[1]*shape[2])
		fillUniform(&p.scratch.generator, field, s.Seed)
		p.scratch.elasticField(field, shape, s.Alpha, s.Sigma, p.params.Dummy2D)
	}
	p.resample(s, field, data)
}

// matrix returns what a step of one voxel on output axis a moves the source on axis b: row vectors times
// Rx Ry Rz times the scale, as batchgenerators' rotate_coords_3d and scale_coords. In dummy-2D the plane turns.
func (s *Spatial) matrix(dummy2D bool) [3][3]float64 {
	m := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	scale := 1.
	if s.Scaling {
		scale = s.Scale
	}
	if s.Rotation {
		sx, cx := math.Sincos(s.Angles[0])
		m = [3][3]float64{{1, 0, 0}, {0, cx, -sx}, {0, sx, cx}}
		if !dummy2D {
			sy, cy := math.Sincos(s.Angles[1])
			sz, cz := math.Sincos(s.Angles[2])
			m = multiply(m, [3][3]float64{{cy, 0, sy}, {0, 1, 0}, {-sy, 0, cy}})
			m = multiply(m, [3][3]float64{{cz, -sz, 0}, {sz, cz, 0}, {0, 0, 1}})
		}
	}
	for a := range m {
		for b := range m[a] {
			m[a][b] *= scale
		}
	}
	return m
}

func multiply(a, b [3][3]float64) (c [3][3]float64) {
	for i := range c {
		for j := range c[i] {
			for k := range b {
				c[i][j] += a[i][k] * b[k][j]
			}
		}
	}
	return c
}

// resample applies the transform with a given displacement field, (3, Z, Y, X) or (2, Y, X) in dummy-2D, or none.
func (p *Pipeline) resample(s *Spatial, field, data []float32) {
	separable := !s.Rotation && field == nil
	if separable {
		p.rescale(s.Scale, data)
	}
	if !p.params.Dummy2D {
		p.gather(s, p.shape, field, data, 0, separable)
		return
	}
	plane := [3]int{1, p.shape[1], p.shape[2]}
	for z := range p.shape[0] {
		p.gather(s, plane, field, data, z*plane[1]*plane[2], separable)
	}
}

// rescale resamples the modalities by a scale alone, axis by axis.
func (p *Pipeline) rescale(scale float64, data []float32) {
	for axis, n := range p.shape {
		table := &p.scratch.axes[axis]
		table.fill(n, n, mirrored, func(i int) float64 {
			return (float64(i)-float64(n-1)/2)*scale + (float64(n)/2 - 0.5)
		})
		table.keep = axis == 0 && p.params.Dummy2D
	}
	ny, nx := p.shape[1], p.shape[2]
	for c := range p.modalities {
		channel := p.channel(data, c)
		p.scratch.separable(channel, p.shape, p.shape, mirrored, func(z, y int) []float32 {
			return channel[(z*ny+y)*nx:][:nx]
		})
	}
}

// together is how many modalities share one pass of the gather.
const together = 2

// tile is the size of the blocks of output voxels that are gathered one after the other: what a turned block reads
// stays in the second-level cache.
var tile = [3]int{32, 32, 32}

// gather resamples the part of every channel that begins at offset and has the given shape; of the mask alone where
// maskOnly.
func (p *Pipeline) gather(s *Spatial, shape [3]int, field, data []float32, offset int, maskOnly bool) {
	n := shape[0] * shape[1] * shape[2]
	part := func(c int) []float32 { return p.channel(data, c)[offset:][:n:n] }
	sc := &p.scratch
	if sc.places == nil {
		sc.places = rows.NewPlaces(tile[2])
		sc.parts, sc.rows = make([][]float32, together), make([][]float32, together)
		sc.labels = labelValues()
	}
	g := padded(shape, p.params.Dummy2D)
	m := s.matrix(p.params.Dummy2D)
	line := &sc.source
	*line = rows.Line{Size: shape, RowStride: g.row, PlaneStride: g.plane}
	mask := part(p.modalities)
	sc.encode(mask, shape, g)
	for c := 0; c < p.modalities; c += together {
		parts := sc.parts[:min(together, p.modalities-c)]
		var coefficients []float32
		if !maskOnly {
			for i := range parts {
				parts[i] = part(c + i)
			}
			coefficients = sc.coefficients(parts, shape, g)
		}
		eachTile(shape, func(z, y, x, width int) {
			at := (z*shape[1]+y)*shape[2] + x
			placeLine(line, &m, shape, z, y, x)
			if field != nil {
				displace(line, field, &m, at, n, width, p.params.Dummy2D)
			}
			sc.places.Shorten(width)
			sc.places.Locate(line)
			if !maskOnly {
				row := sc.rows[:len(parts)]
				for i := range row {
					row[i] = parts[i][at : at+width]
				}
				sc.places.Cubic(row, coefficients, g.row, g.plane)
			}
			if c == 0 {
				sc.places.Labels(mask[at:at+width], &sc.codes, codeOf(0), sc.labels)
			}
		})
		if maskOnly {
			return
		}
	}
}

// eachTile calls f for every row of every tile: width voxels from (z, y, x) on.
func eachTile(shape [3]int, f func(z, y, x, width int)) {
	for z0 := 0; z0 < shape[0]; z0 += tile[0] {
		for y0 := 0; y0 < shape[1]; y0 += tile[1] {
			for x := 0; x < shape[2]; x += tile[2] {
				width := min(tile[2], shape[2]-x)
				for z := z0; z < min(z0+tile[0], shape[0]); z++ {
					for y := y0; y < min(y0+tile[1], shape[1]); y++ {
						f(z, y, x, width)
					}
				}
			}
		}
	}
}

// placeLine sets where the output row from (z, y, x) on begins and how it runs through the source.
func placeLine(line *rows.Line, m *[3][3]float64, shape [3]int, z, y, x int) {
	fromCenter := func(i, n int) float64 { return float64(i) - float64(n-1)/2 }
	zc, yc := fromCenter(z, shape[0]), fromCenter(y, shape[1])
	line.First = fromCenter(x, shape[2])
	line.Step = m[2]
	for b := range line.Base {
		line.Base[b] = zc*m[0][b] + yc*m[1][b]
		line.Center[b] = float64(shape[b])/2 - 0.5
	}
}

// displace gives the row of nx voxels that begins at voxel at its displacement; n is the size of one axis's field.
func displace(line *rows.Line, field []float32, m *[3][3]float64, at, n, nx int, dummy2D bool) {
	for a := range 3 {
		for b := range 3 {
			line.Matrix[a][b] = float32(m[a][b])
		}
	}
	if dummy2D {
		// The field has no axis 0: any row will do with weights 0.
		line.Matrix[0] = [3]float32{}
		line.Displacement = [3][]float32{field[at : at+nx], field[at : at+nx], field[n+at : n+at+nx]}
		return
	}
	line.Displacement = [3][]float32{field[at : at+nx], field[n+at : n+at+nx], field[2*n+at : 2*n+at+nx]}
}
