package kernels

import "fmt"

// Shapes that the stem on tensor cores is made for, and its blocks, as in stem_tensor.cu.
const (
	StemChannels = 5  // at most, in
	StemOut      = 64 // out

	stemRows  = 8
	stemWidth = 32
	stemPiece = 64
	// stemShares is the number of blocks that share the rows of voxels of one kd in the gradient of the weights.
	stemShares = 96
)

// TensorCores reports whether a card of the given compute capability multiplies matrices of T, so that a module has the
// kernels of the stem on them.
func TensorCores(t Type, arch int) bool {
	return t == BFloat16 && arch >= 80 || t == FP16 && arch >= 75
}

// FitsStem reports whether the stem on tensor cores takes c input channels and the output, or its gradient, v.
func (t Type) FitsStem(c int, v View) bool {
	return t != Float32 && c >= 1 && c <= StemChannels && v.C == StemOut && t.wide(v)
}

func checkStem(t Type, c int, v View) {
	if !t.FitsStem(c, v) {
		panic(fmt.Sprintf("kernels: stem on tensor cores in %v for %d channels and %+v", t, c, v))
	}
}

// StemFragmentBytes is the memory that StemFragments' result takes.
func (t Type) StemFragmentBytes(c int) int64 { return 49 * int64(ceil(7*c, 16)) * 2048 }

// StemFragments gives the weights, floats (64, 7, 7, 7, c), the order in which StemForward reads them.
func (t Type) StemFragments(src, dst Ptr, c int) Launch {
	grid, block := flat(int(t.StemFragmentBytes(c) / 4))
	return launch("stem_fragments", grid, block, src, dst, c)
}

// StemForward computes the stem from the network's input x, floats (n, c, in), and StemFragments, with a bias per
// output channel, unless it is 0, and ReLU on request.
func (t Type) StemForward(x Ptr, n, c int, in [3]int, fragments Ptr, y View, bias Ptr, relu bool) Launch {
	checkStem(t, c, y)
	grid := [3]int{n * y.D * ceil(y.H, stemRows) * ceil(y.W, stemWidth), 1, 1}
	return launch(fmt.Sprintf("stem_forward_%d", c), grid, convBlock, x, fragments, y.Data, bias, relu, triples(in, y.size()), y.Pitch)
}

func stemSplit(n int, out [3]int) int { return min(stemShares, n*out[0]*ceil(out[2], stemPiece)) }

// StemScratch is the memory in bytes that StemBackwardWeights needs.
func (t Type) StemScratch(n, c int, out [3]int) int64 {
	return 4 * int64(stemSplit(n, out)) * StemOut * 343 * int64(c)
}

// StemBackwardWeights computes the gradient of the stem's weights as floats (64, 7, 7, 7, c) from the network's input
// x, floats (n, c, in).
func (t Type) StemBackwardWeights(x Ptr, n, c int, in [3]int, dy View, dw, scratch Ptr) []Launch {
	checkStem(t, c, dy)
	split := stemSplit(n, dy.size())
	grid, block := flat(StemOut * 343 * c)
	return []Launch{
		launch(fmt.Sprintf("stem_backward_weights_%d", c), [3]int{split, 7, 1}, convBlock, x, dy.Data, scratch, triples(in, dy.size()), n, dy.Pitch),
		launch("conv_weights_reduce", grid, block, scratch, dw, split, StemOut*343, c, c),
	}
}
