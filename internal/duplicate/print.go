package duplicate

import (
	"math"
	"math/cmplx"
)

// band is the highest frequency of a fingerprint, in periods over the scan.
const band = 8

// frequencies of a fingerprint along an axis, from -band to band.
const frequencies = 2*band + 1

// Print is a fingerprint: the phases of a scan's low spatial frequencies, of which only the half with a positive first
// non-zero one is kept, along the body's x, y and z, in 256 steps of a turn. Where a scan has too few voxels for a
// frequency there is none.
//
// Two prints are compared by phase-only correlation of a limited band (Ito et al., A Fingerprint Matching Algorithm
// Using Phase-Only Correlation, IEICE Trans. E87-A, 2004): a shift turns the phases in proportion to frequency, which
// the best shift undoes, and after which those of one picture agree, while those of different pictures do not.
type Print struct {
	Band   [3]int `json:"band"` // highest frequency along the body's x, y, z
	Phases []int8 `json:"phases"`
}

// print makes the fingerprint of what was seen.
func (v *Viewer) print() Print {
	values := v.sums
	ranks(values)
	// A window that falls to 0 at the edges keeps them from counting as structure.
	var windows [3][]float64
	for d, n := range v.cells {
		windows[d] = make([]float64, n)
		for i := range n {
			windows[d][i] = taper((float64(i) + 0.5) / float64(n))
		}
	}
	mean, weight := 0.0, 0.0
	at := 0
	for z := range v.cells[0] {
		for y := range v.cells[1] {
			for x := range v.cells[2] {
				w := windows[0][z] * windows[1][y] * windows[2][x]
				mean += w * values[at]
				weight += w
				at++
			}
		}
	}
	mean /= weight
	spectrum := make([]complex128, len(values))
	at = 0
	energy := 0.0
	for z := range v.cells[0] {
		for y := range v.cells[1] {
			for x := range v.cells[2] {
				s := windows[0][z] * windows[1][y] * windows[2][x] * (values[at] - mean)
				spectrum[at] = complex(s, 0)
				energy += s * s
				at++
			}
		}
	}
	if energy < 1e-12 {
		return Print{}
	}
	shape := v.cells
	for d := range 3 {
		spectrum, shape = transform(spectrum, shape, d, v.flip[d])
	}
	p := Print{Phases: make([]int8, halfBand)}
	for body, d := range v.order {
		p.Band[body] = min(band, (v.cells[d]-1)/2)
	}
	for i, k := range half {
		var of [3]int // by voxel axis
		for body, d := range v.order {
			of[d] = k[body]
		}
		c := spectrum[((of[0]+band)*frequencies+of[1]+band)*frequencies+of[2]+band]
		p.Phases[i] = int8(int(math.Round(cmplx.Phase(c) / (2 * math.Pi) * 256)))
	}
	return p
}

// taper is a Tukey window over 0 to 1, flat in its middle half.
func taper(x float64) float64 {
	const edge = 0.25
	if d := min(x, 1-x); d < edge {
		return 0.5 - 0.5*math.Cos(math.Pi*d/edge)
	}
	return 1
}

// transform replaces axis d by its frequencies -band to band.
func transform(in []complex128, shape [3]int, d int, flip bool) ([]complex128, [3]int) {
	n := shape[d]
	turns := make([]complex128, frequencies*n)
	for k := range frequencies {
		for i := range n {
			at := i
			if flip {
				at = n - 1 - i
			}
			turns[k*n+i] = cmplx.Rect(1, -2*math.Pi*float64(k-band)*(float64(at)+0.5)/float64(n))
		}
	}
	inner := 1
	for e := d + 1; e < 3; e++ {
		inner *= shape[e]
	}
	outer := len(in) / (n * inner)
	shape[d] = frequencies
	out := make([]complex128, outer*frequencies*inner)
	for o := range outer {
		for k := range frequencies {
			to := out[(o*frequencies+k)*inner:][:inner]
			for i := range n {
				turn := turns[k*n+i]
				for x, value := range in[(o*n+i)*inner:][:inner] {
					to[x] += turn * value
				}
			}
		}
	}
	return out, shape
}

// halfBand is how many frequencies stand for all: those of a real signal come in pairs.
const halfBand = (frequencies*frequencies*frequencies - 1) / 2

// half lists these frequencies (x, y, z).
var half = func() (all [halfBand][3]int) {
	n := 0
	for x := 0; x <= band; x++ {
		for y := -band; y <= band; y++ {
			for z := -band; z <= band; z++ {
				if x > 0 || y > 0 || y == 0 && z > 0 {
					all[n] = [3]int{x, y, z}
					n++
				}
			}
		}
	}
	return all
}()
