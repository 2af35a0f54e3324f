package cpu

import (
	"slices"
	"unsafe"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// Convolutions in bfloat16 by tiles of 16 voxels, as AMX multiplies them: directly, one product for each tap. What the
// processor reads must lie in rows of 64 bytes, two blocks of channels side by side, at multiples of 64 bytes. So every
// worker first gathers a box of the input, with the zeros around it, into a panel:
//
//	panel [pair][voxel of the box][2][16]
//
// The halves of the pairs are all combinations of an input block and a copy. Along the outer axes the panel holds every
// voxel once and a tap is a shift of rows; along the innermost copied axes it holds a copy for each tap instead,
// shifted, so that the box needs no margin there and tiles of 16 voxels fit into it. The weights lie in the same order,
// [out/16][pair][tap of the outer axes][2][8][16][2].

// copyTap returns the tap that a copy stands for, counted from the first, 0 along other axes.
func (t *tilePlan) copyTap(c int) (tap [3]int) {
	for a := 2; a >= 3-t.copied; a-- {
		tap[a] = c % t.taps[a]
		c /= t.taps[a]
	}
	return tap
}

// shiftTap is copyTap for a shift along the other axes.
func (t *tilePlan) shiftTap(s int) (tap [3]int) {
	for a := 2 - t.copied; a >= 0; a-- {
		tap[a] = s % t.taps[a]
		s /= t.taps[a]
	}
	return tap
}

// gather writes a half of the panel, which begins at dst with rowBytes between its rows: a copy of a block of x. From
// line to line and from plane to plane of the panel there are so many rows; what they have too many is filled with
// zeros, or with what follows in x.
func (t *tilePlan) gather(tiles *kernel.Tiles, x Act, block, copied int, dst []float32, rowBytes, line, plane, partner int, own *tileWork) {
	size, tap := t.panelSize(), t.copyTap(copied)
	size[2] = line
	origin := [3]int{t.box.at[1], t.box.at[2], 0}
	var from, lo, hi [3]int // voxel lo of the panel is voxel from of x, and those up to hi exist
	for a := range 3 {
		shift := origin[a] - t.pad[a] + tap[a]
		lo[a] = min(size[a], max(0, -shift))
		hi[a] = max(lo[a], min(size[a], t.in[a]-shift))
		from[a] = lo[a] + shift
	}
	g, zero := &own.boxes[0], &own.boxes[1]
	*g = kernel.Gather{DstRow: rowBytes, DstPlane: plane * rowBytes, SrcPlane: x.H * x.W * 32, SrcLine: x.W * 32, Partner: partner}
	*zero = *g
	zero.Top = plane
	full := hi[1] > lo[1] && hi[2] > lo[2]
	if full {
		g.Planes, g.Top, g.Lines, g.Bottom = hi[0]-lo[0], lo[1]*line, hi[1]-lo[1], plane-hi[1]*line
		g.Lead, g.Count, g.Trail = lo[2], hi[2]-lo[2], size[2]-hi[2]
	} else {
		lo[0], hi[0] = size[0], size[0]
	}
	for n := range t.box.size[0] {
		to := func(plane int) *float32 { return &dst[(n*size[0]+plane)*g.DstPlane/4] }
		if zero.Planes = lo[0]; zero.Planes > 0 {
			tiles.Gather(to(0), to(0), zero)
		}
		if hi[0] > lo[0] {
			src := x.block(t.box.at[0]+n, block)[((from[0]*x.H+from[1])*x.W+from[2])*kernel.Block/2:]
			tiles.Gather(to(lo[0]), &src[0], g)
		}
		if zero.Planes = size[0] - hi[0]; zero.Planes > 0 {
			tiles.Gather(to(hi[0]), to(hi[0]), zero)
		}
	}
}

// gatherPair writes a pair of the panel.
func (t *tilePlan) gatherPair(tiles *kernel.Tiles, x Act, pair int, panel []float32, own *tileWork) {
	rows, size := t.panelRows(), t.panelSize()
	if block, copied := t.half(2 * pair); 2*pair+1 < t.ins&^1*t.copies {
		t.gather(tiles, x, block, copied, panel[pair*rows*kernel.Block:], kernel.Block*4, size[2], size[1]*size[2], x.Voxels()*32, own)
		return
	}
	for h := range 2 {
		half := 2*pair + h
		dst := panel[pair*rows*kernel.Block+h*kernel.Block/2:]
		if half < t.ins*t.copies {
			block, copied := t.half(half)
			t.gather(tiles, x, block, copied, dst, kernel.Block*4, size[2], size[1]*size[2], 0, own)
			continue
		}
		own.boxes[1] = kernel.Gather{Planes: 1, Top: rows, DstRow: kernel.Block * 4}
		tiles.Gather(&dst[0], &dst[0], &own.boxes[1])
	}
}

// rows lists the tiles of a box and where their rows lie in y, in bytes from its beginning. Where every plane has runs
// of its own, tiles of two planes take turns: what one reads a tap further in depth, the other has just read.
func (t *tilePlan) rows(y Act, own *tileChunk) {
	size, tiles := t.panelSize(), t.tiles()
	starts, to := own.starts[:tiles], own.to[:tiles*kernel.TileRows]
	for i := range to {
		to[i] = -1
	}
	planes := t.box.size[1]
	perPlane := tiles / (t.box.size[0] * planes) // where planes have runs of their own
	columns := t.columns()
	next := 0 // row of the plane or, without runs of their own, of the box
	for n := range t.box.size[0] {
		for d := range planes {
			if t.copied < 2 {
				next = 0
			}
			for h := range t.box.size[2] {
				if t.copied == 0 || t.copied == 2 && d == 0 && h == 0 {
					next = (next + kernel.TileRows - 1) / kernel.TileRows * kernel.TileRows
				}
				from := ((n*size[0]+d)*size[1] + h) * size[2] * 64
				at := (t.box.at[0]+n)*y.NStride*4 + ((t.box.at[1]+d)*y.H+t.box.at[2]+h)*y.W*32
				for w := 0; w < y.W; {
					tile, row := next/kernel.TileRows, next%kernel.TileRows
					if t.copied < 2 {
						if columns > 1 {
							tile = inColumns(tile, columns, perPlane)
						}
						switch first := (n*planes + d&^1) * perPlane; {
						case d|1 < planes:
							tile = first + 2*tile + d&1
						default:
							tile += first
						}
					}
					count := min(kernel.TileRows-row, y.W-w)
					if row == 0 {
						starts[tile] = from + w*64
					}
					for i := range to[tile*kernel.TileRows+row:][:count] {
						to[tile*kernel.TileRows+row+i] = at + (w+i)*32
					}
					w += count
					next += count
				}
			}
		}
	}
	own.starts, own.to = starts, to
}

// tileNearBytes is how much of the panel the steps of two tiles of neighbouring planes and the next ones may read, for
// the first-level cache to hold it beside the weights of these steps.
const tileNearBytes = 24 << 10

// columns returns after how many tiles of a plane one begins right below, so that its taps read much the same rows; 1
// where the lines are so short that all tiles in between stay in the cache.
func (t *tilePlan) columns() int {
	w := t.out[2]
	lines := (t.taps[0] + 1) * t.taps[1] // of two planes
	switch {
	case t.copied > 1 || lines*t.panelSize()[2]*64 <= tileNearBytes:
		return 1
	case t.copied == 0:
		return (w + kernel.TileRows - 1) / kernel.TileRows
	}
	n := 1
	for n*kernel.TileRows%w != 0 {
		n++
	}
	return n
}

// inColumns returns the place of a tile where those that are columns apart come behind one another.
func inColumns(tile, columns, tiles int) int {
	column := tile % columns
	return column*(tiles/columns) + min(column, tiles%columns) + tile/columns
}

// offsets lists where the steps find their rows in a panel.
func (t *tilePlan) offsets(list []int) {
	size, pair := t.panelSize(), t.panelRows()*64
	for s := range t.shifts {
		tap := t.shiftTap(s)
		list[s] = ((tap[0]*size[1]+tap[1])*size[2] + tap[2]) * 64
	}
	for i := t.shifts; i < len(list); i++ {
		list[i] = list[i-t.shifts] + pair
	}
}

// tileChunk is what a worker has made of a chunk.
type tileChunk struct {
	ready               bool
	starts, to, offsets []int
	panel               []float32
}

// tileWork is the working memory of one worker.
type tileWork struct {
	chunks  []tileChunk // one, or all where the output is shared out by blocks
	results []float32
	square  []float32        // a pair of blocks of weights
	boxes   [2]kernel.Gather // in memory that the kernels can see
	sum     gradientWork
	rows    [8]*float32 // of the first layer's input
}

// work borrows the working memory of all workers, which lies in s until the next call, for so many chunks each.
func (t *tilePlan) work(p *Workers, s *Scratch, chunks int) []tileWork {
	work := p.byTiles
	for i := range work {
		own := &work[i]
		own.results, own.square = s.floats(kernel.ProductSums/4), s.floats(kernel.Block*kernel.Block)
		own.chunks = slices.Grow(own.chunks[:0], chunks)[:chunks]
		for c := range own.chunks {
			own.chunks[c] = tileChunk{starts: s.ints(t.tiles()), to: s.ints(t.tiles() * kernel.TileRows), offsets: s.ints(t.steps())}
			if !t.byOutput || i == 0 || p.threads <= tileFew {
				own.chunks[c].panel = s.floats(t.panelFloats())
			} else {
				own.chunks[c].panel = work[0].chunks[c].panel
			}
		}
	}
	return work
}

// ints returns n integers of undefined content.
func (s *Scratch) ints(n int) []int {
	f := s.floats(2 * n)
	return unsafe.Slice((*int)(unsafe.Pointer(unsafe.SliceData(f))), n)
}

// tileForm is the part of a plan that the order of the weights depends on.
type tileForm struct {
	first, taps [3]int
	copied      int
}

// weights returns the weights in the order of the steps: from forms, where they are made on first use, or in memory
// that lies in s until the next call. With mirror, the packed weights are those of the convolution whose input gradient
// t computes: taps and channels change sides.
func (t *tilePlan) weights(p *Workers, packed []float32, mirror bool, forms *Forms, s *Scratch, work []tileWork) []float32 {
	size := t.outs * t.steps() * kernel.TileBytes / 4
	fill := func(b []float32) {
		pairs := t.pairs()
		p.Run(t.outs*pairs, func(worker, tile int) {
			t.packPair(p.kernels(), packed, tile/pairs, tile%pairs, mirror, b[tile*t.shifts*kernel.TileBytes/4:], work[worker].square)
		})
	}
	if forms != nil {
		return forms.get(formKey{weights: &packed[0], bf16: true, tiles: tileForm{t.first, t.taps, t.copied}}, size, fill)
	}
	b := s.floats(size)
	fill(b)
	return b
}

// packPair writes the weights between a pair and output block ob.
func (t *tilePlan) packPair(k *kernel.Set, packed []float32, ob, pair int, mirror bool, b, square []float32) {
	const half = kernel.TileBytes / 8
	taps := t.kernel[0] * t.kernel[1] * t.kernel[2]
	size := taps * t.inner * kernel.Block
	for s := range t.shifts {
		shift := t.shiftTap(s)
		for h := range 2 {
			i, dst := 2*pair+h, b[(2*s+h)*half:][:half]
			if i >= t.ins*t.copies {
				clear(dst)
				continue
			}
			ib, copied := t.half(i)
			tap := t.copyTap(copied)
			for a := range tap {
				tap[a] += shift[a] + t.first[a]
			}
			at := (tap[0]*t.kernel[1]+tap[1])*t.kernel[2] + tap[2]
			var src []float32
			switch {
			case mirror && t.inner == kernel.Block:
				k.Tiles.PackTurned(&dst[0], &packed[(ib*t.outs+ob)*size+(taps-1-at)*kernel.Block*kernel.Block])
				continue
			case mirror:
				turnBlock(k, square, packed[(ib*t.outs+ob)*size+(taps-1-at)*t.inner*kernel.Block:], t.inner)
				src = square
			case t.inner < kernel.Block:
				clear(square)
				copy(square, packed[(ob*t.ins+ib)*size+at*t.inner*kernel.Block:][:t.inner*kernel.Block])
				src = square
			default:
				src = packed[(ob*t.ins+ib)*size+at*kernel.Block*kernel.Block:]
			}
			k.BF16.PackPairs(&dst[0], &src[0], kernel.Block/2)
		}
	}
}

// forward is ConvForward.
func (t *tilePlan) forward(p *Workers, x Act, packed []float32, y Act, e *Epilogue, s *Scratch) {
	t.convolve(p, x, packed, y, false, false, e, s)
	if e.Sum != nil {
		channelSums(p, y, e.Sum, e.SumSq, s)
	}
}

// tileFew is the most workers that gather the whole input for themselves rather than share it.
const tileFew = 4

// convolve computes y = conv(x, packed), or adds it to y, and bias and ReLU as e asks.
func (t *tilePlan) convolve(p *Workers, x Act, packed []float32, y Act, mirror, add bool, e *Epilogue, s *Scratch) {
	tiles := p.kernels().Tiles
	chunks := t.chunks[0] * t.chunks[1] * t.chunks[2]
	each := 1
	if t.byOutput {
		each = chunks
	}
	work := t.work(p, s, each)
	var bias []float32
	if e.Bias != nil {
		bias = paddedBias(s, e.Bias, y.C)
	}
	pairs, cStride := t.pairs(), y.Voxels()*32
	b := t.weights(p, packed, mirror, e.Forms, s, work)
	// prepare makes the tables of a chunk, and its panel unless that is shared and there already.
	prepare := func(part *tilePlan, chunk int, gather bool, worker *tileWork) {
		own := &worker.chunks[chunk]
		part.rows(y, own)
		part.offsets(own.offsets)
		for pair := 0; gather && pair < pairs; pair++ {
			part.gatherPair(tiles, x, pair, own.panel, worker)
		}
		own.ready = true
	}
	product := func(own *tileChunk, o, outs int, results []float32) {
		var shift []float32
		if bias != nil {
			shift = bias[o*kernel.Block:]
		}
		tiles.Product(own.panel, kernel.Rows{Starts: own.starts, To: own.to}, own.offsets, t.shifts, b[o*t.steps()*kernel.TileBytes/4:], y.Data[o*cStride/4:], cStride, outs, shift, add, e.ReLU, results)
	}
	if !t.byOutput {
		p.Run(chunks, func(worker, tile int) {
			part, own := t.chunk(tile), &work[worker]
			prepare(&part, 0, true, own)
			product(&own.chunks[0], 0, t.outs, own.results)
		})
		return
	}
	private := p.threads <= tileFew
	if !private {
		p.Run(chunks*pairs, func(worker, tile int) {
			part := t.chunk(tile / pairs)
			part.gatherPair(tiles, x, tile%pairs, work[0].chunks[tile/pairs].panel, &work[worker])
		})
	}
	// Pairs of output blocks, and where these are fewer than the workers, parts of the chunks.
	outs := (t.outs + 1) / 2
	parts := min(chunks, (p.threads+outs-1)/outs)
	p.Run(outs*parts, func(worker, tile int) {
		own, o := &work[worker], tile/parts*2
		for c := tile % parts; c < chunks; c += parts {
			mine := &own.chunks[c]
			if !mine.ready {
				part := t.chunk(c)
				prepare(&part, c, private, own)
			}
			product(mine, o, min(2, t.outs-o), own.results)
		}
	})
}
