package resample

import "math"

// Cubic B-spline interpolation (Unser 1999) as skimage.transform.resize(order=3, mode="edge", anti_aliasing=False) of
// scikit-image 0.19 does it through scipy.ndimage.zoom(mode="nearest", grid_mode=True): output voxel k lies at
// in/out * (k + 0.5) - 0.5, and the array continues beyond its ends with its end values. The spline is separable, so
// one axis is done after the other: a recursive filter turns samples into coefficients, then four coefficients give one
// output value. scipy carries the edge on for 12 samples and mirrors there; here it continues forever, which differs by
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
		at := float64((float64(k)+0.5)*scale) - 0.5
		whole := math.Floor(at)
		x := at - whole
		y := 1 - x
		w1 := (float64(x*x*(x-2)*3) + 4) / 6
		w2 := (float64(y*y*(y-2)*3) + 4) / 6
		w0 := y * y * y / 6
		t.start[k] = int32(whole) - 1 + border
		t.weight[k] = [4]float32{float32(w0), float32(w1), float32(w2), float32(1 - w0 - w1 - w2)}
	}
	return t
}

// planesFirst reports whether resizing the planes before axis 0 makes the smaller intermediate array.
func planesFirst(size, to [3]int) bool {
	return size[0]*to[1]*to[2] <= to[0]*size[1]*size[2]
}

// spline resizes along every axis whose size changes: plane by plane, and across the planes before or after that.
func spline(dst, data []float32, size, to [3]int) {
	inPlane := size[1] != to[1] || size[2] != to[2]
	across := size[0] != to[0]
	switch {
	case !inPlane:
		resizeAcross(dst, data, size[0], to[0], to[1]*to[2])
	case !across:
		resizePlanes(dst, data, size, to)
	case planesFirst(size, to):
		between := make([]float32, size[0]*to[1]*to[2])
		resizePlanes(between, data, size, to)
		resizeAcross(dst, between, size[0], to[0], to[1]*to[2])
	default:
		between := make([]float32, to[0]*size[1]*size[2])
		resizeAcross(between, data, size[0], to[0], size[1]*size[2])
		resizePlanes(dst, between, [3]int{to[0], size[1], size[2]}, to)
	}
	clip(dst, data)
}

// clip brings out into the range of in, as skimage's resize does.
func clip(out, in []float32) {
	low, high := limits(in)
	clipTo(out, low, high)
}

// resizePlanes resizes the planes across axis 0.
func resizePlanes(out, in []float32, size, to [3]int) {
	r := newPlaneResizer(size, to)
	plane, toPlane := size[1]*size[2], to[1]*to[2]
	for z := range size[0] {
		r.resize(out[z*toPlane:][:toPlane], in[z*plane:][:plane])
	}
}

// planeResizer resizes planes of one size, with memory of its own for the stage between the two axes.
type planeResizer struct {
	size, to [2]int
	rows     lineResizer // along axis 2
	columns  lineResizer // along axis 1
	between  []float32
}

func newPlaneResizer(size, to [3]int) planeResizer {
	r := planeResizer{size: [2]int{size[1], size[2]}, to: [2]int{to[1], to[2]}}
	if r.size[0] != r.to[0] {
		r.columns = newLineResizer(r.size[0], r.to[0])
	}
	if r.size[1] != r.to[1] {
		r.rows = newLineResizer(r.size[1], r.to[1])
	}
	if r.size[0] != r.to[0] && r.size[1] != r.to[1] {
		r.between = make([]float32, r.size[0]*r.to[1])
	}
	return r
}

func (r *planeResizer) resize(out, in []float32) {
	switch {
	case r.size[1] == r.to[1]:
		r.columns.across(out, in, r.to[1])
	case r.size[0] == r.to[0]:
		r.rows.along(out, in, r.size[0])
	default:
		r.rows.along(r.between, in, r.size[0])
		r.columns.across(out, r.between, r.to[1])
	}
}

// resizeAcross resizes along axis 0 of an array whose planes have the given number of voxels.
func resizeAcross(out, in []float32, from, to, plane int) {
	r := newLineResizer(from, to)
	r.across(out, in, plane)
}

// lineResizer resizes blocks of lines from n to m samples.
type lineResizer struct {
	n, m  int
	taps  axisTaps
	lines []float32 // coefficients of a block: [n + 2 border][blockWidth]
	block []float32 // outputs of a block: [m][blockWidth]
}

func newLineResizer(n, m int) lineResizer {
	return lineResizer{n: n, m: m, taps: newAxisTaps(n, m), lines: make([]float32, (n+2*border)*blockWidth)}
}

// along resizes rows that lie one after the other in memory.
func (r *lineResizer) along(out, in []float32, rows int) {
	if r.block == nil {
		r.block = make([]float32, r.m*blockWidth)
	}
	for y := 0; y < rows; y += blockWidth {
		w := min(blockWidth, rows-y)
		gather(r.lines[border*w:], in[y*r.n:], w, r.n)
		filterLines(r.lines, r.n, w)
		for k := range r.m {
			combine(r.block[k*w:(k+1)*w], r.lines, int(r.taps.start[k])*w, &r.taps.weight[k])
		}
		scatter(out[y*r.m:], r.block, w, r.m)
	}
}

// across resizes the columns of an array of n rows of the given width.
func (r *lineResizer) across(out, in []float32, width int) {
	for x := 0; x < width; x += blockWidth {
		w := min(blockWidth, width-x)
		for k := range r.n {
			copy(r.lines[(border+k)*w:(border+k+1)*w], in[k*width+x:])
		}
		filterLines(r.lines, r.n, w)
		for k := range r.m {
			combine(out[k*width+x:][:w], r.lines, int(r.taps.start[k])*w, &r.taps.weight[k])
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
		limit, rest := float64(settled*float64(s)), float64(decay*(c-float64(s)))
		last[i] = float32(limit + rest)
		after[i] = float32(limit + float64(pole*rest))
		far[i] = float32(limit + float64(pole*pole*rest))
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
