package kernels

// The first stage of a channel's sums: pieces of voxels, at least sumRun for every thread, and no more of them than
// keep a large card busy.
const (
	sumRun       = 32
	sumPiecesMax = 2048
)

// reduceChannels and reduceRows are the block of the second stage, as in batchnorm.cu.
const (
	reduceChannels = 4
	reduceRows     = 64
)

// sumGeometry returns the first stage's launch and how many voxels a piece has.
func (t Type) sumGeometry(x View) (grid, block [3]int, piece int) {
	grid, block = t.perVoxel(x.Voxels(), x.C, sumRun)
	pieces := min(grid[0], max(1, sumPiecesMax/grid[1]))
	piece = ceil(x.Voxels(), pieces)
	grid[0] = ceil(x.Voxels(), piece)
	return grid, block, piece
}

// BatchNormScratch is the memory in bytes that BatchNormSums and BatchNormReLUBackward need for x: two partial sums per
// piece and channel, and two coefficients per channel.
func (t Type) BatchNormScratch(x View) int64 {
	grid, _, _ := t.sumGeometry(x)
	return 16*int64(grid[0])*int64(x.C) + 8*int64(x.C)
}

func reduceGeometry(channels int) (grid, block [3]int) {
	return [3]int{ceil(channels, reduceChannels), 1, 1}, [3]int{reduceChannels, reduceRows, 1}
}

// BatchNormSums writes the sum and the sum of squares of every channel of x as pairs of float64.
func (t Type) BatchNormSums(x View, scratch, sums Ptr) []Launch {
	grid, block, piece := t.sumGeometry(x)
	grid2, block2 := reduceGeometry(x.C)
	return []Launch{
		launch("batchnorm_sums", grid, block, x.Data, scratch, x.Voxels(), piece, x.C, x.Pitch, t.wide(x)),
		launch("batchnorm_reduce", grid2, block2, scratch, grid[0], x.C, sums),
	}
}

// BatchNormStats is device.Device's, from sums as BatchNormSums writes them.
func (t Type) BatchNormStats(sums Ptr, channels, count int, eps, momentum float64, mean, invstd, runningMean, runningVar Ptr) Launch {
	grid, block := flat(channels)
	return launch("batchnorm_stats", grid, block, sums, channels, count, double(eps), double(momentum), mean, invstd, runningMean, runningVar)
}

// BatchNormReLU is device.Device's; parameters are floats per channel, and y may be x.
func (t Type) BatchNormReLU(x View, mean, invstd, gamma, beta Ptr, y View) Launch {
	grid, block := t.perVoxel(x.Voxels(), x.C, elementRun)
	return launch("batchnorm_relu", grid, block, x.Data, mean, invstd, gamma, beta, y.Data, x.Voxels(), x.C, x.Pitch, y.Pitch, t.wide(x, y))
}

// BatchNormReLUBackward is device.Device's; dx may be dy or x.
func (t Type) BatchNormReLUBackward(x, dy View, mean, invstd, gamma, beta Ptr, dx View, dgamma, dbeta, scratch Ptr) []Launch {
	grid, block, piece := t.sumGeometry(x)
	grid2, block2 := reduceGeometry(x.C)
	grid3, block3 := t.perVoxel(x.Voxels(), x.C, elementRun)
	coefficients := scratch + Ptr(16*grid[0]*x.C)
	return []Launch{
		launch("batchnorm_backward_sums", grid, block, x.Data, dy.Data, mean, invstd, gamma, beta, scratch, x.Voxels(), piece, x.C, x.Pitch, dy.Pitch, t.wide(x, dy)),
		launch("batchnorm_backward_reduce", grid2, block2, scratch, grid[0], x.C, x.Voxels(), mean, invstd, gamma, dgamma, dbeta, coefficients),
		launch("batchnorm_backward", grid3, block3, x.Data, dy.Data, mean, invstd, gamma, beta, coefficients, dx.Data, x.Voxels(), x.C, x.Pitch, dy.Pitch, dx.Pitch, t.wide(x, dy, dx)),
	}
}
