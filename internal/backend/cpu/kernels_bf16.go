package cpu

// productFunc is gemmFunc with c in bfloat16, to which a bias and ReLU may be applied before the one rounding: c[j][m][:] = sum (+ c if add) (+ bias[j][:]
// unless nil), at least 0 if relu.
type productFunc func(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int, bias *float32, relu int)

// halfKernels are the micro-kernels on bfloat16. A voxel of a channel block takes 32 bytes; pointers give the place where the bytes begin.
type halfKernels struct {
	rows, cols int
	gemm       [15][3]gemmFunc    // a in bfloat16, b in pairs [k/2][16][2], c float32
	product    [15][3]productFunc // the same with c in bfloat16
	outer      [4]outerFunc       // a and z in pairs of rows [rows/2][16][2], of which rows counts the pairs; c float32

	interleave func(dst, src *float32, rows int)  // rows of 16 to pairs of rows; an odd last row gets zeros beside it
	packPairs  func(dst, src *float32, pairs int) // float32 [2*pairs][16] to [pairs][16][2]
	narrow     func(dst, src *float32, count int) // vectors of 16 float32 to bfloat16
	widen      func(dst, src *float32, count int)

	normalize     normalizeFunc
	sums          sumsFunc
	gradientSums  gradientSumsFunc
	normalizeBack normalizeBackFunc
	windowMax     windowFunc
	windowArgMax  windowFunc
	winnersSum    winnersFunc
	max3          func(dst, x, y, z *float32, count int)
	transforms    [][transformKinds]transformFunc // bfloat16 on the side of the activation: input, gradient; output, add, ReLU
	transformsV   []transformFunc                 // inputTransform from float32 to bfloat16
}
