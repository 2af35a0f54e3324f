package augment

import (
	"math"

	"github.com/universal-classifier/uc/internal/augment/rows"
)

// ending says how an array continues beyond its ends where it is interpolated with cubic B-splines.
type ending int

const (
	mirrored ending = iota // c b | a b c | b a: scipy's prefilter for mode "constant"
	edge                   // a a | a b c | c c: scipy's mode "nearest", skimage's "edge"
)

// source returns the index that stands for index i of an array of length n.
func (e ending) source(i, n int) int {
	if e == edge || n == 1 {
		return min(max(i, 0), n-1)
	}
	i %= 2*n - 2
	if i < 0 {
		i += 2*n - 2
	}
	return min(i, 2*n-2-i)
}

// before and after are how many coefficients beyond the ends the interpolation may read: mirrored arrays are read
// within their range only, the others half a voxel further.
func (e ending) before() int {
	if e == edge {
		return 2
	}
	return 1
}

const after = 2

// splineLine writes the spline coefficients of a row, with those before and after it, into dst
// (before + len(row) + after values). line is working memory.
func (e ending) splineLine(dst, row, line []float32, gain float32) {
	low := rows.SplineReach + e.before()
	line = line[:low+len(row)+after+rows.SplineReach]
	copy(line[low:], row)
	for i := range low {
		line[i] = row[e.source(i-low, len(row))]
	}
	for i := low + len(row); i < len(line); i++ {
		line[i] = row[e.source(i-low, len(row))]
	}
	rows.SplineRow(dst, line, gain)
}

// lineRoom is the working memory that splineLine needs for n values.
func lineRoom(n int) int { return n + 2*rows.SplineReach + 4 }

// splineGain is the gain of the prefilter along one axis (Unser 1999), which splineRows leaves out: 6 for an axis that
// has more than one voxel.
func splineGain(n int) float32 {
	if n == 1 {
		return 1
	}
	return 6
}

// startReach is how many rows the start of the causal recursion sums: the pole's 14th power is below 1e-8.
const startReach = 14

// splineRows turns rows of values into rows of spline coefficients over splineGain(n), in place, along the axis on
// which the rows lie: row i is block[(before+i)*stride:][:width]. The rows before and after are filled in.
func (e ending) splineRows(block []float32, n, stride, width int) {
	low := e.before()
	row := func(i int) []float32 { return block[(low+i)*stride:][:width] }
	if n > 1 {
		e.recurse(block[low*stride:], row, n, stride)
	}
	switch {
	case e == mirrored || n == 1:
		for i := -low; i < 0; i++ {
			copy(row(i), row(e.source(i, n)))
		}
		for i := range after {
			copy(row(n+i), row(e.source(n+i, n)))
		}
	default:
		for i := range low {
			w := edgeTail(i+1, false)
			rows.Combine(row(-1-i), row(0)[:stride+width:stride+width], stride, w[:])
		}
		for i := range after {
			w := edgeTail(i+1, true)
			rows.Combine(row(n+i), row(n - 2)[:stride+width:stride+width], stride, w[:])
		}
	}
}

func (e ending) recurse(first []float32, row func(int) []float32, n, stride int) {
	const z = pole
	var start [startReach]float32
	var turn [2]float32 // of the last two causal rows
	if e == mirrored {
		start = mirroredStart(n)
		turn = [2]float32{z * z / (z*z - 1), z / (z*z - 1)}
		rows.Combine(row(0), first, stride, start[:min(n, startReach)])
	} else {
		turn = [2]float32{z * z * z / ((1 - z*z) * (1 - z)), -z / ((1 - z*z) * (1 - z))}
		rows.Scale(row(0), 1/(1-z))
	}
	for i := 1; i < n; i++ {
		rows.Decay(row(i), row(i-1), z)
	}
	rows.Combine(row(n-1), first[(n-2)*stride:], stride, turn[:])
	for i := n - 2; i >= 0; i-- {
		rows.DecayBack(row(i), row(i+1), z)
	}
}

// pole of the cubic B-spline's prefilter: sqrt(3) - 2.
const pole = 1.7320508075688772935 - 2

// mirroredStart returns the weights with which the first rows of a mirrored array sum to the first causal row.
func mirroredStart(n int) [startReach]float32 {
	var w [startReach]float64
	power := 1.
	for k := range 3 * startReach {
		if j := mirrored.source(k, n); j < startReach {
			w[j] += power
		}
		power *= pole
	}
	var start [startReach]float32
	for j, v := range w {
		start[j] = float32(v)
	}
	return start
}

// edgeTail returns the weights with which two neighbouring coefficients at an end give the one that lies distance
// further out: there the coefficients approach the edge's value, which those two determine, by powers of the pole.
// The weights are in the order of the rows; the end comes first, or last at the high end.
func edgeTail(distance int, high bool) [2]float32 {
	power := math.Pow(pole, float64(distance))
	end, inner := (4+pole)/(5+pole)*(1-power)+power, (1-power)/(5+pole)
	if high {
		return [2]float32{float32(inner), float32(end)}
	}
	return [2]float32{float32(end), float32(inner)}
}

// axisTable says how the outputs along an axis are made of spline coefficients: output i is the sum over k of
// weights[4*i+k] times coefficient index[i]+k, counted with those before the array. Outputs outside of first..end-1
// lie outside of the array.
type axisTable struct {
	index      []int32
	weights    []float32
	first, end int
	keep       bool // the outputs are the inputs, and no coefficients are made
}

// fill makes the table of n outputs over m inputs; output i lies at coordinate(i).
func (t *axisTable) fill(n, m int, e ending, coordinate func(i int) float64) {
	index, weights := room(&t.index, n), room(&t.weights, 4*n)
	t.first, t.end = n, 0
	for i := range n {
		at := coordinate(i)
		if e == mirrored && (at < 0 || at > float64(m-1)) {
			index[i] = 0
			clear(weights[4*i : 4*i+4])
			continue
		}
		t.first, t.end = min(t.first, i), i+1
		whole := math.Floor(at)
		index[i] = int32(whole) - 1 + int32(e.before())
		w := rows.BSpline(float32(at - whole))
		copy(weights[4*i:], w[:])
	}
	t.index, t.weights, t.keep = index, weights, false
}

// makeRows makes the output rows of an axis from rows of coefficients, dstStride apart, n values each.
func (t *axisTable) makeRows(dst []float32, dstStride int, coefficients []float32, stride, n int) {
	for i, index := range t.index {
		out := dst[i*dstStride:][:n]
		if i < t.first || i >= t.end {
			clear(out)
			continue
		}
		rows.Combine(out, coefficients[int(index)*stride:], stride, t.weights[4*i:4*i+4])
	}
}

// separable resamples a volume axis by axis. source yields the rows of the (nz, ny, nx) input, tables say how the
// outputs along each axis are made of them; axis 0 alone may be kept. dst may be what source reads from.
func (s *scratch) separable(dst []float32, shape, input [3]int, e ending, source func(z, y int) []float32) {
	oy, ox := shape[1], shape[2]
	nz, ny, nx := input[0], input[1], input[2]
	low := e.before()
	line := room(&s.line, lineRoom(nx))
	coefficients := room(&s.out, low+nx+after)
	block := room(&s.block, max(low+ny+after, low+nz+after)*ox)
	tz, ty, tx := &s.axes[0], &s.axes[1], &s.axes[2]
	gain, volume := splineGain(ny), dst
	if !tz.keep {
		gain *= splineGain(nz)
		volume = room(&s.volume, nz*oy*ox)
	}
	for z := range nz {
		for y := range ny {
			e.splineLine(coefficients, source(z, y), line, gain)
			rows.Taps4(block[(low+y)*ox:][:ox], coefficients, tx.index, tx.weights)
		}
		e.splineRows(block, ny, ox, ox)
		ty.makeRows(volume[z*oy*ox:], ox, block, ox, ox)
	}
	if tz.keep {
		return
	}
	for y := range oy {
		for z := range nz {
			copy(block[(low+z)*ox:][:ox], volume[(z*oy+y)*ox:][:ox])
		}
		e.splineRows(block, nz, ox, ox)
		tz.makeRows(dst[y*ox:], oy*ox, block, ox, ox)
	}
}
