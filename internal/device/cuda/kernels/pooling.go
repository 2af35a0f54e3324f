package kernels

// Pooling is device.Pooling with its padding.
type Pooling struct {
	Kernel, Stride [3]int
}

// padding is TensorFlow's SAME padding for kernel - stride: the zeros in front and behind of an axis.
func padding(kernel, stride int) (low, high int) {
	total := max(kernel-stride, 0)
	return total / 2, total - total/2
}

// shape is struct PoolShape of pooling.cu.
func (p Pooling) shape(in, out [3]int) Arg {
	var low, end [3]int
	for a := range 3 {
		lo, hi := padding(p.Kernel[a], p.Stride[a])
		low[a], end[a] = lo, in[a]+hi
	}
	return triples(in, out, p.Kernel, p.Stride, low, end)
}

// WinnersPitch is the number of winners (a byte each) of a voxel with c channels.
func WinnersPitch(c int) int { return ceil(c, 16) * 16 }

// WinnersBytes is the memory that the winners of a pooling's result y take: (N, D, H, W, WinnersPitch).
func WinnersBytes(y View) int64 { return int64(y.Voxels()) * int64(WinnersPitch(y.C)) }

// MaxPool writes the maxima of x to y and, unless 0, their winners.
func (t Type) MaxPool(p Pooling, x, y View, winners Ptr) Launch {
	grid, block := t.perVoxel(y.Voxels(), y.C, 1)
	return launch("max_pool", grid, block, x.Data, y.Data, winners, p.shape(x.size(), y.size()), y.Voxels(), y.C, x.Pitch, y.Pitch, WinnersPitch(y.C), t.wide(x, y))
}

// MaxPoolBackward sends dy to the winners, into dx or added to it.
func (t Type) MaxPoolBackward(p Pooling, dy View, winners Ptr, dx View, accumulate bool) Launch {
	grid, block := t.perVoxel(dx.Voxels(), dx.C, 1)
	return launch("max_pool_backward", grid, block, dy.Data, winners, dx.Data, p.shape(dx.size(), dy.size()), accumulate, dx.Voxels(), dx.C, dy.Pitch, WinnersPitch(dx.C), dx.Pitch, t.wide(dy, dx))
}

// clip is an average pooling's window on an array of the given size.
func clip(window, size [3]int) [3]int {
	for a := range window {
		window[a] = min(window[a], size[a])
	}
	return window
}

// AvgPoolMean is device.Device's; features are floats (N, C).
func (t Type) AvgPoolMean(window [3]int, x View, features Ptr) Launch {
	grid, block := t.perVoxel(1, x.C, 1)
	grid[0] = x.N
	k := clip(window, x.size())
	return launch("avg_pool_mean", grid, block, x.Data, features, x.D, x.H, x.W, k[0], k[1], k[2], x.C, x.Pitch, t.wide(x))
}

// AvgPoolMeanBackward is device.Device's.
func (t Type) AvgPoolMeanBackward(window [3]int, dfeatures Ptr, dx View) Launch {
	grid, block := t.perVoxel(dx.Voxels(), dx.C, 1)
	k := clip(window, dx.size())
	return launch("avg_pool_mean_backward", grid, block, dfeatures, dx.Data, dx.D, dx.H, dx.W, k[0], k[1], k[2], dx.Voxels(), dx.C, dx.Pitch, t.wide(dx))
}
