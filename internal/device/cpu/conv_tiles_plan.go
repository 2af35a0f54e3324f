package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// tilePlan is a stride-1 convolution seen as products of tiles.
type tilePlan struct {
	ins, outs      int // channel blocks
	in, out        [3]int
	kernel         [3]int
	inner          int    // input channels side by side in the packed weights
	first, taps    [3]int // the taps that reach into the input
	pad            [3]int // in front, for the first of these taps
	copied         int    // how many of the innermost axes are copied
	copies, shifts int    // taps of the copied and of the other axes
	batch          int
	box            tileBox // of a chunk; its origin counts nothing
	chunks         [3]int  // along samples, depth and height
	byOutput       bool    // the workers share out the output blocks, not the chunks
}

// tileBox is a part of the output: samples, planes and lines, from an origin.
type tileBox struct{ at, size [3]int }

// tilePanelBytes is how large a panel may be, which should stay in a core's second-level cache.
const tilePanelBytes = 1 << 20

// tileLeast is the tiles of a chunk that is not made smaller to share out the work.
const tileLeast = 8

// Costs for choosing a plan, in cycles: a product of two tiles, and gathering a row of a half.
const (
	tileProductCost = 16
	tileGatherCost  = 10
)

// planKey says what a plan is for.
type planKey struct {
	Conv
	batch int
}

// maxPlans is how many plans are kept: those of a few networks.
const maxPlans = 512

// tilePlan returns the plan with the least work for activations such as a; ok is false if these are not in bfloat16,
// the workers have no tiles or the convolution has strides.
func (c *Conv) tilePlan(p *Workers, a Act) (plan tilePlan, ok bool) {
	if !a.BF16 || p.kernels().Tiles == nil || c.Stride != [3]int{1, 1, 1} || a.N == 0 {
		return plan, false
	}
	key := planKey{*c, a.N}
	if plan, ok = p.plans[key]; !ok {
		if plan, ok = c.newTilePlan(p.threads, a.N); ok {
			if len(p.plans) >= maxPlans {
				clear(p.plans)
			}
			p.plans[key] = plan
		}
	}
	return plan, ok
}

// newTilePlan makes the plan; ok is false if no tap reaches into the input.
func (c *Conv) newTilePlan(threads, batch int) (plan tilePlan, ok bool) {
	t := tilePlan{ins: Blocks(c.In), outs: Blocks(c.Out), in: c.InSize, out: c.OutSize, kernel: c.Kernel, inner: c.inner(), batch: batch}
	for a := range 3 {
		first, last := max(0, c.PadLo[a]-c.OutSize[a]+1), min(c.Kernel[a], c.PadLo[a]+c.InSize[a])-1
		if last < first {
			return plan, false
		}
		t.first[a], t.taps[a], t.pad[a] = first, last-first+1, c.PadLo[a]-first
	}
	least := 0
	for copied := range 4 {
		t.setCopied(copied)
		t.cut(tileUsual)
		if cost := t.cost(tileUsual); copied == 0 || cost < least {
			least, plan = cost, t
		}
	}
	plan.cut(threads)
	return plan, true
}

// tileUsual are the threads for which the copied axes are chosen. Results depend on these, and not on the threads.
const tileUsual = 2

// cost estimates the work of all threads in cycles.
func (t *tilePlan) cost(threads int) int {
	gathered := t.chunks[0] * t.chunks[1] * t.chunks[2] * t.panelRows() * t.ins * t.copies
	if t.byOutput && threads <= tileFew {
		gathered *= threads
	}
	whole := *t
	whole.box.size = [3]int{t.batch, t.out[0], t.out[1]}
	return whole.tiles()*t.steps()*t.outs*tileProductCost + gathered*tileGatherCost
}

// setCopied has the innermost axes copied.
func (t *tilePlan) setCopied(axes int) {
	t.copied, t.copies, t.shifts = axes, 1, 1
	for a, taps := range t.taps {
		if t.isCopied(a) {
			t.copies *= taps
		} else {
			t.shifts *= taps
		}
	}
}

// isCopied reports whether the panel holds a copy for every tap of an axis.
func (t *tilePlan) isCopied(axis int) bool { return axis >= 3-t.copied }

// half returns the block and the copy of a half of the panel. Neighbouring blocks of one copy are pairs; the last of an
// odd number of blocks comes behind all others, in pairs of copies.
func (t *tilePlan) half(i int) (block, copied int) {
	even := t.ins &^ 1
	if i < even*t.copies {
		return i % even, i / even
	}
	return even, i - even*t.copies
}

func (t *tilePlan) pairs() int { return (t.ins*t.copies + 1) / 2 }

func (t *tilePlan) steps() int { return t.pairs() * t.shifts }

// panelSize returns the planes, lines and voxels of a line of the panel of a sample's box.
func (t *tilePlan) panelSize() [3]int {
	size := [3]int{t.box.size[1], t.box.size[2], t.out[2]}
	for a := range size {
		if !t.isCopied(a) {
			size[a] += t.taps[a] - 1
		}
	}
	return size
}

// panelRows returns the rows of a pair of the panel.
func (t *tilePlan) panelRows() int {
	size := t.panelSize()
	return t.box.size[0] * size[0] * size[1] * size[2]
}

// panelFloats is the memory of a panel. The last tile may reach beyond its end.
func (t *tilePlan) panelFloats() int {
	return (t.pairs()*t.panelRows() + kernel.TileRows) * kernel.Block
}

// runs returns how many runs of voxels that lie behind one another in the panel the box has, and their length.
func (t *tilePlan) runs() (count, length int) {
	count, length = 1, t.out[2]
	for a := range 3 { // samples, planes, lines
		if t.copied < 3-a {
			count *= t.box.size[a]
		} else {
			length *= t.box.size[a]
		}
	}
	return count, length
}

// tiles returns the tiles of a box: those of its runs.
func (t *tilePlan) tiles() int {
	count, length := t.runs()
	return count * ((length + kernel.TileRows - 1) / kernel.TileRows)
}

// cut chooses the chunks: boxes whose panels stay in the cache, and as many as there are threads. Where the weights are
// larger than all panels, every worker reads a part of them only, and all panels.
func (t *tilePlan) cut(threads int) {
	weights := t.outs * t.steps() * kernel.TileBytes
	t.box.size = [3]int{t.batch, t.out[0], t.out[1]}
	t.byOutput = threads > 1 && (weights > t.panelFloats()*4 || t.tiles() < 2*threads)
	atLeast := threads
	if t.byOutput {
		atLeast = max(1, threads/((t.outs+1)/2))
	}
	t.chunks = [3]int{1, 1, 1}
	count := func() int { return t.chunks[0] * t.chunks[1] * t.chunks[2] }
	// uneven reports whether more than a ninth of the threads' time would be spent waiting for the last chunks.
	uneven := func() bool {
		n := count()
		return !t.byOutput && t.tiles() > tileLeast && (n+threads-1)/threads*threads*8 > 9*n
	}
	for t.panelFloats()*4 > tilePanelBytes || count() < atLeast || uneven() {
		if !t.splitBest(func(t *tilePlan) int { return t.chunks[1] * t.chunks[2] * t.panelRows() }) {
			return
		}
	}
}

// splitBest splits along samples while boxes have several, then along depth or height, where the cost is less; it
// reports whether there was anything to split.
func (t *tilePlan) splitBest(cost func(*tilePlan) int) bool {
	if t.box.size[0] > 1 {
		t.split(0)
		return true
	}
	least, best := 0, *t
	for a := 1; a < 3; a++ {
		if t.box.size[a] > 1 {
			other := *t
			other.split(a)
			if c := cost(&other); least == 0 || c < least {
				least, best = c, other
			}
		}
	}
	*t = best
	return least > 0
}

// split makes the boxes smaller along samples, depth or height, so that there is one more.
func (t *tilePlan) split(axis int) {
	all := [3]int{t.batch, t.out[0], t.out[1]}[axis]
	size := (all + t.chunks[axis]) / (t.chunks[axis] + 1)
	t.box.size[axis] = max(1, min(size, t.box.size[axis]-1))
	t.chunks[axis] = (all + t.box.size[axis] - 1) / t.box.size[axis]
}

// chunk returns the box of a chunk, smaller at the ends.
func (t *tilePlan) chunk(i int) tilePlan {
	all := [3]int{t.batch, t.out[0], t.out[1]}
	part := *t
	for a := 2; a >= 0; a-- {
		n := i % t.chunks[a]
		i /= t.chunks[a]
		part.box.at[a] = n * t.box.size[a]
		part.box.size[a] = min(t.box.size[a], all[a]-part.box.at[a])
	}
	return part
}
