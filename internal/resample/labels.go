package resample

import (
	"math"
)

// mixed marks a place where neighbouring rows disagree; labels of a cropped mask are never below -1.
const mixed = math.MinInt16

// linearTaps holds, for each output of one axis, the two voxels it lies between and their weights.
type linearTaps struct {
	low, high []int
	weight    [][2]float64
}

// newLinearTaps is linear interpolation at in/out * (k + 0.5) - 0.5; beyond the ends the end values continue. Positions
// and weights are rounded as scipy rounds them, because that decides ties.
func newLinearTaps(in, out int) linearTaps {
	t := linearTaps{low: make([]int, out), high: make([]int, out), weight: make([][2]float64, out)}
	scale := float64(in) / float64(out)
	for k := range out {
		at := float64((float64(k)+0.5)*scale) - 0.5
		whole := math.Floor(at)
		t.low[k] = max(int(whole), 0)
		t.high[k] = min(int(whole)+1, in-1)
		near := 1 - (at - whole)
		t.weight[k] = [2]float64{near, 1 - near}
	}
	return t
}

// nearestTaps is nearest-neighbour interpolation in the same form.
func nearestTaps(in, out int) linearTaps {
	t := linearTaps{low: nearestIndex(in, out), weight: make([][2]float64, out)}
	t.high = t.low
	for k := range t.weight {
		t.weight[k] = [2]float64{1, 0}
	}
	return t
}

// Labels resamples a mask of labels >= -1 to the size to: each label's indicator is interpolated linearly and the
// highest label that reaches 0.5 wins; where none does the result is 0 (batchgenerators' resize_segmentation of order
// 1). With axis >= 0 slices across that axis are resized in their plane and picked by nearest neighbour. If the size
// does not change, mask itself is returned.
func Labels(mask []int16, size, to [3]int, axis int) []int16 {
	if size == to {
		return mask
	}
	var taps [3]linearTaps
	for d := range 3 {
		if d == axis {
			taps[d] = nearestTaps(size[d], to[d])
		} else {
			taps[d] = newLinearTaps(size[d], to[d])
		}
	}
	out := make([]int16, to[0]*to[1]*to[2])
	agreed := make([]int16, size[2])
	row := func(z, y int) []int16 { return mask[(z*size[1]+y)*size[2]:][:size[2]] }
	for z := range to[0] {
		for y := range to[1] {
			corner := [4][]int16{
				row(taps[0].low[z], taps[1].low[y]), row(taps[0].low[z], taps[1].high[y]),
				row(taps[0].high[z], taps[1].low[y]), row(taps[0].high[z], taps[1].high[y]),
			}
			dst := out[(z*to[1]+y)*to[2]:][:to[2]]
			if whole := agree(agreed, corner); whole != mixed {
				for x := range dst {
					dst[x] = whole
				}
				continue
			}
			low, high := taps[2].low, taps[2].high
			for x := range dst {
				l := agreed[low[x]]
				if l == mixed || l != agreed[high[x]] {
					l = vote(corner, low[x], high[x], taps[0].weight[z], taps[1].weight[y], taps[2].weight[x])
				}
				dst[x] = l
			}
		}
	}
	return out
}

// agree sets agreed[x] to the label that all four rows have at x, or mixed. It returns the label if it is one and the
// same along the row.
func agree(agreed []int16, corner [4][]int16) int16 {
	a, b, c, d := corner[0], corner[1][:len(agreed)], corner[2][:len(agreed)], corner[3][:len(agreed)]
	whole := a[0]
	for x, v := range a {
		if v != b[x] || v != c[x] || v != d[x] {
			v = mixed
		}
		agreed[x] = v
		if v != whole {
			whole = mixed
		}
	}
	return whole
}

// vote interpolates the indicator of each label among the eight voxels around a place, in scipy's order of summation,
// and returns the highest label whose value is at least 0.5.
func vote(corner [4][]int16, low, high int, wz, wy, wx [2]float64) int16 {
	var label [8]int16
	var weight [8]float64
	for i := range 4 {
		w := wz[i>>1] * wy[i&1]
		label[2*i], weight[2*i] = corner[i][low], float64(w*wx[0])
		label[2*i+1], weight[2*i+1] = corner[i][high], float64(w*wx[1])
	}
	best := int16(mixed)
	for _, l := range label {
		if l <= best {
			continue
		}
		sum := 0.0
		for j := range label {
			if label[j] == l {
				sum += weight[j]
			}
		}
		if sum >= 0.5 {
			best = l
		}
	}
	if best == mixed {
		return 0
	}
	return best
}
