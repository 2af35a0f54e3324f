package kernels

// StemPack gives the network's input (n, c, in) of floats to a 4^3 convolution of stride 1 that does the stem's 7^3 of
// stride 2: T (n, out+3 per axis, 8c), where block j of an axis holds positions 2j-2 and 2j-1 of the input and channel
// (c, pd, ph, pw) is c*8 + pd*4 + ph*2 + pw.
func (t Type) StemPack(src Ptr, n, c int, in, out [3]int, dst Ptr) Launch {
	grid, block := flat(n * (out[0] + 3) * (out[1] + 3) * (out[2] + 3) * c)
	return launch("stem_pack", grid, block, src, dst, triples(in, out), n, c)
}

// StemWeights converts floats (k, 7, 7, 7, c) to T (k, 4, 4, 4, 8c), ordered as StemPack's result; the eighth taps are
// 0.
func (t Type) StemWeights(src, dst Ptr, k, c int) Launch {
	grid, block := flat(k * 64 * 8 * c)
	return launch("stem_weights", grid, block, src, dst, k, c)
}

// StemWeightsBack converts T (k, 4, 4, 4, 8c) to floats (k, 7, 7, 7, c).
func (t Type) StemWeightsBack(src, dst Ptr, k, c int) Launch {
	grid, block := flat(k * 343 * c)
	return launch("stem_weights_back", grid, block, src, dst, k, c)
}
