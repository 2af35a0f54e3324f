package cpu

import (
	"math"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
)

// N-dimensional Winograd convolution (Jia, Zlateski, Durand & Li, PPoPP 2018): tiles of the input and the weights are
// transformed along every axis, multiplied as one matrix product per position of the transformed tile, and transformed
// back.
//
//	V [alpha][in/16][tile][16]     transformed input            (BT along the axes)
//	U [alpha][out/16][in/16][16][16] transformed weights        (G); alpha comes second where a worker takes pairs of
//	                                 output blocks through all products
//	M [alpha][out/16][tile][16]    products, M = V U            (AT gives the output)
//
// alpha is the product of the axes' products per tile. The gradient of the weights is GT (sum over tiles of V (A dy)).

// With bf16 products, V and U are rounded to bfloat16 and U lies in pairs, [alpha][out/16][in/16][8][16][2]; M stays
// float32.

// winogradPlan is a stride-1 convolution seen through one scheme per axis.
type winogradPlan struct {
	ins, outs    int // channel blocks
	in, out      [3]int
	pad          [3]int
	kernel       [3]int
	inner        int // input channels side by side in the packed weights
	scheme       [3]int
	tiles        [3]int
	alphas       int
	batch, total int // samples; tiles of the batch
	chunk        int // tiles per pass
	bf16         bool
}

// winogradUse says what a convolution is computed for, which bounds the error of the schemes.
type winogradUse int

const (
	forOutputs   winogradUse = iota // results and gradients of inputs in float32
	anyScheme                       // results that are rounded to bfloat16; inference
	forWeights                      // gradients of weights, where no later layer amplifies the rounding
	bf16Products                    // results of factors that are rounded to bfloat16
)

// The largest error of results whose factors are rounded to bfloat16, relative to the largest result, is estimated as
//
//	bf16Rounding * noise * tail
//
// A rounded value is off by up to 2^-8 of its power of two, evenly spread: by 2^-8/sqrt(3) * sqrt(ln(2)/1.5) of itself,
// root mean square, if logarithms are evenly spread between the powers. Both factors of a product are rounded, hence
// bf16Rounding = 1.53e-3 * sqrt(2). noise is the product of the axes' Scheme.Noise.
//
// Errors and results are sums over the input channels. Were both normally distributed, and many, their largest values
// would be equally many standard deviations away, so tail would be 1. But an error is a sum of products of three random
// factors (input, weight, rounding), which has long tails when few channels are summed; and of few results, the largest
// may be small. See bf16Tail.
//
// bf16Error is the largest error allowed: within 2 %, which the tests of devices allow for activations in bfloat16,
// with a little left for rounding the results. Three taps along each axis then take F(3,3) on all axes from 66 input
// and output channels on, F(2,3) on one axis from 12, on two from 4.
const (
	bf16Rounding = 2.17e-3
	bf16Error    = 1.9e-2
)

// bf16Tail returns how much further than the largest result the largest error may lie from 0, in standard deviations,
// for so many input and output channels of equal strength. The two numbers are fitted: of 30,000 random layers of 1 to
// 96 input and 1 to 40 output channels, of which TestWinogradErrors has some, the error of three exceeded 2 %.
func bf16Tail(in, out float64) float64 { return 1 + 2.4/math.Sqrt(in) + 1/math.Sqrt(out) }

// weightsTail returns bf16Tail for packed weights: strength is the sum of squares. An output channel that depends on
// few input channels has the tail of few, as far as its results are among the largest.
func (c *Conv) weightsTail(p *Workers, packed []float32) float64 {
	type output struct{ energy, ins float64 }
	outputs := make([]output, Blocks(c.Out)*kernel.Block)
	inner := c.inner()
	p.Run(Blocks(c.Out), func(_, ob int) {
		var sum, squares [kernel.Block]float64 // of the energies of the input channels' weights
		for ib := range Blocks(c.In) {
			block := c.packedBlock(packed, ob, ib)
			var energy [kernel.Block][kernel.Block]float32
			for at := 0; at < len(block); at += kernel.Block {
				row := (*[kernel.Block]float32)(block[at:])
				to := &energy[at/kernel.Block%inner]
				for o, f := range row {
					to[o] += f * f
				}
			}
			for i := range inner {
				for o, f := range &energy[i] {
					sum[o] += float64(f)
					squares[o] += float64(f) * float64(f)
				}
			}
		}
		for o, s := range sum {
			outputs[ob*kernel.Block+o] = output{s, s * s / squares[o]} // not a number for zeros
		}
	})
	largest, all, squares := 0.0, 0.0, 0.0
	for _, o := range outputs {
		largest, all, squares = max(largest, o.energy), all+o.energy, squares+o.energy*o.energy
	}
	tail, outs := 1.0, all*all/squares
	for _, o := range outputs {
		if t := math.Sqrt(o.energy/largest) * bf16Tail(o.ins, outs); t > tail {
			tail = t
		}
	}
	return tail
}

// carefulAlpha is the most products per tile and axis that forOutputs and bf16Products may use; F(4,4) and F(5,3),
// which have one more, are left to the others: in the stem's forward pass F(4,4) (3.7e-6 of the result, F(3,4) has a
// third of it) moved the logits of a training in float32 by up to 2e-4.
const carefulAlpha = 6

// productTiles is how many tiles a position of the transformed tile counts for besides those of the batch: its weights
// are transformed, or read from memory. With 8 the network is fastest on images of 28 and 64 voxels along each axis.
// A gradient of weights goes through few of them at a time and has no such cost.
const productTiles = 8

// chooseSchemes picks the schemes with the least work among those whose error is estimated to be small enough; tail is
// that of the factors' rounding, 0 when they are not rounded. ok is false when no schemes will do.
func (c *Conv) chooseSchemes(use winogradUse, tail float64, batch int) (scheme [3]int, ok bool) {
	var fit [3][]int
	for a := range 3 {
		if c.Stride[a] != 1 {
			return scheme, false
		}
		for i, s := range kernel.Schemes {
			if s.R+2*s.TapSkip != c.Kernel[a] || (s.Alpha > carefulAlpha && use != anyScheme && use != forWeights) {
				continue
			}
			if s.Skip > 0 && (c.InSize[a] != s.Inputs || c.OutSize[a] != s.M || c.PadLo[a] != s.Skip) {
				continue
			}
			fit[a] = append(fit[a], i)
		}
	}
	best, extra := math.Inf(1), float64(productTiles)
	if use == forWeights {
		extra = 0
	}
	for _, d := range fit[0] {
		for _, h := range fit[1] {
			for _, v := range fit[2] {
				tiles, alphas, noise := float64(batch), 1.0, 1.0
				for a, i := range [3]int{d, h, v} {
					s := &kernel.Schemes[i]
					tiles *= float64((c.OutSize[a] + s.M - 1) / s.M)
					alphas *= float64(s.Alpha)
					noise *= s.Noise
				}
				work := alphas * (tiles + extra)
				if work < best && bf16Rounding*noise*tail <= bf16Error {
					best, scheme = work, [3]int{d, h, v}
				}
			}
		}
	}
	return scheme, !math.IsInf(best, 1)
}

// winogradBytes is the size that the transformed input and the products of a chunk of tiles should not exceed, so that
// they stay in the caches. Every chunk goes through all transformed weights, though: where these are larger than
// winogradManyWeights, chunks of winogradLongBytes, which do it less often, are faster. It does not depend on the
// threads.
const (
	winogradBytes       = 4 << 20
	winogradOwnBytes    = 1 << 20
	winogradManyWeights = 16 << 20
	winogradLongBytes   = 16 << 20
)

func (c *Conv) winogradPlan(batch int, use winogradUse, tail float64) (w winogradPlan, ok bool) {
	scheme, ok := c.chooseSchemes(use, tail, batch)
	if !ok {
		return w, false
	}
	return c.winogradPlanOf(batch, scheme, use == bf16Products), true
}

// winogradPlanOf returns the plan that has these schemes.
func (c *Conv) winogradPlanOf(batch int, scheme [3]int, bf16 bool) winogradPlan {
	w := winogradPlan{ins: Blocks(c.In), outs: Blocks(c.Out), in: c.InSize, out: c.OutSize, pad: c.PadLo, kernel: c.Kernel, inner: c.inner(), scheme: scheme, batch: batch, alphas: 1, total: batch, bf16: bf16}
	for a := range 3 {
		s := &kernel.Schemes[w.scheme[a]]
		w.tiles[a] = (w.out[a] + s.M - 1) / s.M
		w.alphas *= s.Alpha
		w.total *= w.tiles[a]
	}
	bytes := winogradBytes
	if w.alphas*w.ins*w.outs*w.square()*4 > winogradManyWeights {
		bytes = winogradLongBytes
	}
	fit := max(14, bytes/(w.alphas*4*(w.ins*w.lane()+kernel.Block*min(w.outs, winogradGroup)))/14*14)
	chunks := (w.total + fit - 1) / fit
	w.chunk = (w.total + chunks - 1) / chunks
	return w
}

// winogradGroup is the number of output blocks whose products are in work at a time.
const winogradGroup = 8

// odd makes a stride in floats an odd number of cache lines, so that the products of a tile do not all fall into the
// same cache set.
func odd(stride int) int {
	if stride/kernel.Block%2 == 0 {
		return stride + kernel.Block
	}
	return stride
}

func (w *winogradPlan) axis(a int) *winograd.Scheme { return &kernel.Schemes[w.scheme[a]] }

// cube strides in floats: depth and height of a transformed tile that lies dense.
func (w *winogradPlan) cube() (d, h int) {
	h = w.axis(2).Alpha * kernel.Block
	return w.axis(1).Alpha * h, h
}

// position splits a tile number into sample and tile coordinates.
func (w *winogradPlan) position(t int) (n int, at [3]int) {
	at[2] = t % w.tiles[2]
	t /= w.tiles[2]
	at[1] = t % w.tiles[1]
	t /= w.tiles[1]
	at[0] = t % w.tiles[0]
	return t / w.tiles[0], at
}

// forwardKernels transform the tiles of an input or a gradient.
type forwardKernels struct {
	k, kx *kernel.Set // kx are those for x, whose voxels take vec floats
	kind  int         // inputTransform or gradientTransform
	vec   int
}

// forwardTile transforms one tile of a block of x, which begins at start and of which [lo, hi) exists along each axis,
// to v, whose products lie stride floats apart.
func (w *winogradPlan) forwardTile(by *forwardKernels, x []float32, size, start, count [3]int, v []float32, stride int, cube []float32) {
	k, kx, kind, vec := by.k, by.kx, by.kind, by.vec
	var lo, hi [3]int
	for a := range 3 {
		lo[a], hi[a] = max(0, -start[a]), min(count[a], size[a]-start[a])
		if hi[a] <= lo[a] {
			for i := range w.alphas {
				clear(v[i*stride:][:w.lane()])
			}
			return
		}
	}
	sd, sh := w.cube()
	mask := func(a int) int { return 1<<hi[a] - 1<<lo[a] }
	row := size[2] * vec
	plane := size[1] * row
	from := (start[0]+lo[0])*plane + (start[1]+lo[1])*row + start[2]*vec
	first := cube[lo[0]*sd:]
	kx.Transforms[w.scheme[2]][kind](&first[lo[1]*sh], &x[0], from*4, 64, vec*4,
		hi[1]-lo[1], sh*4, row*4, hi[0]-lo[0], sd*4, plane*4, mask(2), nil)
	k.Transforms[w.scheme[1]][kind](&first[0], &first[0], 0, sh*4, sh*4,
		sh/kernel.Block, 64, 64, hi[0]-lo[0], sd*4, sd*4, mask(1), nil)
	last := k.Transforms[w.scheme[0]][kind]
	if w.bf16 {
		last = k.BF16.TransformsV[w.scheme[0]]
	}
	last(&v[0], &cube[0], 0, sd/kernel.Block*stride*4, sd*4, sd/kernel.Block, stride*4, 64, 1, 0, 0, mask(0), nil)
}

// lane returns the floats of memory that 16 channels of a transformed input take.
func (w *winogradPlan) lane() int {
	if w.bf16 {
		return kernel.Block / 2
	}
	return kernel.Block
}

// square returns the floats of memory that the transformed weights of a pair of blocks take.
func (w *winogradPlan) square() int { return w.lane() * kernel.Block }

// inputTiles transforms tiles [from, from+count) of x to V.
func (w *winogradPlan) inputTiles(p *Workers, kind int, x Act, from, count int, v []float32, stride int, work []winogradWork) {
	by := &forwardKernels{k: p.kernels(), kx: p.kernels().On(x.BF16), kind: kind, vec: x.vec()}
	blocks := Blocks(x.C)
	p.Run(count*blocks, func(worker, tile int) {
		t, b := tile/blocks, tile%blocks
		w.inputTile(by, x, from+t, b, v[(b*count+t)*w.lane():], stride, work[worker].cube)
	})
}

// inputTile transforms tile t of block b of x to v; see forwardTile.
func (w *winogradPlan) inputTile(by *forwardKernels, x Act, t, b int, v []float32, stride int, cube []float32) {
	n, at := w.position(t)
	var start, size [3]int
	for a := range 3 {
		s := w.axis(a)
		if by.kind == kernel.InputTransform {
			start[a], size[a] = at[a]*s.M-w.pad[a]+s.Skip, s.Inputs
		} else {
			start[a], size[a] = at[a]*s.M, s.M
		}
	}
	w.forwardTile(by, x.block(n, b), x.Size(), start, size, v, stride, cube)
}

// outputTile transforms the products m of tile t to its part of output block ob of y. kind is one of the output
// transformations.
func (w *winogradPlan) outputTile(k *kernel.Set, kind int, m []float32, stride, t int, y Act, ob int, bias, cube []float32) {
	n, at := w.position(t)
	sd, sh := w.cube()
	ky, vec := k.On(y.BF16), y.vec()
	row := y.W * vec
	plane := y.H * row
	var start, have [3]int
	for a := range 3 {
		start[a] = at[a] * w.axis(a).M
		have[a] = min(w.axis(a).M, w.out[a]-start[a])
	}
	mask := func(a int) int { return 1<<have[a] - 1 }
	k.Transforms[w.scheme[0]][kernel.OutputTransform](&cube[0], &m[0], 0, sd*4, sd/kernel.Block*stride*4,
		sd/kernel.Block, 64, stride*4, 1, 0, 0, mask(0), nil)
	k.Transforms[w.scheme[1]][kernel.OutputTransform](&cube[0], &cube[0], 0, sh*4, sh*4,
		sh/kernel.Block, 64, 64, have[0], sd*4, sd*4, mask(1), nil)
	var shift *float32
	if bias != nil {
		shift = &bias[ob*kernel.Block]
	}
	dst := y.block(n, ob)[start[0]*plane+start[1]*row+start[2]*vec:]
	ky.Transforms[w.scheme[2]][kind](&dst[0], &cube[0], 0, vec*4, 64,
		have[1], row*4, sh*4, have[0], plane*4, sd*4, mask(2), shift)
}

// weights transforms the packed weights of output block ob and input block ib to u, whose products lie stride floats
// apart. With mirror, the packed weights are those of the convolution whose input gradient w computes: taps and
// channels change sides.
func (w *winogradPlan) weights(k *kernel.Set, packed []float32, ob, ib int, u []float32, stride int, mirror bool, work *winogradWork) {
	taps := w.kernel[0] * w.kernel[1] * w.kernel[2]
	inner, size := w.inner, taps*w.inner*kernel.Block
	var src []float32
	if mirror {
		// w.outs counts the blocks of the convolution's input
		from := packed[(ib*w.outs+ob)*size:][:size]
		for tap := range taps {
			turnBlock(k, work.turned[tap*kernel.Block*kernel.Block:], from[(taps-1-tap)*inner*kernel.Block:], inner)
		}
		inner, src = kernel.Block, work.turned
	} else {
		src = packed[(ob*w.ins+ib)*size:][:size]
		if inner < kernel.Block {
			for a := range w.alphas {
				clear(u[a*stride:][:kernel.Block*kernel.Block])
			}
		}
	}
	w.weightsBlock(k, kernel.WeightsTransform, src, inner, u, stride, work.cube)
}

// winogradWork is the working memory of one worker.
type winogradWork struct {
	cube   []float32 // a transformed tile
	turned []float32 // the mirrored weights of a pair of blocks
	u, m   []float32 // products of a pair of output blocks
}

// cubeLen is the floats of the largest transformed tile.
const cubeLen = 7 * 7 * 7 * kernel.Block

// work borrows the working memory of all workers, which lies in s until the next call. c is nil for gradients of
// weights.
func (w *winogradPlan) work(p *Workers, s *Scratch, c *convolution, u, m int) []winogradWork {
	turned := 0
	if c != nil && c.mirror {
		turned = w.kernel[0] * w.kernel[1] * w.kernel[2] * kernel.Block * kernel.Block
	}
	work := p.winograd
	for i := range work {
		work[i] = winogradWork{cube: s.floats(cubeLen), turned: s.floats(turned), u: s.floats(u), m: s.floats(m)}
	}
	return work
}

// turnBlock writes the transposed [inner][16] matrix to the 16x16 matrix dst, filled up with zeros.
func turnBlock(k *kernel.Set, dst, src []float32, inner int) {
	if inner == kernel.Block {
		k.Transpose(&dst[0], &src[0])
		return
	}
	clear(dst[:kernel.Block*kernel.Block])
	for i := range inner {
		for o := range kernel.Block {
			dst[o*kernel.Block+i] = src[i*kernel.Block+o]
		}
	}
}

// weightsBlock transforms the weights [tap][inner][16] of a pair of blocks to u, or (weightsBackTransform) the gradient
// u to the weights.
func (w *winogradPlan) weightsBlock(k *kernel.Set, kind int, packed []float32, inner int, u []float32, stride int, cube []float32) {
	sd, sh := w.cube()
	d, h, v := w.axis(0), w.axis(1), w.axis(2)
	tap := inner * kernel.Block
	row, plane := w.kernel[2]*tap, w.kernel[1]*w.kernel[2]*tap
	for i := range inner {
		taps := packed[d.TapSkip*plane+h.TapSkip*row+v.TapSkip*tap+i*kernel.Block:]
		products := u[i*kernel.Block:]
		if kind == kernel.WeightsTransform {
			k.Transforms[w.scheme[2]][kind](&cube[0], &taps[0], 0, 64, tap*4, h.R, sh*4, row*4, d.R, sd*4, plane*4, 0, nil)
			k.Transforms[w.scheme[1]][kind](&cube[0], &cube[0], 0, sh*4, sh*4, sh/kernel.Block, 64, 64, d.R, sd*4, sd*4, 0, nil)
			k.Transforms[w.scheme[0]][kind](&products[0], &cube[0], 0, sd/kernel.Block*stride*4, sd*4, sd/kernel.Block, stride*4, 64, 1, 0, 0, 0, nil)
		} else {
			k.Transforms[w.scheme[0]][kind](&cube[0], &products[0], 0, sd*4, sd/kernel.Block*stride*4, sd/kernel.Block, 64, stride*4, 1, 0, 0, 0, nil)
			k.Transforms[w.scheme[1]][kind](&cube[0], &cube[0], 0, sh*4, sh*4, sh/kernel.Block, 64, 64, d.R, sd*4, sd*4, 0, nil)
			k.Transforms[w.scheme[2]][kind](&taps[0], &cube[0], 0, tap*4, 64, h.R, row*4, sh*4, d.R, plane*4, sd*4, 0, nil)
		}
	}
}

// convolution says what convolve does besides multiplying.
type convolution struct {
	mirror bool      // packed are the weights of the convolution whose input gradient this is
	kind   int       // of the output transformation: plain, added to what is there, or with bias and ReLU
	bias   []float32 // filled up to whole blocks
	forms  *Forms    // where transformed weights are kept; nil when they change
}

// weightsAt returns where the transformed weights of an output block begin, when so many output blocks lie side by side
// and products stride floats apart.
func (w *winogradPlan) weightsAt(side, ob, stride int) int {
	return ob/side*w.alphas*stride + ob%side*w.ins*w.square()
}

// transformWeights transforms all weights to u; see weightsAt.
func (w *winogradPlan) transformWeights(p *Workers, packed []float32, mirror bool, side int, u []float32, stride int, work []winogradWork) {
	k := p.kernels()
	p.Run(w.outs*w.ins, func(worker, tile int) {
		ob, ib := tile/w.ins, tile%w.ins
		own, to := &work[worker], u[w.weightsAt(side, ob, stride)+ib*w.square():]
		if !w.bf16 {
			w.weights(k, packed, ob, ib, to, stride, mirror, own)
			return
		}
		w.weights(k, packed, ob, ib, own.u, kernel.Block*kernel.Block, mirror, own)
		for a := range w.alphas {
			k.BF16.PackPairs(&to[a*stride], &own.u[a*kernel.Block*kernel.Block], kernel.Block/2)
		}
	})
}

// transformedWeights returns all transformed weights, with so many output blocks side by side, and their stride: from
// c.forms, where they are made on first use, or in memory that lies in s until the next call.
func (w *winogradPlan) transformedWeights(p *Workers, packed []float32, side int, c *convolution, s *Scratch, work []winogradWork) (u []float32, stride int) {
	stride = odd(side * w.ins * w.square())
	size := (w.outs + side - 1) / side * w.alphas * stride
	if c.forms == nil {
		u = s.floats(size)
		w.transformWeights(p, packed, c.mirror, side, u, stride, work)
		return u, stride
	}
	return c.forms.get(formKey{weights: &packed[0], scheme: w.scheme, side: side, bf16: w.bf16}, size, func(u []float32) {
		w.transformWeights(p, packed, c.mirror, side, u, stride, work)
	}), stride
}

// few reports whether all transformed tiles stay in the caches, and their products with a pair of output blocks in a
// core's own.
func (w *winogradPlan) few(k *kernel.Set) bool {
	v, m := w.alphas*w.total*w.ins*w.lane()*4, w.alphas*w.total*max(k.Cols, 1)*kernel.Block*4
	return w.chunk == w.total || v <= winogradBytes && m <= winogradOwnBytes
}

// convolve computes y = conv(x, packed).
func (w *winogradPlan) convolve(p *Workers, x Act, packed []float32, y Act, c *convolution, s *Scratch) {
	k := p.kernels()
	if w.few(k) {
		w.convolveFew(p, x, packed, y, c, s)
		return
	}
	if w.alphas*localTiles*4*(w.ins*w.lane()+k.Cols*kernel.Block) <= localBytes {
		w.convolveLocal(p, x, packed, y, c, s)
		return
	}
	work := w.work(p, s, c, w.bf16Weights(), 0)
	group := min(w.outs, winogradGroup)
	vs, ms, sq := odd(w.ins*w.chunk*w.lane()), odd(group*w.chunk*kernel.Block), w.square()
	v, m := s.floats(w.alphas*vs), s.floats(w.alphas*ms)
	u, us := w.transformedWeights(p, packed, w.outs, c, s, work)
	for from := 0; from < w.total; from += w.chunk {
		count := min(w.chunk, w.total-from)
		w.inputTiles(p, kernel.InputTransform, x, from, count, v, vs, work)
		for first := 0; first < w.outs; first += group {
			blocks := min(group, w.outs-first)
			p.Run(w.alphas, func(_, a int) {
				k.Multiply(w.bf16, v[a*vs:], count*w.lane(), u[a*us+first*w.ins*sq:], w.ins*sq, x.C, m[a*ms:], count*kernel.Block, count, blocks, false)
			})
			p.Run(count*blocks, func(worker, tile int) {
				t, b := tile/blocks, tile%blocks
				w.outputTile(k, c.kind, m[(b*count+t)*kernel.Block:], ms, from+t, y, first+b, c.bias, work[worker].cube)
			})
		}
	}
}

// convolveLocal is for inputs of which localTiles transformed tiles, and their products with a pair of output blocks,
// take at most localBytes and so mostly fit into a core's second-level cache.
const (
	localTiles = 14
	localBytes = 25 << 16
)

// convolveLocal is convolve for few input blocks, where moving transformed inputs and products costs more than
// multiplying: every worker takes a few tiles from the input to the output.
func (w *winogradPlan) convolveLocal(p *Workers, x Act, packed []float32, y Act, c *convolution, s *Scratch) {
	k := p.kernels()
	by := &forwardKernels{k: k, kx: k.On(x.BF16), kind: kernel.InputTransform, vec: x.vec()}
	group := max(k.Cols, 1)
	vs, ms, sq := odd(w.ins*localTiles*w.lane()), odd(group*localTiles*kernel.Block), w.square()
	work := w.work(p, s, c, max(w.bf16Weights(), w.alphas*vs), w.alphas*ms)
	u, us := w.transformedWeights(p, packed, group, c, s, work)
	// As many tiles at a time as keep the workers equally long at work.
	rounds := (w.total + localTiles*p.threads - 1) / (localTiles * p.threads)
	size := (w.total + rounds*p.threads - 1) / (rounds * p.threads)
	p.Run((w.total+size-1)/size, func(worker, tile int) {
		own, from := &work[worker], tile*size
		count := min(size, w.total-from)
		v := own.u
		for b := range w.ins {
			for t := range count {
				w.inputTile(by, x, from+t, b, v[(b*count+t)*w.lane():], vs, own.cube)
			}
		}
		for first := 0; first < w.outs; first += group {
			blocks := min(group, w.outs-first)
			for a := range w.alphas {
				k.Multiply(w.bf16, v[a*vs:], count*w.lane(), u[w.weightsAt(group, first, us)+a*us:], w.ins*sq, x.C, own.m[a*ms:], count*kernel.Block, count, blocks, false)
			}
			for b := range blocks {
				for t := range count {
					w.outputTile(k, c.kind, own.m[(b*count+t)*kernel.Block:], ms, from+t, y, first+b, c.bias, own.cube)
				}
			}
		}
	})
}

// bf16Weights returns the floats that a worker needs to transform a pair of blocks before rounding.
func (w *winogradPlan) bf16Weights() int {
	if w.bf16 {
		return w.alphas * kernel.Block * kernel.Block
	}
	return 0
}

// convolveFew is convolve for so few tiles that transforming the weights counts: every worker takes pairs of output
// blocks and, unless transformed weights are kept, goes through the input blocks, so that transformed weights and
// products stay in its own cache.
func (w *winogradPlan) convolveFew(p *Workers, x Act, packed []float32, y Act, c *convolution, s *Scratch) {
	k := p.kernels()
	group := max(k.Cols, 1)
	ms, vs := odd(group*w.total*kernel.Block), odd(w.ins*w.total*w.lane())
	own := odd(group * kernel.Block * kernel.Block)
	if c.forms != nil {
		own = w.bf16Weights() / w.alphas
	}
	work := w.work(p, s, c, w.alphas*own, w.alphas*ms)
	v := s.floats(w.alphas * vs)
	var u []float32
	var us int
	if c.forms != nil {
		u, us = w.transformedWeights(p, packed, group, c, s, work)
	}
	w.inputTiles(p, kernel.InputTransform, x, 0, w.total, v, vs, work)
	// Where a part of the workers would have a whole group more to do than the others, the last groups are of one block.
	whole := w.outs / group
	if rest := w.outs - whole/p.threads*p.threads*group; rest <= p.threads {
		whole -= whole % p.threads
	}
	p.Run(whole+w.outs-whole*group, func(worker, tile int) {
		mine := &work[worker]
		first, blocks := tile*group, group
		if tile >= whole {
			first, blocks = whole*group+tile-whole, 1
		}
		if u != nil {
			sq := w.ins * w.square()
			for a := range w.alphas {
				k.Multiply(w.bf16, v[a*vs:], w.total*w.lane(), u[w.weightsAt(group, first, us)+a*us:], sq, x.C, mine.m[a*ms:], w.total*kernel.Block, w.total, blocks, false)
			}
		} else {
			for ib := range w.ins {
				for b := range blocks {
					w.weights(k, packed, first+b, ib, mine.u[b*kernel.Block*kernel.Block:], own, c.mirror, mine)
				}
				for a := range w.alphas {
					k.Multiply(false, v[a*vs+ib*w.total*kernel.Block:], 0, mine.u[a*own:], kernel.Block*kernel.Block, min(kernel.Block, x.C-ib*kernel.Block), mine.m[a*ms:], w.total*kernel.Block, w.total, blocks, ib > 0)
				}
			}
		}
		for b := range blocks {
			for t := range w.total {
				w.outputTile(k, c.kind, mine.m[(b*w.total+t)*kernel.Block:], ms, t, y, first+b, c.bias, mine.cube)
			}
		}
	})
}

// weightGradient overwrites dw by the gradient of the packed weights.
func (w *winogradPlan) weightGradient(p *Workers, x, dy Act, dw []float32, s *Scratch) {
	k := p.kernels()
	taps := w.kernel[0] * w.kernel[1] * w.kernel[2]
	size := taps * w.inner * kernel.Block
	back := func(tile int, u []float32, stride int, cube []float32) {
		dst := dw[tile*size:][:size]
		if w.axis(0).TapSkip+w.axis(1).TapSkip+w.axis(2).TapSkip > 0 {
			clear(dst)
		}
		w.weightsBlock(k, kernel.WeightsBackTransform, dst, w.inner, u, stride, cube)
	}
	vs, zs := odd(w.ins*w.chunk*kernel.Block), odd(w.outs*w.chunk*kernel.Block)
	if w.chunk == w.total {
		group := min(k.OuterCols, 2)
		us := odd(group * kernel.Block * kernel.Block)
		work := w.work(p, s, nil, w.alphas*us, 0)
		v, z := s.floats(w.alphas*vs), s.floats(w.alphas*zs)
		w.inputTiles(p, kernel.InputTransform, x, 0, w.total, v, vs, work)
		w.inputTiles(p, kernel.GradientTransform, dy, 0, w.total, z, zs, work)
		p.Run((w.outs+group-1)/group*w.ins, func(worker, tile int) {
			own := &work[worker]
			first, ib := tile/w.ins*group, tile%w.ins
			blocks := min(group, w.outs-first)
			for a := range w.alphas {
				k.OuterProducts(v[a*vs+ib*w.total*kernel.Block:], z[a*zs+first*w.total*kernel.Block:], w.total*kernel.Block, w.total, own.u[a*us:], kernel.Block*kernel.Block, blocks, false)
			}
			for b := range blocks {
				back((first+b)*w.ins+ib, own.u[b*kernel.Block*kernel.Block:], us, own.cube)
			}
		})
		return
	}
	us := odd(w.outs * w.ins * kernel.Block * kernel.Block)
	work := w.work(p, s, nil, 0, 0)
	v, z, u := s.floats(w.alphas*vs), s.floats(w.alphas*zs), s.floats(w.alphas*us)
	for from := 0; from < w.total; from += w.chunk {
		count := min(w.chunk, w.total-from)
		w.inputTiles(p, kernel.InputTransform, x, from, count, v, vs, work)
		w.inputTiles(p, kernel.GradientTransform, dy, from, count, z, zs, work)
		p.Run(w.alphas, func(_, a int) {
			for ib := range w.ins {
				k.OuterProducts(v[a*vs+ib*count*kernel.Block:], z[a*zs:], count*kernel.Block, count, u[a*us+ib*kernel.Block*kernel.Block:], w.ins*kernel.Block*kernel.Block, w.outs, from > 0)
			}
		})
	}
	p.Run(w.outs*w.ins, func(worker, tile int) { back(tile, u[tile*kernel.Block*kernel.Block:], us, work[worker].cube) })
}

// mirrored returns the convolution that computes the input's gradient of a stride-1 convolution from dy.
func (c *Conv) mirrored() Conv {
	m := Conv{In: c.Out, Out: c.In, Kernel: c.Kernel, Stride: c.Stride, InSize: c.OutSize, OutSize: c.InSize}
	for a := range 3 {
		m.PadLo[a] = c.Kernel[a] - 1 - c.PadLo[a]
	}
	return m
}
