package resample

// The kernels round every product before it is added, as the conversions say: the compiler may not fuse the two. A
// resampled image is thus the same, bit for bit, on every processor.

// causalPortable sets row[i] = gain*row[i] + z*previous[i].
func causalPortable(row, previous []float32, gain, z float32) {
	previous = previous[:len(row)]
	for i, v := range row {
		row[i] = float32(gain*v) + float32(z*previous[i])
	}
}

// anticausalPortable sets row[i] = z*(next[i] - row[i]).
func anticausalPortable(row, next []float32, z float32) {
	next = next[:len(row)]
	for i, v := range row {
		row[i] = z * (next[i] - v)
	}
}

// combinePortable sets out[i] to the weighted sum of lines[start+i] and the three values at distances of len(out) after
// it.
func combinePortable(out, lines []float32, start int, weight *[4]float32) {
	w := len(out)
	a := lines[start:][:w]
	b := lines[start+w:][:w]
	c := lines[start+2*w:][:w]
	d := lines[start+3*w:][:w]
	w0, w1, w2, w3 := weight[0], weight[1], weight[2], weight[3]
	for i := range out {
		out[i] = float32(w0*a[i]) + float32(w1*b[i]) + float32(w2*c[i]) + float32(w3*d[i])
	}
}

// limitsPortable returns the least and the largest of at least one value; a zero has no sign there.
func limitsPortable(data []float32) (low, high float32) {
	low, high = data[0], data[0]
	for _, v := range data {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	return low + 0, high + 0
}

// clipPortable brings values into the range from low to high.
func clipPortable(out []float32, low, high float32) {
	for i, v := range out {
		out[i] = min(max(v, low), high)
	}
}

// gatherPortable transposes w rows of the given length into lines[position][row].
func gatherPortable(lines, rows []float32, w, length int) {
	for r := range w {
		row := rows[r*length : (r+1)*length]
		for k, v := range row {
			lines[k*w+r] = v
		}
	}
}

// scatterPortable transposes block[position][row] into w rows of length n.
func scatterPortable(rows, block []float32, w, n int) {
	for r := range w {
		row := rows[r*n : (r+1)*n]
		for k := range row {
			row[k] = block[k*w+r]
		}
	}
}
