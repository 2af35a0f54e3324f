package resample

import (
	"math"
)

// Cubic B-spline interpolation (Unser 1999) as skimage.transform.resize(order=3, mode="edge", anti_aliasing=False) of
// scikit-image 0.19 does it through scipy.ndimage.zoom(mode="nearest", grid_mode=True): output voxel k lies at
// in/out * (k + 0.5) - 0.5, and the array goes on beyond its ends with its end values. The spline is separable, so one
// axis is done after the other: a recursive filter turns samples into coefficients, then four coefficients give one
// output value. scipy carries the edge on for 12 samples and mirrors there; here it goes on for ever, which differs by
// pole^24, below 1e-13.
var pole = math.Sqrt(3) - 2

// blockWidth is how many neighbouring lines are filtered together: the coefficients of a block of lines stay in the
// second-level cache.
const blockWidth = 64

// axisTaps is where the outputs of one axis take their values from.
type axisTaps struct {
	start  []int32      // first of four coefficients, counted from -border
	weight [][4]float32 // B-spline weights of the four
}

// border is the number of coefficients kept beyond each end of a line: the outermost output lies at -0.5 and reaches
// two coefficients out.
const border = 2

func newAxisTaps(in, out int) axisTaps {
	t := axisTaps{start: make([]int32, out), weight: make([][4]float32, out)}
	scale := float64(in) / float64(out)
	for k := range out {
		at := (float64(k)+0.5)*scale - 0.5
		whole := math.Floor(at)
		x := at - whole
		y := 1 - x
		w1 := (x*x*(x-2)*3 + 4) / 6
		w2 := (y*y*(y-2)*3 + 4) / 6
		w0 := y * y * y / 6
		t.start[k] = int32(whole) - 1 + border
		t.weight[k] = [4]float32{float32(w0), float32(w1), float32(w2), float32(1 - w0 - w1 - w2)}
	}
	return t
}

// spline resizes the array along every axis whose size changes.
func spline(data []float32, size, to [3]int) []float32 {
	out := make([]float32, to[0]*to[1]*to[2])
	splineInto(out, data, size, to)
	return out
}

// splineInto is spline into dst. The axis that shrinks the array most comes first, the one that enlarges it most last.
func splineInto(dst, data []float32, size, to [3]int) {
	low, high := limits(data)
	order := make([]int, 0, 3)
	for d := range 3 {
		if size[d] != to[d] {
			order = append(order, d)
		}
	}
	growth := func(d int) float64 { return float64(to[d]) / float64(size[d]) }
	for i := range order {
		for j := i; j > 0 && growth(order[j]) < growth(order[j-1]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	in := data
	for i, d := range order {
		next := size
		next[d] = to[d]
		out := dst
		if i < len(order)-1 {
			out = make([]float32, next[0]*next[1]*next[2])
		}
		resizeAxis(out, in, size, d, to[d])
		in, size = out, next
	}
	for i, v := range dst {
		dst[i] = min(max(v, low), high)
	}
}

func limits(data []float32) (low, high float32) {
	low, high = data[0], data[0]
	for _, v := range data {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	return low, high
}

// resizeAxis resizes in, of the given size, along one axis to n voxels.
func resizeAxis(out, in []float32, size [3]int, axis, n int) {
	taps := newAxisTaps(size[axis], n)
	length := size[axis]
	lines := make([]float32, (length+2*border)*blockWidth)
	if axis == 2 {
		rows := size[0] * size[1]
		row := make([]float32, n*blockWidth)
		for r := 0; r < rows; r += blockWidth {
			w := min(blockWidth, rows-r)
			gather(lines[border*w:], in[r*length:], w, length)
			filterLines(lines, length, w)
			for k := range n {
				combine(row[k*w:(k+1)*w], lines, int(taps.start[k])*w, &taps.weight[k])
			}
			scatter(out[r*n:], row, w, n)
		}
		return
	}
	outer, inner := 1, size[1]*size[2]
	if axis == 1 {
		outer, inner = size[0], size[2]
	}
	for o := range outer {
		for x := 0; x < inner; x += blockWidth {
			w := min(blockWidth, inner-x)
			for k := range length {
				copy(lines[(border+k)*w:(border+k+1)*w], in[(o*length+k)*inner+x:])
			}
			filterLines(lines, length, w)
			for k := range n {
				at := (o*n+k)*inner + x
				combine(out[at:at+w], lines, int(taps.start[k])*w, &taps.weight[k])
			}
		}
	}
}

// gather transposes w rows of the given length into lines[position][row].
func gather(lines, rows []float32, w, length int) {
	for r := range w {
		row := rows[r*length : (r+1)*length]
		for k, v := range row {
			lines[k*w+r] = v
		}
	}
}

// scatter transposes block[position][row] into w rows of length n.
func scatter(rows, block []float32, w, n int) {
	for r := range w {
		row := rows[r*n : (r+1)*n]
		for k := range row {
			row[k] = block[k*w+r]
		}
	}
}

// filterLines turns samples into B-spline coefficients, in place, for w lines side by side: lines[border+k][line] for
// k < n, and fills the border on both sides.
func filterLines(lines []float32, n, w int) {
	// Coefficients of a constant line equal its samples, so the gain is (1-z)(1-1/z) = 6 for z the pole.
	z := float32(pole)
	gain := float32((1 - pole) * (1 - 1/pole))
	start := float32(1 / (1 - pole)) // sum of z^k over the samples before the first one
	first := lines[border*w : (border+1)*w]
	last := lines[(border+n-1)*w : (border+n)*w]
	before := lines[(border-1)*w : border*w]
	after := lines[(border+n)*w : (border+n+1)*w]
	for i, v := range first {
		before[i] = gain * start * v
	}
	for i, v := range last { // what the causal filter would settle at beyond the end
		after[i] = gain * start * v
	}
	previous := before
	for k := range n {
		row := lines[(border+k)*w : (border+k+1)*w]
		causal(row, previous, gain, z)
		previous = row
	}
	// The anticausal filter starts from its own limit: with s the settled value and c the last causal one, the
	// coefficient k steps beyond the last sample is -z (s/(1-z) + z^k (c-s)/(1-z^2)).
	far := lines[(border+n+1)*w : (border+n+2)*w]
	settled := -pole / (1 - pole)
	decay := -pole / (1 - pole*pole)
	for i, s := range after {
		c := float64(last[i])
		limit, rest := settled*float64(s), decay*(c-float64(s))
		last[i] = float32(limit + rest)
		after[i] = float32(limit + pole*rest)
		far[i] = float32(limit + pole*pole*rest)
	}
	next := last
	for k := n - 2; k >= 0; k-- {
		row := lines[(border+k)*w : (border+k+1)*w]
		anticausal(row, next, z)
		next = row
	}
	farBefore := lines[:w]
	for i, s := range before {
		before[i] = z * (next[i] - s)
		farBefore[i] = z * (before[i] - s)
	}
}
