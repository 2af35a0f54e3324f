package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// The gradient of the weights by tiles: for every tap, products over 32 voxels at a time of dy, transposed to
// [16 channels][32 voxels], and x in pairs of voxels, [16 pairs][16 channels][2]. As the pairs must begin at even
// voxels, the lines of x are always copied for each tap; the panel of x is
//
//	[in/16][copy][voxel of the box/2][16][2]
//
// and that of dy, [out/16][32 voxels][16][32], goes through the runs of voxels of the box, with zeros where they do not
// fill 32. The sums of several chunks are added up in tiles [out/16][in/16][copy][tap of the other axes][16 out][16
// in].

// tileGradient is a tilePlan whose box is a chunk of the sum over voxels.
type tileGradient struct {
	tilePlan
	parts int // sums on their own, each over as many chunks
}

// Bytes of the panels of a worker, and of all sums.
const (
	tileGradientPanels = 1280 << 10
	tileGradientSums   = 8 << 20
	tileGradientParts  = 16
)

// gradientGatherCost is gathering a row of 32 bytes and turning it into pairs, in cycles, beside tileProductCost.
const gradientGatherCost = 6

// tileGradient returns the plan with the least work. Chunks and parts depend on the shape alone, so that the result
// does not depend on the threads.
func (c *Conv) tileGradient(p *Workers, a Act) (g tileGradient, ok bool) {
	plan, ok := c.tilePlan(p, a)
	if !ok {
		return g, false
	}
	least := 0
	for copied := 1; copied <= 3; copied++ {
		t := tileGradient{tilePlan: plan}
		t.setCopied(copied)
		t.box.size, t.chunks = [3]int{t.batch, t.out[0], t.out[1]}, [3]int{1, 1, 1}
		for t.panelBytes() > tileGradientPanels && t.splitBest(func(p *tilePlan) int { return (&tileGradient{tilePlan: *p}).cost() }) {
		}
		if cost := t.cost(); copied == 1 || cost < least {
			least, g = cost, t
		}
	}
	chunks, sums := g.chunks[0]*g.chunks[1]*g.chunks[2], g.outs*g.halves()*kernel.TileBytes
	g.parts = 1
	for 2*g.parts <= min(chunks, tileGradientParts) && 2*g.parts*sums <= tileGradientSums {
		g.parts *= 2
	}
	return g, true
}

// cost estimates the work in cycles.
func (g *tileGradient) cost() int {
	boxes := g.chunks[0] * g.chunks[1] * g.chunks[2]
	_, steps := g.runSteps()
	return boxes * (steps*g.halves()*g.outs*tileProductCost + (g.xRows()*g.ins*g.copies+steps*32*g.outs)*gradientGatherCost)
}

// halves returns the combinations of an input block and a tap.
func (g *tileGradient) halves() int { return g.ins * g.copies * g.shifts }

// pitches returns the voxels from line to line and from plane to plane of the panels, even where taps shift along them.
func (g *tileGradient) pitches() (line, plane int) {
	size := g.panelSize()
	line = size[2]
	if g.copied == 1 {
		line += line % 2
	}
	plane = size[1] * line
	if g.copied == 2 {
		plane += plane % 2
	}
	return line, plane
}

// xRows returns the voxels of a half of the panel of x, an even number.
func (g *tileGradient) xRows() int {
	_, plane := g.pitches()
	n := g.box.size[0] * g.panelSize()[0] * plane
	return n + n%2
}

// runSteps returns the runs of the box and the steps of 32 voxels of all together.
func (g *tileGradient) runSteps() (runs, steps int) {
	line, plane := g.pitches()
	length := g.box.size[2] * line
	switch runs = g.box.size[0] * g.box.size[1]; g.copied {
	case 2:
		runs, length = g.box.size[0], g.box.size[1]*plane
	case 3:
		runs, length = 1, runs*plane
	}
	return runs, runs * ((length + 31) / 32)
}

func (g *tileGradient) panelBytes() int {
	_, steps := g.runSteps()
	return g.ins*g.copies*g.xRows()*32 + g.outs*steps*kernel.TileBytes
}

// gradientWork is the working memory of one worker.
type gradientWork struct {
	x, z            []float32
	plain, pairs    []float32 // a block on its way into a panel
	starts, offsets []int
}

func (g *tileGradient) work(p *Workers, s *Scratch) []tileWork {
	_, steps := g.runSteps()
	for i := range p.byTiles {
		rows := max(g.xRows(), steps*32)
		p.byTiles[i].sum = gradientWork{
			x: s.floats(g.ins*g.copies*g.xRows()*8 + 32*8), z: s.floats(g.outs * steps * kernel.TileBytes / 4),
			plain: s.floats(rows * 8), pairs: s.floats(kernel.Block * kernel.Block),
			starts: s.ints(steps), offsets: s.ints(g.halves()),
		}
	}
	return p.byTiles
}

// gatherX fills the panel of x.
func (g *tileGradient) gatherX(k *kernel.Set, x Act, worker *tileWork) {
	own := &worker.sum
	rows := g.xRows()
	clear(own.x[g.ins*g.copies*rows*8:]) // what the last step reads too much
	line, plane := g.pitches()
	for half := range g.ins * g.copies {
		used := g.box.size[0] * g.panelSize()[0] * plane
		clear(own.plain[used*8 : rows*8])
		g.gather(k.Tiles, x, half/g.copies, half%g.copies, own.plain, 32, line, plane, 0, worker)
		k.BF16.Interleave(&own.x[half*rows*8], &own.plain[0], rows)
	}
}

// gatherZ fills the panel of dy for outs output blocks from first.
func (g *tileGradient) gatherZ(k *kernel.Set, dy Act, first, outs int, worker *tileWork) {
	own := &worker.sum
	line, plane := g.pitches()
	runs, steps := g.runSteps()
	perRun := steps / runs * 32 // voxels
	size := g.box.size
	line0 := &worker.boxes[0]
	*line0 = kernel.Gather{Planes: size[1], SrcPlane: dy.H * dy.W * 32, SrcLine: dy.W * 32, Lines: size[2], Count: dy.W, DstRow: 32}
	samples := perRun // voxels from sample to sample
	switch line0.Trail, line0.DstPlane = line-dy.W, plane*32; g.copied {
	case 1:
		samples = size[1] * perRun
		line0.DstPlane, line0.Bottom = perRun*32, perRun-size[2]*line
	case 2:
		line0.Bottom = plane - size[2]*line
	case 3:
		samples = size[1] * plane
	}
	for o := range outs {
		for n := range size[0] {
			src := dy.block(g.box.at[0]+n, first+o)[(g.box.at[1]*dy.H+g.box.at[2])*dy.W*kernel.Block/2:]
			k.Tiles.Gather(&own.plain[n*samples*8], &src[0], line0)
			if g.copied == 2 {
				clear(own.plain[(n*samples+size[1]*plane)*8 : (n+1)*samples*8])
			}
		}
		if g.copied == 3 {
			clear(own.plain[size[0]*samples*8 : steps*32*8])
		}
		for s := range steps {
			k.BF16.Interleave(&own.pairs[0], &own.plain[s*32*8], 32)
			k.Transpose(&own.z[(o*steps+s)*kernel.TileBytes/4], &own.pairs[0])
		}
	}
}

// lists returns where the steps find their voxels in the panel of x, and the halves their tap.
func (g *tileGradient) lists(own *gradientWork) (starts, offsets []int) {
	line, plane := g.pitches()
	runs, steps := g.runSteps()
	size := g.panelSize()
	starts, offsets = own.starts[:0], own.offsets[:0]
	for run := range runs {
		from := 0
		switch g.copied {
		case 1:
			from = (run/g.box.size[1]*size[0] + run%g.box.size[1]) * plane
		case 2:
			from = run * size[0] * plane
		}
		for s := range steps / runs {
			starts = append(starts, (from+s*32)*32)
		}
	}
	for half := range g.ins * g.copies {
		for s := range g.shifts {
			tap := g.shiftTap(s)
			offsets = append(offsets, (half*g.xRows()+tap[0]*plane+tap[1]*line)*32)
		}
	}
	return starts, offsets
}

// gradient overwrites dw by the gradient of the packed weights.
func (g *tileGradient) gradient(p *Workers, x, dy Act, dw []float32, s *Scratch) {
	k := p.kernels()
	work := g.work(p, s)
	halves, chunks := g.halves(), g.chunks[0]*g.chunks[1]*g.chunks[2]
	size := g.outs * halves * kernel.TileBytes / 4
	sums := s.floats(g.parts * size)
	// Where the parts are fewer than the threads, several workers take a part, each some of the output blocks.
	groups := min((p.threads+g.parts-1)/g.parts, (g.outs+1)/2)
	group := ((g.outs+1)/2 + groups - 1) / groups * 2
	groups = (g.outs + group - 1) / group
	p.Run(g.parts*groups, func(worker, tile int) {
		own, part, first := &work[worker].sum, tile/groups, tile%groups*group
		outs := min(group, g.outs-first)
		for i := part * chunks / g.parts; i < (part+1)*chunks/g.parts; i++ {
			box := tileGradient{tilePlan: g.chunk(i)}
			box.gatherX(k, x, &work[worker])
			box.gatherZ(k, dy, first, outs, &work[worker])
			starts, offsets := box.lists(own)
			k.Tiles.Outer(own.z, len(starts)*kernel.TileBytes, outs, own.x, starts, offsets,
				sums[part*size+first*halves*kernel.TileBytes/4:], halves*kernel.TileBytes, i > part*chunks/g.parts)
		}
	})
	g.finish(p, sums, size, dw)
}

// finish adds up the sums of the parts, in order, and turns them into the packed gradient.
func (g *tileGradient) finish(p *Workers, sums []float32, size int, dw []float32) {
	const square = kernel.Block * kernel.Block
	k, work := p.kernels(), p.byTiles
	taps := g.kernel[0] * g.kernel[1] * g.kernel[2]
	length := taps * g.inner * kernel.Block
	perBlock := g.copies * g.shifts
	p.Run(g.outs*g.ins, func(worker, tile int) {
		block := dw[tile*length:][:length]
		if perBlock < taps {
			clear(block)
		}
		for i := range perBlock {
			tap, shift := g.copyTap(i/g.shifts), g.shiftTap(i%g.shifts)
			for a := range tap {
				tap[a] += shift[a] + g.first[a]
			}
			at := (tap[0]*g.kernel[1]+tap[1])*g.kernel[2] + tap[2]
			sum := sums[(tile*perBlock+i)*square:][:square]
			for part := 1; part < g.parts; part++ {
				for j, v := range sums[part*size+(tile*perBlock+i)*square:][:square] {
					sum[j] += v
				}
			}
			turned := work[worker].sum.pairs
			k.Transpose(&turned[0], &sum[0])
			copy(block[at*g.inner*kernel.Block:], turned[:g.inner*kernel.Block])
		}
	})
}
