package cpu

import (
	"github.com/universal-classifier/uc/internal/backend/cpu/winograd"
)

// N-dimensional Winograd convolution (Jia, Zlateski, Durand & Li, PPoPP 2018): tiles of the input and the weights are transformed
// along every axis, multiplied as one matrix product per position of the transformed tile, and transformed back.
//
//	V [alpha][in/16][tile][16]     transformed input            (BT along the axes)
//	U [alpha][out/16][in/16][16][16] transformed weights        (G)
//	M [alpha][out/16][tile][16]    products, M = V U            (AT gives the output)
//
// alpha is the product of the axes' products per tile. The gradient of the weights is GT (sum over tiles of V (A dy)).

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
}

// chooseSchemes picks the schemes with the fewest products; ok is false when an axis has none. F(4,4) is left to gradients of weights,
// where no later layer amplifies its rounding: in the stem's forward pass (3.7e-6 of the result, F(3,4) has a third of it) it moved the
// logits of a training by up to 2e-4.
func (c *Conv) chooseSchemes(forWeights bool) (scheme [3]int, ok bool) {
	for a := range 3 {
		if c.Stride[a] != 1 {
			return scheme, false
		}
		best := 0
		for i, s := range schemes {
			if s.R+2*s.TapSkip != c.Kernel[a] || (s.M == 4 && s.R == 4 && !forWeights) {
				continue
			}
			tiles := (c.OutSize[a] + s.M - 1) / s.M
			if s.Skip > 0 && (c.InSize[a] != s.Inputs || c.OutSize[a] != s.M || c.PadLo[a] != s.Skip) {
				continue
			}
			if cost := tiles * s.Alpha; best == 0 || cost < best {
				best, scheme[a] = cost, i
			}
		}
		if best == 0 {
			return scheme, false
		}
	}
	return scheme, true
}

// winogradBytes is the size that the transformed input and the products of a chunk of tiles should not exceed, so that they
// stay in the caches. It does not depend on the threads.
const winogradBytes = 4 << 20

func (c *Conv) winogradPlan(batch int, forWeights bool) (w winogradPlan, ok bool) {
	w = winogradPlan{ins: Blocks(c.In), outs: Blocks(c.Out), in: c.InSize, out: c.OutSize, pad: c.PadLo, kernel: c.Kernel, inner: c.inner(), batch: batch, alphas: 1, total: batch}
	if w.scheme, ok = c.chooseSchemes(forWeights); !ok {
		return w, false
	}
	for a := range 3 {
		s := &schemes[w.scheme[a]]
		w.tiles[a] = (w.out[a] + s.M - 1) / s.M
		w.alphas *= s.Alpha
		w.total *= w.tiles[a]
	}
	fit := max(14, winogradBytes/(w.alphas*64*(w.ins+min(w.outs, winogradGroup)))/14*14)
	chunks := (w.total + fit - 1) / fit
	w.chunk = (w.total + chunks - 1) / chunks
	return w, true
}

// winogradGroup is the number of output blocks whose products are in work at a time.
const winogradGroup = 8

// odd makes a stride in floats an odd number of cache lines, so that the products of a tile do not all fall into the same cache set.
func odd(stride int) int {
	if stride/Block%2 == 0 {
		return stride + Block
	}
	return stride
}

func (w *winogradPlan) axis(a int) *winograd.Scheme { return &schemes[w.scheme[a]] }

// cube strides in floats: depth and height of a transformed tile that lies dense.
func (w *winogradPlan) cube() (d, h int) {
	h = w.axis(2).Alpha * Block
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

// forwardTile transforms one tile of a block of x, which begins at start and of which [lo, hi) exists along each axis, to v, whose products
// lie stride floats apart. kind is inputTransform or gradientTransform.
func (w *winogradPlan) forwardTile(k *kernels, kind int, x []float32, size, start, count [3]int, v []float32, stride int, cube []float32) {
	var lo, hi [3]int
	for a := range 3 {
		lo[a], hi[a] = max(0, -start[a]), min(count[a], size[a]-start[a])
		if hi[a] <= lo[a] {
			for i := range w.alphas {
				clear(v[i*stride:][:Block])
			}
			return
		}
	}
	sd, sh := w.cube()
	mask := func(a int) int { return 1<<hi[a] - 1<<lo[a] }
	row := size[2] * Block
	plane := size[1] * row
	from := (start[0]+lo[0])*plane + (start[1]+lo[1])*row + start[2]*Block
	first := cube[lo[0]*sd:]
	k.transforms[w.scheme[2]][kind](&first[lo[1]*sh], &x[0], from*4, 64, 64,
		hi[1]-lo[1], sh*4, row*4, hi[0]-lo[0], sd*4, plane*4, mask(2), nil)
	k.transforms[w.scheme[1]][kind](&first[0], &first[0], 0, sh*4, sh*4,
		sh/Block, 64, 64, hi[0]-lo[0], sd*4, sd*4, mask(1), nil)
	k.transforms[w.scheme[0]][kind](&v[0], &cube[0], 0, sd/Block*stride*4, sd*4,
		sd/Block, stride*4, 64, 1, 0, 0, mask(0), nil)
}

// inputTiles transforms tiles [from, from+count) of x to V.
func (w *winogradPlan) inputTiles(p *Pool, kind int, x Act, from, count int, v []float32, stride int, work []winogradWork) {
	k := p.kernels()
	blocks := Blocks(x.C)
	p.Run(count*blocks, func(worker, tile int) {
		t, b := tile/blocks, tile%blocks
		n, at := w.position(from + t)
		var start, size [3]int
		for a := range 3 {
			s := w.axis(a)
			if kind == inputTransform {
				start[a], size[a] = at[a]*s.M-w.pad[a]+s.Skip, s.Inputs
			} else {
				start[a], size[a] = at[a]*s.M, s.M
			}
		}
		w.forwardTile(k, kind, x.block(n, b), x.Size(), start, size, v[(b*count+t)*Block:], stride, work[worker].cube)
	})
}

// outputTile transforms the products m of tile t to its part of output block ob of y. kind is one of the output transformations.
func (w *winogradPlan) outputTile(k *kernels, kind int, m []float32, stride, t int, y Act, ob int, bias, cube []float32) {
	n, at := w.position(t)
	sd, sh := w.cube()
	row := y.W * Block
	plane := y.H * row
	var start, have [3]int
	for a := range 3 {
		start[a] = at[a] * w.axis(a).M
		have[a] = min(w.axis(a).M, w.out[a]-start[a])
	}
	mask := func(a int) int { return 1<<have[a] - 1 }
	k.transforms[w.scheme[0]][outputTransform](&cube[0], &m[0], 0, sd*4, sd/Block*stride*4,
		sd/Block, 64, stride*4, 1, 0, 0, mask(0), nil)
	k.transforms[w.scheme[1]][outputTransform](&cube[0], &cube[0], 0, sh*4, sh*4,
		sh/Block, 64, 64, have[0], sd*4, sd*4, mask(1), nil)
	var shift *float32
	if bias != nil {
		shift = &bias[ob*Block]
	}
	dst := y.block(n, ob)[start[0]*plane+start[1]*row+start[2]*Block:]
	k.transforms[w.scheme[2]][kind](&dst[0], &cube[0], 0, 64, 64,
		have[1], row*4, sh*4, have[0], plane*4, sd*4, mask(2), shift)
}

// weights transforms the packed weights of output block ob and input block ib to u, whose products lie stride floats apart. With
// mirror, the packed weights are those of the convolution whose input gradient w computes: taps and channels change sides.
func (w *winogradPlan) weights(k *kernels, packed []float32, ob, ib int, u []float32, stride int, mirror bool, work *winogradWork) {
	taps := w.kernel[0] * w.kernel[1] * w.kernel[2]
	inner, size := w.inner, taps*w.inner*Block
	var src []float32
	if mirror {
		// w.outs counts the blocks of the convolution's input
		from := packed[(ib*w.outs+ob)*size:][:size]
		for tap := range taps {
			turnBlock(k, work.turned[tap*Block*Block:], from[(taps-1-tap)*inner*Block:], inner)
		}
		inner, src = Block, work.turned
	} else {
		src = packed[(ob*w.ins+ib)*size:][:size]
		if inner < Block {
			for a := range w.alphas {
				clear(u[a*stride:][:Block*Block])
			}
		}
	}
	w.weightsBlock(k, weightsTransform, src, inner, u, stride, work.cube)
}

// winogradWork is the working memory of one worker.
type winogradWork struct {
	cube   []float32 // a transformed tile
	turned []float32 // the mirrored weights of a pair of blocks
	u, m   []float32 // products of a pair of output blocks
}

// cubeLen is the floats of the largest transformed tile.
const cubeLen = 7 * 7 * 7 * Block

// work borrows the working memory of all workers, which lies in s until the next call.
func (w *winogradPlan) work(p *Pool, s *Scratch, turned, u, m int) []winogradWork {
	work := p.winograd
	for i := range work {
		work[i] = winogradWork{cube: s.floats(cubeLen), turned: s.floats(turned), u: s.floats(u), m: s.floats(m)}
	}
	return work
}

// turnBlock writes the transposed [inner][16] matrix to the 16x16 matrix dst, filled up with zeros.
func turnBlock(k *kernels, dst, src []float32, inner int) {
	if inner == Block {
		k.transpose(&dst[0], &src[0])
		return
	}
	clear(dst[:Block*Block])
	for i := range inner {
		for o := range Block {
			dst[o*Block+i] = src[i*Block+o]
		}
	}
}

// weightsBlock transforms the weights [tap][inner][16] of a pair of blocks to u, or (weightsBackTransform) the gradient u to the weights.
func (w *winogradPlan) weightsBlock(k *kernels, kind int, packed []float32, inner int, u []float32, stride int, cube []float32) {
	sd, sh := w.cube()
	d, h, v := w.axis(0), w.axis(1), w.axis(2)
	tap := inner * Block
	row, plane := w.kernel[2]*tap, w.kernel[1]*w.kernel[2]*tap
	for i := range inner {
		taps := packed[d.TapSkip*plane+h.TapSkip*row+v.TapSkip*tap+i*Block:]
		products := u[i*Block:]
		if kind == weightsTransform {
			k.transforms[w.scheme[2]][kind](&cube[0], &taps[0], 0, 64, tap*4, h.R, sh*4, row*4, d.R, sd*4, plane*4, 0, nil)
			k.transforms[w.scheme[1]][kind](&cube[0], &cube[0], 0, sh*4, sh*4, sh/Block, 64, 64, d.R, sd*4, sd*4, 0, nil)
			k.transforms[w.scheme[0]][kind](&products[0], &cube[0], 0, sd/Block*stride*4, sd*4, sd/Block, stride*4, 64, 1, 0, 0, 0, nil)
		} else {
			k.transforms[w.scheme[0]][kind](&cube[0], &products[0], 0, sd*4, sd/Block*stride*4, sd/Block, 64, stride*4, 1, 0, 0, 0, nil)
			k.transforms[w.scheme[1]][kind](&cube[0], &cube[0], 0, sh*4, sh*4, sh/Block, 64, 64, d.R, sd*4, sd*4, 0, nil)
			k.transforms[w.scheme[2]][kind](&taps[0], &cube[0], 0, tap*4, 64, h.R, row*4, sh*4, d.R, plane*4, sd*4, 0, nil)
		}
	}
}

// convolve computes y = conv(x, packed), or adds it (outputAddTransform), or with padded bias and ReLU (outputReLUTransform).
func (w *winogradPlan) convolve(p *Pool, x Act, packed []float32, mirror bool, y Act, kind int, bias []float32, s *Scratch) {
	turned := 0
	if mirror {
		turned = w.kernel[0] * w.kernel[1] * w.kernel[2] * Block * Block
	}
	if w.chunk == w.total {
		w.convolveFew(p, x, packed, mirror, y, kind, bias, turned, s)
		return
	}
	k := p.kernels()
	work := w.work(p, s, turned, 0, 0)
	group := min(w.outs, winogradGroup)
	vs, ms, us := odd(w.ins*w.chunk*Block), odd(group*w.chunk*Block), odd(w.outs*w.ins*Block*Block)
	v, m, u := s.floats(w.alphas*vs), s.floats(w.alphas*ms), s.floats(w.alphas*us)
	p.Run(w.outs*w.ins, func(worker, tile int) {
		w.weights(k, packed, tile/w.ins, tile%w.ins, u[tile*Block*Block:], us, mirror, &work[worker])
	})
	for from := 0; from < w.total; from += w.chunk {
		count := min(w.chunk, w.total-from)
		w.inputTiles(p, inputTransform, x, from, count, v, vs, work)
		for first := 0; first < w.outs; first += group {
			blocks := min(group, w.outs-first)
			p.Run(w.alphas, func(_, a int) {
				k.multiply(v[a*vs:], count*Block, u[a*us+first*w.ins*Block*Block:], w.ins*Block*Block, x.C, m[a*ms:], count*Block, count, blocks, false)
			})
			p.Run(count*blocks, func(worker, tile int) {
				t, b := tile/blocks, tile%blocks
				w.outputTile(k, kind, m[(b*count+t)*Block:], ms, from+t, y, first+b, bias, work[worker].cube)
			})
		}
	}
}

// convolveFew is convolve for so few tiles that transforming the weights counts: every worker takes pairs of output blocks and goes
// through the input blocks, so that transformed weights and products stay in its own cache.
func (w *winogradPlan) convolveFew(p *Pool, x Act, packed []float32, mirror bool, y Act, kind int, bias []float32, turned int, s *Scratch) {
	k := p.kernels()
	group := max(k.cols, 1)
	us, ms, vs := odd(group*Block*Block), odd(group*w.total*Block), odd(w.ins*w.total*Block)
	work := w.work(p, s, turned, w.alphas*us, w.alphas*ms)
	v := s.floats(w.alphas * vs)
	w.inputTiles(p, inputTransform, x, 0, w.total, v, vs, work)
	p.Run((w.outs+group-1)/group, func(worker, tile int) {
		own := &work[worker]
		first := tile * group
		blocks := min(group, w.outs-first)
		for ib := range w.ins {
			for b := range blocks {
				w.weights(k, packed, first+b, ib, own.u[b*Block*Block:], us, mirror, own)
			}
			for a := range w.alphas {
				k.multiply(v[a*vs+ib*w.total*Block:], 0, own.u[a*us:], Block*Block, min(Block, x.C-ib*Block), own.m[a*ms:], w.total*Block, w.total, blocks, ib > 0)
			}
		}
		for b := range blocks {
			for t := range w.total {
				w.outputTile(k, kind, own.m[(b*w.total+t)*Block:], ms, t, y, first+b, bias, own.cube)
			}
		}
	})
}

// weightGradient overwrites dw by the gradient of the packed weights.
func (w *winogradPlan) weightGradient(p *Pool, x, dy Act, dw []float32, s *Scratch) {
	k := p.kernels()
	taps := w.kernel[0] * w.kernel[1] * w.kernel[2]
	size := taps * w.inner * Block
	back := func(tile int, u []float32, stride int, cube []float32) {
		dst := dw[tile*size:][:size]
		if w.axis(0).TapSkip+w.axis(1).TapSkip+w.axis(2).TapSkip > 0 {
			clear(dst)
		}
		w.weightsBlock(k, weightsBackTransform, dst, w.inner, u, stride, cube)
	}
	vs, zs := odd(w.ins*w.chunk*Block), odd(w.outs*w.chunk*Block)
	if w.chunk == w.total {
		group := min(k.outerCols, 2)
		us := odd(group * Block * Block)
		work := w.work(p, s, 0, w.alphas*us, 0)
		v, z := s.floats(w.alphas*vs), s.floats(w.alphas*zs)
		w.inputTiles(p, inputTransform, x, 0, w.total, v, vs, work)
		w.inputTiles(p, gradientTransform, dy, 0, w.total, z, zs, work)
		p.Run((w.outs+group-1)/group*w.ins, func(worker, tile int) {
			own := &work[worker]
			first, ib := tile/w.ins*group, tile%w.ins
			blocks := min(group, w.outs-first)
			for a := range w.alphas {
				k.outerProducts(v[a*vs+ib*w.total*Block:], z[a*zs+first*w.total*Block:], w.total*Block, w.total, own.u[a*us:], Block*Block, blocks, false)
			}
			for b := range blocks {
				back((first+b)*w.ins+ib, own.u[b*Block*Block:], us, own.cube)
			}
		})
		return
	}
	us := odd(w.outs * w.ins * Block * Block)
	work := w.work(p, s, 0, 0, 0)
	v, z, u := s.floats(w.alphas*vs), s.floats(w.alphas*zs), s.floats(w.alphas*us)
	for from := 0; from < w.total; from += w.chunk {
		count := min(w.chunk, w.total-from)
		w.inputTiles(p, inputTransform, x, from, count, v, vs, work)
		w.inputTiles(p, gradientTransform, dy, from, count, z, zs, work)
		p.Run(w.alphas, func(_, a int) {
			for ib := range w.ins {
				k.outerProducts(v[a*vs+ib*count*Block:], z[a*zs:], count*Block, count, u[a*us+ib*Block*Block:], w.ins*Block*Block, w.outs, from > 0)
			}
		})
	}
	p.Run(w.outs*w.ins, func(worker, tile int) { back(tile, u[tile*Block*Block:], us, work[worker].cube) })
}

// mirrored returns the convolution that computes the input's gradient of a stride-1 convolution from dy.
func (c *Conv) mirrored() Conv {
	m := Conv{In: c.Out, Out: c.In, Kernel: c.Kernel, Stride: c.Stride, InSize: c.OutSize, OutSize: c.InSize}
	for a := range 3 {
		m.PadLo[a] = c.Kernel[a] - 1 - c.PadLo[a]
	}
	return m
}
