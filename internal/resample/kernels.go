package resample

// causal sets row[i] = gain*row[i] + z*previous[i].
func causal(row, previous []float32, gain, z float32) {
	previous = previous[:len(row)]
	for i, v := range row {
		row[i] = gain*v + z*previous[i]
	}
}

// anticausal sets row[i] = z*(next[i] - row[i]).
func anticausal(row, next []float32, z float32) {
	next = next[:len(row)]
	for i, v := range row {
		row[i] = z * (next[i] - v)
	}
}

// combine sets out[i] to the weighted sum of lines[start+i] and the three values at distances of len(out) after it.
func combine(out, lines []float32, start int, weight *[4]float32) {
	w := len(out)
	a := lines[start:][:w]
	b := lines[start+w:][:w]
	c := lines[start+2*w:][:w]
	d := lines[start+3*w:][:w]
	w0, w1, w2, w3 := weight[0], weight[1], weight[2], weight[3]
	for i := range out {
		out[i] = w0*a[i] + w1*b[i] + w2*c[i] + w3*d[i]
	}
}
