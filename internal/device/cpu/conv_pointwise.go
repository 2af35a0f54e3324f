package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// A convolution with a 1x1x1 kernel is a matrix product over voxels.

// pointwiseChunk is the number of voxels of one tile, pointwiseWeights the bytes of weights that should stay in the
// second-level cache.
const (
	pointwiseChunk   = 14 * 16
	pointwiseWeights = 256 << 10
)

func (c *Conv) pointwise() bool {
	return c.Taps() == 1 && c.Stride == [3]int{1, 1, 1} && c.PadLo == [3]int{} && c.InSize == c.OutSize && c.inner() == kernel.Block
}

// pointwiseProduct computes y (+)= x * w for w packed as [blocks of y][blocks of x][16 of x][16 of y], between
// activations in bfloat16 as [blocks of y][blocks of x][8][16 of y][2 of x], and does with y what e asks.
func pointwiseProduct(p *Workers, x Act, w []float32, y Act, add bool, e *Epilogue, s *Scratch) {
	if x.N > 1 && x.Voxels() < 2*p.kernels().Rows {
		rows := x.N * x.Voxels()
		gathered := gatherSamples(p, x, s)
		result := y.like(s.floats(ActLen(1, y.C, 1, 1, rows)), 1, y.C, 1, 1, rows)
		if add {
			result = gatherSamples(p, y, s)
		}
		pointwiseBlocks(p, gathered, w, result, add, e, s)
		scatterSamples(p, result, y)
		return
	}
	pointwiseBlocks(p, x, w, y, add, e, s)
}

func pointwiseBlocks(p *Workers, x Act, w []float32, y Act, add bool, e *Epilogue, s *Scratch) {
	k, ky, vec := p.kernels(), p.kernels().On(y.BF16), x.vec()
	square := vec * kernel.Block // of a pair of blocks
	ins, outs, vox := Blocks(x.C), Blocks(y.C), x.Voxels()
	pieces := (vox + pointwiseChunk - 1) / pointwiseChunk
	group := min(outs, max(2, pointwiseWeights/(ins*square*4)/2*2))
	if few := 4 * p.threads; x.N*pieces < few { // else a worker may wait for another's last tile
		group = min(group, max(2, outs*x.N*pieces/few/2*2))
	}
	groups := (outs + group - 1) / group
	step := (vox + pieces - 1) / pieces
	var bias []float32      // for kernels that add it
	var shifts []normParams // for those that do not
	switch {
	case !x.BF16:
		shifts = e.shifts(y.C)
	case e.Bias != nil:
		bias = paddedBias(s, e.Bias, y.C)
	}
	var part []float64 // sums of the pieces, see addPieces
	if e.Sum != nil {
		part = s.doubles(x.N * outs * pieces * 2 * kernel.Block)
	}
	p.Run(groups*x.N*pieces, func(_, tile int) {
		g, n, piece := tile/(x.N*pieces), tile/pieces%x.N, tile%pieces
		from, o := piece*step, g*group
		a, b, c := x.Data[n*x.NStride+from*vec:], w[o*ins*square:], y.Data[n*y.NStride+(o*vox+from)*vec:]
		rows, blocks := min(step, vox-from), min(group, outs-o)
		switch {
		case !x.BF16:
			k.Multiply(false, a, vox*vec, b, ins*square, x.C, c, vox*vec, rows, blocks, add)
		case bias != nil:
			k.BF16.Multiply(a, vox*vec, b, ins*square, x.C, c, vox*vec, rows, blocks, add, bias[o*kernel.Block:], e.ReLU)
		default:
			k.BF16.Multiply(a, vox*vec, b, ins*square, x.C, c, vox*vec, rows, blocks, add, nil, e.ReLU)
		}
		for i := range blocks {
			at := &c[i*vox*vec]
			if shifts != nil {
				ky.Normalize(at, at, rows, &shifts[o+i].scale[0])
			}
			if part != nil {
				ky.Sums(at, rows, &part[((n*outs+o+i)*pieces+piece)*2*kernel.Block])
			}
		}
	})
	if part != nil {
		addPieces(part, x.N, outs, pieces, storeSums(y.C, e.Sum, e.SumSq))
	}
}

// pointwiseForwardBF16 is ConvForward between activations in bfloat16.
func pointwiseForwardBF16(p *Workers, c *Conv, x Act, w []float32, y Act, e *Epilogue, s *Scratch) {
	k := p.kernels()
	size := PackedLen(c)
	pack := func(pairs []float32) {
		p.Run(Blocks(c.Out), func(_, ob int) {
			row := size / Blocks(c.Out)
			k.BF16.PackPairs(&pairs[ob*row/2], &w[ob*row], row/(2*kernel.Block))
		})
	}
	var pairs []float32
	if e.Forms != nil {
		pairs = e.Forms.get(formKey{weights: &w[0], bf16: true}, size/2, pack)
	} else {
		pairs = s.floats(size / 2)
		pack(pairs)
	}
	pointwiseProduct(p, x, pairs, y, false, e, s)
}

// gatherSamples copies a batch into one row of voxels, sample after sample, that lies in s until the next call;
// scatterSamples copies back.
func gatherSamples(p *Workers, x Act, s *Scratch) Act {
	row := x.like(s.floats(ActLen(1, x.C, 1, 1, x.N*x.Voxels())), 1, x.C, 1, 1, x.N*x.Voxels())
	size := x.Voxels() * x.vec()
	p.Run(Blocks(x.C), func(_, b int) {
		for n := range x.N {
			copy(row.Data[(b*x.N+n)*size:][:size], x.block(n, b))
		}
	})
	return row
}

func scatterSamples(p *Workers, row, y Act) {
	size := y.Voxels() * y.vec()
	p.Run(Blocks(y.C), func(_, b int) {
		for n := range y.N {
			copy(y.block(n, b), row.Data[(b*y.N+n)*size:][:size])
		}
	})
}

// pointwiseBackwardData computes dx (+)= dy * transposed w.
func pointwiseBackwardData(p *Workers, c *Conv, dy Act, w []float32, dx Act, add bool, s *Scratch) {
	ins, outs := Blocks(c.In), Blocks(c.Out)
	k := p.kernels()
	wt := s.floats(ins * outs * kernel.Block * kernel.Block)
	p.Run(ins, func(_, ib int) {
		for ob := range outs {
			k.Transpose(&wt[(ib*outs+ob)*kernel.Block*kernel.Block], &w[(ob*ins+ib)*kernel.Block*kernel.Block])
		}
	})
	if dy.BF16 {
		pairs := s.floats(len(wt) / 2)
		p.Run(ins, func(_, ib int) {
			row := outs * kernel.Block * kernel.Block
			k.BF16.PackPairs(&pairs[ib*row/2], &wt[ib*row], row/(2*kernel.Block))
		})
		wt = pairs
	}
	pointwiseProduct(p, dy, wt, dx, add, &Epilogue{}, s)
}

// pointwiseBackwardWeights overwrites dw. The voxels are cut into a number of parts that depends on the shape alone;
// every part sums on its own and the parts are added in order.
func pointwiseBackwardWeights(p *Workers, c *Conv, x, dy Act, dw []float32, s *Scratch) {
	k := p.kernels()
	ins, outs, vox := Blocks(c.In), Blocks(c.Out), x.Voxels()
	if x.N > 1 && vox < 64 {
		x, dy, vox = gatherSamples(p, x, s), gatherSamples(p, dy, s), x.N*vox
	}
	const piece = 256 // voxels of a sum before it is added to the memory
	pieces := (vox + piece - 1) / piece
	total := x.N * pieces
	parts := min(total, 16, max(1, total*piece*(ins+outs)*kernel.Block*4/(4<<20)))
	size := outs * ins * kernel.Block * kernel.Block
	sums := dw
	if parts > 1 {
		sums = s.floats(parts * size)
	}
	group := 6 // output blocks of a tile
	groups := (outs + group - 1) / group
	var pairs [][]float32 // per worker: a piece of x and of dy in pairs of voxels
	if x.BF16 {
		for range p.Threads() {
			pairs = append(pairs, s.floats(piece/2*kernel.Block*(ins+group)))
		}
	}
	p.Run(parts*groups, func(worker, tile int) {
		part, o := tile/groups, tile%groups*group
		blocks := min(group, outs-o)
		for i := part * total / parts; i < (part+1)*total/parts; i++ {
			n, from := i/pieces, i%pieces*piece
			rows, add := min(piece, vox-from), i > part*total/parts
			if x.BF16 {
				outerPairs(k, x.Data[n*x.NStride+from*x.vec():], vox*x.vec(), dy.Data[n*dy.NStride+(o*vox+from)*x.vec():], rows,
					sums[part*size+o*ins*kernel.Block*kernel.Block:], ins, blocks, add, pairs[worker])
				continue
			}
			for ib := range ins {
				k.OuterProducts(x.Data[n*x.NStride+(ib*vox+from)*kernel.Block:], dy.Data[n*dy.NStride+(o*vox+from)*kernel.Block:], vox*kernel.Block, rows,
					sums[part*size+(o*ins+ib)*kernel.Block*kernel.Block:], ins*kernel.Block*kernel.Block, blocks, add)
			}
		}
	})
	if parts > 1 {
		p.Run(outs, func(_, ob int) {
			block := dw[ob*ins*kernel.Block*kernel.Block:][:ins*kernel.Block*kernel.Block]
			copy(block, sums[ob*ins*kernel.Block*kernel.Block:])
			for part := 1; part < parts; part++ {
				for i, v := range sums[part*size+ob*ins*kernel.Block*kernel.Block:][:len(block)] {
					block[i] += v
				}
			}
		})
	}
}

// outerPairs adds up the gradient of the weights between ins blocks of x and outs blocks of z over rows voxels in
// bfloat16; blocks of both lie stride floats apart. pairs is working memory.
func outerPairs(k *kernel.Set, x []float32, stride int, z []float32, rows int, c []float32, ins, outs int, add bool, pairs []float32) {
	n := (rows + 1) / 2 * kernel.Block
	for ib := range ins {
		k.BF16.Interleave(&pairs[ib*n], &x[ib*stride], rows)
	}
	px, pz := pairs[:ins*n], pairs[ins*n:]
	for ob := range outs {
		k.BF16.Interleave(&pz[ob*n], &z[ob*stride], rows)
	}
	for ib := range ins {
		k.BF16.OuterProducts(px[ib*n:], pz, n, n/kernel.Block, c[ib*kernel.Block*kernel.Block:], ins*kernel.Block*kernel.Block, outs, add)
	}
}
