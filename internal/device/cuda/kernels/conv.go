package kernels

// Conv is device.Conv, with its padding.
type Conv struct {
	Kernel, Stride [3]int
}

func (c Conv) taps() int { return c.Kernel[0] * c.Kernel[1] * c.Kernel[2] }

// shape is struct ConvShape of conv.cu.
func (c Conv) shape(in, out [3]int) Arg {
	var low [3]int
	for a := range 3 {
		low[a], _ = padding(c.Kernel[a], c.Stride[a])
	}
	return triples(in, out, c.Kernel, c.Stride, low)
}

// tile is the number of results of a block along each side, as in conv.cu.
const tile = 64

// The gradient of weights is summed up over pieces of voxels: at least weightPiece, at most weightPieces of them.
const (
	weightPiece  = 4096
	weightPieces = 64
)

var convBlock = [3]int{threads, 1, 1}

// ConvForward computes y = conv(x, w) with a bias per output channel, unless it is 0, and ReLU on request. w is (K,
// taps, pitch) of T.
func (t Type) ConvForward(c Conv, x View, w Ptr, pitch int, y View, bias Ptr, relu bool) Launch {
	grid := [3]int{ceil(y.Voxels(), tile), ceil(y.C, tile), 1}
	return launch("conv_forward", grid, convBlock, x.Data, w, y.Data, bias, relu, c.shape(x.size(), y.size()), y.Voxels(), x.C, y.C, x.Pitch, pitch, y.Pitch)
}

// ConvBackwardData computes the gradient dx of the input, or adds it.
func (t Type) ConvBackwardData(c Conv, dy View, w Ptr, pitch int, dx View, accumulate bool) Launch {
	grid := [3]int{ceil(dx.Voxels(), tile), ceil(dx.C, tile), 1}
	return launch("conv_backward_data", grid, convBlock, dy.Data, w, dx.Data, accumulate, c.shape(dx.size(), dy.size()), dx.Voxels(), dx.C, dy.C, dy.Pitch, pitch, dx.Pitch)
}

func convPieces(voxels int) (pieces, piece int) {
	pieces = min(weightPieces, max(1, ceil(voxels, weightPiece)))
	piece = ceil(voxels, pieces)
	return ceil(voxels, piece), piece
}

// ConvScratch is the memory in bytes that ConvBackwardWeights needs.
func (t Type) ConvScratch(c Conv, x, dy View) int64 {
	pieces, _ := convPieces(dy.Voxels())
	return 4 * int64(pieces) * int64(dy.C) * int64(c.taps()) * int64(x.C)
}

// ConvBackwardWeights computes the gradient dw of the weights as floats (K, taps, pitch), channels beyond x.C 0.
func (t Type) ConvBackwardWeights(c Conv, x, dy View, dw Ptr, pitch int, scratch Ptr) []Launch {
	pieces, piece := convPieces(dy.Voxels())
	grid := [3]int{ceil(dy.C, tile), ceil(c.taps()*x.C, tile), pieces}
	rows := dy.C * c.taps()
	grid2, block2 := flat(rows * pitch)
	return []Launch{
		launch("conv_backward_weights", grid, convBlock, x.Data, dy.Data, scratch, c.shape(x.size(), dy.size()), dy.Voxels(), piece, x.C, dy.C, x.Pitch, dy.Pitch),
		launch("conv_weights_reduce", grid2, block2, scratch, dw, pieces, rows, x.C, pitch),
	}
}
