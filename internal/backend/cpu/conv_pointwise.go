package cpu

// A convolution with a 1x1x1 kernel is a matrix product over voxels.

// pointwiseChunk is the number of voxels of one tile, pointwiseWeights the bytes of weights that should stay in the second-level cache.
const (
	pointwiseChunk   = 14 * 16
	pointwiseWeights = 256 << 10
)

func (c *Conv) pointwise() bool {
	return c.Taps() == 1 && c.Stride == [3]int{1, 1, 1} && c.PadLo == [3]int{} && c.InSize == c.OutSize && c.inner() == Block
}

// pointwiseProduct computes y (+)= x * w for w packed as [blocks of y][blocks of x][16 of x][16 of y].
func pointwiseProduct(p *Pool, x Act, w []float32, y Act, add bool, s *Scratch) {
	if x.N > 1 && x.Voxels() < 2*p.kernels().rows {
		rows := x.N * x.Voxels()
		gathered := ActOn(s.floats(ActLen(1, x.C, 1, 1, rows)), 1, x.C, 1, 1, rows)
		result := ActOn(s.floats(ActLen(1, y.C, 1, 1, rows)), 1, y.C, 1, 1, rows)
		gatherSamples(p, x, gathered)
		if add {
			gatherSamples(p, y, result)
		}
		pointwiseBlocks(p, gathered, w, result, add)
		scatterSamples(p, result, y)
		return
	}
	pointwiseBlocks(p, x, w, y, add)
}

func pointwiseBlocks(p *Pool, x Act, w []float32, y Act, add bool) {
	k := p.kernels()
	ins, outs, vox := Blocks(x.C), Blocks(y.C), x.Voxels()
	group := min(outs, max(2, pointwiseWeights/(ins*Block*Block*4)/2*2))
	groups := (outs + group - 1) / group
	pieces := (vox + pointwiseChunk - 1) / pointwiseChunk
	step := (vox + pieces - 1) / pieces
	p.Run(groups*x.N*pieces, func(_, tile int) {
		g, n, from := tile/(x.N*pieces), tile/pieces%x.N, tile%pieces*step
		o := g * group
		k.multiply(x.Data[n*x.NStride+from*Block:], vox*Block, w[o*ins*Block*Block:], ins*Block*Block, x.C,
			y.Data[n*y.NStride+(o*vox+from)*Block:], vox*Block, min(step, vox-from), min(group, outs-o), add)
	})
}

// gatherSamples copies a batch into one row of voxels, sample after sample; scatterSamples copies back.
func gatherSamples(p *Pool, x, row Act) {
	size := x.Voxels() * Block
	p.Run(Blocks(x.C), func(_, b int) {
		for n := range x.N {
			copy(row.Data[(b*x.N+n)*size:][:size], x.block(n, b))
		}
	})
}

func scatterSamples(p *Pool, row, y Act) {
	size := y.Voxels() * Block
	p.Run(Blocks(y.C), func(_, b int) {
		for n := range y.N {
			copy(y.block(n, b), row.Data[(b*y.N+n)*size:][:size])
		}
	})
}

// pointwiseBackwardData computes dx (+)= dy * transposed w.
func pointwiseBackwardData(p *Pool, c *Conv, dy Act, w []float32, dx Act, add bool, s *Scratch) {
	ins, outs := Blocks(c.In), Blocks(c.Out)
	k := p.kernels()
	wt := s.floats(ins * outs * Block * Block)
	p.Run(ins, func(_, ib int) {
		for ob := range outs {
			k.transpose(&wt[(ib*outs+ob)*Block*Block], &w[(ob*ins+ib)*Block*Block])
		}
	})
	pointwiseProduct(p, dy, wt, dx, add, s)
}

// pointwiseBackwardWeights overwrites dw. The voxels are cut into a number of parts that depends on the shape alone; every part sums
// on its own and the parts are added in order.
func pointwiseBackwardWeights(p *Pool, c *Conv, x, dy Act, dw []float32, s *Scratch) {
	k := p.kernels()
	ins, outs, vox := Blocks(c.In), Blocks(c.Out), x.Voxels()
	if x.N > 1 && vox < 64 {
		rows := x.N * vox
		gx := ActOn(s.floats(rows*ins*Block), 1, c.In, 1, 1, rows)
		gy := ActOn(s.floats(rows*outs*Block), 1, c.Out, 1, 1, rows)
		gatherSamples(p, x, gx)
		gatherSamples(p, dy, gy)
		x, dy, vox = gx, gy, rows
	}
	const piece = 256 // voxels of a sum before it is added to the memory
	pieces := (vox + piece - 1) / piece
	total := x.N * pieces
	parts := min(total, 16, max(1, total*piece*(ins+outs)*Block*4/(4<<20)))
	size := outs * ins * Block * Block
	sums := dw
	if parts > 1 {
		sums = s.floats(parts * size)
	}
	group := 6 // output blocks of a tile
	groups := (outs + group - 1) / group
	p.Run(parts*groups, func(_, tile int) {
		part, o := tile/groups, tile%groups*group
		blocks := min(group, outs-o)
		for i := part * total / parts; i < (part+1)*total/parts; i++ {
			n, from := i/pieces, i%pieces*piece
			rows := min(piece, vox-from)
			for ib := range ins {
				k.outerProducts(x.Data[n*x.NStride+(ib*vox+from)*Block:], dy.Data[n*dy.NStride+(o*vox+from)*Block:], vox*Block, rows,
					sums[part*size+(o*ins+ib)*Block*Block:], ins*Block*Block, blocks, i > part*total/parts)
			}
		}
	})
	if parts > 1 {
		p.Run(outs, func(_, ob int) {
			block := dw[ob*ins*Block*Block:][:ins*Block*Block]
			copy(block, sums[ob*ins*Block*Block:])
			for part := 1; part < parts; part++ {
				for i, v := range sums[part*size+ob*ins*Block*Block:][:len(block)] {
					block[i] += v
				}
			}
		})
	}
}
