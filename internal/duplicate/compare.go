package duplicate

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// maxShift is the largest shift between two copies that is looked for, as a share of the scan.
const maxShift = 0.25

// turn holds cosine and sine of the 256 steps of a turn.
var turn = func() (t [256][2]float32) {
	for i := range t {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 256)
		t[i] = [2]float32{float32(cos), float32(sin)}
	}
	return t
}()

// coarse is the band that shifts are looked for in, and steps the shifts along an axis that are tried, step apart.
const (
	coarse      = 4
	coarseCount = 2*coarse + 1
	step        = 1.0 / 16
	steps       = 2*4 + 1
)

// Comparer compares fingerprints; it holds what that needs, and is for one goroutine.
type Comparer struct {
	cross  [coarseCount * coarseCount * coarseCount][2]float32
	first  [steps * coarseCount * coarseCount][2]float32
	second [steps * steps * coarseCount][2]float32

	count      int // of the frequencies that two prints have in common
	difference [halfBand]uint8
	frequency  [halfBand][3]uint8
}

// coarseShift are cosine and sine of the phase that frequency k has at a shift.
var coarseShift = func() (t [steps][coarseCount][2]float32) {
	for s := range steps {
		for k := range coarseCount {
			sin, cos := math.Sincos(2 * math.Pi * float64(k-coarse) * float64(s-steps/2) * step)
			t[s][k] = [2]float32{float32(cos), float32(sin)}
		}
	}
	return t
}()

// Coarse is the correlation in a narrow band at the best of a grid of shifts, and that shift.
func (c *Comparer) Coarse(a, b *Print) (best float32, shift [3]float64) {
	clear(c.cross[:])
	var limit [3]int
	for d := range 3 {
		limit[d] = min(a.Band[d], b.Band[d], coarse)
	}
	n := 0
	for i, k := range half {
		if k[0] > limit[0] || abs(k[1]) > limit[1] || abs(k[2]) > limit[2] {
			continue
		}
		t := turn[uint8(a.Phases[i]-b.Phases[i])]
		c.cross[((k[0]+coarse)*coarseCount+k[1]+coarse)*coarseCount+k[2]+coarse] = t
		n++
	}
	if n == 0 {
		return 0, shift
	}
	// The real part of the sum over the half is all that is wanted, so the other half stays 0.
	const plane = coarseCount * coarseCount
	for s := range steps {
		to := c.first[s*plane:][:plane]
		clear(to)
		for k := coarse; k < coarseCount; k++ {
			f := coarseShift[s][k]
			for i, v := range c.cross[k*plane:][:plane] {
				to[i][0] += v[0]*f[0] - v[1]*f[1]
				to[i][1] += v[0]*f[1] + v[1]*f[0]
			}
		}
	}
	for sx := range steps {
		for sy := range steps {
			to := c.second[(sx*steps+sy)*coarseCount:][:coarseCount]
			clear(to)
			for k := range coarseCount {
				f := coarseShift[sy][k]
				for i, v := range c.first[(sx*coarseCount+k)*coarseCount:][:coarseCount] {
					to[i][0] += v[0]*f[0] - v[1]*f[1]
					to[i][1] += v[0]*f[1] + v[1]*f[0]
				}
			}
			for sz := range steps {
				var sum float32
				for k, v := range to {
					f := coarseShift[sz][k]
					sum += v[0]*f[0] - v[1]*f[1]
				}
				if sum > best {
					best = sum
					shift = [3]float64{float64(sx-steps/2) * step, float64(sy-steps/2) * step, float64(sz-steps/2) * step}
				}
			}
		}
	}
	return best / float32(n), shift
}

func abs(k int) int { return max(k, -k) }

// Thresholds of Search. Of the 4950 pairs of 100 different scans of hippocampi, whose crops all look alike, the largest
// similarity is 0.44; copies that were given another window, resampled to 0.6 or 1.5 times the voxels, or shifted by a
// tenth along every axis, stay above 0.67.
const (
	Threshold       = 0.5 // similarity from which two scans count as one picture
	shapeThreshold  = 0.8 // the same where one of them is a mere shape, of two values: vessels look alike, and hold nothing else to tell them apart
	coarseThreshold = 0.4 // correlation in the narrow band below which the similarity is not looked at
)

// fewest is how many frequencies two scans must have in common: a slice has 144, and among fewer phases chance agrees
// too often at the best of many shifts.
const fewest = 100

// Pair is two scans that hold the same picture; A comes before B.
type Pair struct {
	A, B       int
	Identical  bool    // voxel for voxel
	Similarity float64 // 1 for identical ones
}

// Search compares all pairs of views but those that skip excludes, on all processors.
func Search(ctx context.Context, views []View, skip func(a, b int) bool) ([]Pair, error) {
	found := make([][]Pair, len(views))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	comparers := sync.Pool{New: func() any { return new(Comparer) }}
	for a := range views {
		group.Go(func() error {
			c := comparers.Get().(*Comparer)
			defer comparers.Put(c)
			for b := a + 1; b < len(views); b++ {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if skip(a, b) {
					continue
				}
				if views[a].Voxels == views[b].Voxels {
					found[a] = append(found[a], Pair{a, b, true, 1})
					continue
				}
				least := Threshold
				if views[a].Shape || views[b].Shape {
					least = shapeThreshold
				}
				if s := c.similarity(&views[a].Print, &views[b].Print); s >= least {
					found[a] = append(found[a], Pair{a, b, false, s})
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// similarity is that of two fingerprints, or 0 if it is surely below the threshold.
func (c *Comparer) similarity(a, b *Print) float64 {
	if len(a.Phases) != halfBand || len(b.Phases) != halfBand {
		return 0
	}
	rough, shift := c.Coarse(a, b)
	if rough < coarseThreshold {
		return 0
	}
	return c.Similarity(a, b, shift)
}

// Similarity is the correlation of two fingerprints in their whole band at the best shift near the given one: 1 for one
// picture, about 0 for pictures that have nothing to do with each other.
func (c *Comparer) Similarity(a, b *Print, shift [3]float64) float64 {
	var limit [3]int
	for d := range 3 {
		limit[d] = min(a.Band[d], b.Band[d])
	}
	c.count = 0
	for i, k := range half {
		if k[0] <= limit[0] && abs(k[1]) <= limit[1] && abs(k[2]) <= limit[2] {
			c.difference[c.count] = uint8(a.Phases[i] - b.Phases[i])
			c.frequency[c.count] = [3]uint8{uint8(k[0] + band), uint8(k[1] + band), uint8(k[2] + band)}
			c.count++
		}
	}
	if c.count < fewest {
		return 0
	}
	best := c.correlation(shift)
	for width := step / 2; width > 1.0/300; width /= 2 {
		for better := true; better; {
			better = false
			for d := range 3 {
				for _, by := range [2]float64{-width, width} {
					to := shift
					to[d] += by
					if math.Abs(to[d]) > maxShift+step {
						continue
					}
					if s := c.correlation(to); s > best {
						best, shift, better = s, to, true
					}
				}
			}
		}
	}
	return best
}

// correlation is the mean cosine of the phases' differences, which a shift has turned.
func (c *Comparer) correlation(shift [3]float64) float64 {
	var turns [3][frequencies]int32 // in steps of a turn, and 256ths of them
	for d := range 3 {
		for k := range frequencies {
			turns[d][k] = int32(math.Round(256 * 256 * float64(k-band) * shift[d]))
		}
	}
	var sum float32
	for i, k := range c.frequency[:c.count] {
		by := turns[0][k[0]] + turns[1][k[1]] + turns[2][k[2]]
		sum += turn[c.difference[i]+uint8((by+128)>>8)][0]
	}
	return float64(sum) / float64(c.count)
}
