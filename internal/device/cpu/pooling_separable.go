package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// The maximum over a box is the maximum along one axis after the other: of n taps per axis, 3n comparisons instead of
// n*n*n. Which tap won is lost on the way, so this serves inference only.

// axisTaps are the input positions along axis a that output o sees, and whether zeros of the padding are among its
// taps.
func (q *Pooling) axisTaps(a, o int) (lo, hi int, zero bool) {
	first := o*q.Stride[a] - q.PadLo[a]
	last := min(first+q.Kernel[a], q.InSize[a]+q.PadHi[a])
	return max(first, 0), min(last, q.InSize[a]), first < 0 || last > q.InSize[a]
}

// poolParts returns into how many tiles a channel block of a sample is cut, so that all workers are busy; each begins
// its planes again.
func poolParts(p *Workers, blocks, planes int) int { return min(planes, max(1, 4*p.Threads()/blocks)) }

// poolLayers is poolParts where the tiles of all blocks of a part come behind one another: with as many parts as there
// are threads for a sample, a worker pools the planes that it has convolved.
func (q *Pooling) poolLayers(p *Workers, samples, blocks int) int {
	again := max(0, q.Kernel[0]-q.Stride[0]) // planes that a part begins with and the one before has seen, too
	local := min((p.Threads()+samples-1)/samples, q.OutSize[0]*q.Stride[0]/(1+4*again))
	return min(q.OutSize[0], max(poolParts(p, samples*blocks, q.OutSize[0]), local))
}

// windowRun is a run of windows along one axis that see the same taps.
type windowRun struct {
	first, windows int
	windowList
}

// runs returns the runs of a pooling along the last axis alone, over voxels of so many bytes.
func (q *Pooling) runs(voxel int) (runs []*windowRun) {
	for w := 0; w < q.OutSize[2]; {
		r := &windowRun{first: w, windows: q.run(2, w)}
		q.taps(&r.windowList, 0, 0, w, voxel)
		runs = append(runs, r)
		w += r.windows
	}
	return runs
}

// runsKey is what the runs of a pooling depend on.
type runsKey struct {
	Pooling
	voxel int
}

// maxRuns bounds how many poolings the Workers remember the runs of.
const maxRuns = 64

// windowRuns returns q.runs(voxel), which p remembers: for small images making them takes longer than using them.
func (p *Workers) windowRuns(q *Pooling, voxel int) []*windowRun {
	key := runsKey{*q, voxel}
	runs, ok := p.runs[key]
	if !ok {
		if len(p.runs) >= maxRuns {
			clear(p.runs)
		}
		runs = q.runs(voxel)
		p.runs[key] = runs
	}
	return runs
}

// maxPoolSeparable writes the maxima of x to y. A tile is a channel block of a sample; the planes that the windows of
// one output plane see, already reduced along height and width, stay in the worker's memory.
func maxPoolSeparable(p *Workers, q *Pooling, x, y Act, s *Scratch) {
	s.reset()
	if q.Stride == [3]int{1, 1, 1} && max(x.D, y.D)*max(x.H, y.H)*max(x.W, y.W)*x.vec()*4 <= poolWhole {
		maxPoolWhole(p, q, x, y, s)
		return
	}
	k, vec, cb := p.kernels().On(x.BF16), x.vec(), Blocks(x.C)
	row, plane := y.W*vec, y.H*y.W*vec
	rows, columns := q.axisRuns(1), q.axisRuns(2)
	zeros := s.floats(plane)
	clear(zeros)
	type memory struct{ rows, planes []float32 }
	work := make([]memory, p.Threads())
	for i := range work {
		work[i] = memory{s.floats(x.H * row), s.floats(q.Kernel[0] * plane)}
	}
	parts := q.poolLayers(p, x.N, cb)
	p.Run(x.N*cb*parts, func(worker, tile int) {
		n, part, b := tile/cb/parts, tile/cb%parts, tile%cb
		src, dst, own := x.block(n, b), y.block(n, b), &work[worker]
		done := -1 // the last input plane that was reduced
		for d := part * y.D / parts; d < (part+1)*y.D/parts; d++ {
			lo, hi, zero := q.axisTaps(0, d)
			for id := max(lo, done+1); id < hi; id++ {
				for _, r := range columns {
					maximaAlong(k, r, strand{own.rows, vec, row}, strand{src[id*x.H*x.W*vec:], vec, x.W * vec}, x.H, r.windows, vec, q.Stride[2]*vec)
				}
				for _, r := range rows {
					maximaAlong(k, r, strand{own.planes[id%q.Kernel[0]*plane:], row, row}, strand{own.rows, row, q.Stride[1] * row}, r.windows, y.W, vec, vec)
				}
				done = id
			}
			maxima(k, dst[d*plane:][:plane], own.planes, zeros, lo, hi, q.Kernel[0], zero, y.H*y.W)
		}
	})
}

// poolWhole is the most bytes of a channel block of a sample that is reduced along one axis after the other as a whole.
const poolWhole = 48 << 10

// maxPoolWhole is maxPoolSeparable with stride 1 for blocks that stay in a first-level cache: one call reduces all
// planes of one.
func maxPoolWhole(p *Workers, q *Pooling, x, y Act, s *Scratch) {
	k, vec, cb := p.kernels().On(x.BF16), x.vec(), Blocks(x.C)
	row, plane := y.W*vec, y.H*y.W*vec
	depths, rows, columns := q.axisRuns(0), q.axisRuns(1), q.axisRuns(2)
	type memory struct{ rows, planes []float32 }
	work := make([]memory, p.Threads())
	for i := range work {
		work[i] = memory{s.floats(x.D * x.H * row), s.floats(x.D * plane)}
	}
	p.Run(x.N*cb, func(worker, pair int) {
		src, dst, own := x.block(pair/cb, pair%cb), y.block(pair/cb, pair%cb), &work[worker]
		for _, r := range columns {
			maximaAlong(k, r, strand{own.rows, vec, row}, strand{src, vec, x.W * vec}, x.D*x.H, r.windows, vec, vec)
		}
		for _, r := range rows {
			maximaAlong(k, r, strand{own.planes, row, plane}, strand{own.rows, row, x.H * row}, x.D, r.windows*y.W, vec, vec)
		}
		for _, r := range depths {
			maximaAlong(k, r, strand{dst, plane, 0}, strand{own.planes, plane, 0}, 1, r.windows*y.H*y.W, vec, vec)
		}
	})
}

// axisRun is a run of windows along one axis that see equally many inputs, each window a stride further.
type axisRun struct {
	first, windows int
	lo, taps       int  // inputs that the first window sees
	zero           bool // and zeros of the padding
}

// axisRuns returns the runs along axis a.
func (q *Pooling) axisRuns(a int) (runs []axisRun) {
	for o := 0; o < q.OutSize[a]; {
		r := axisRun{first: o, windows: q.run(a, o)}
		lo, hi, zero := q.axisTaps(a, o)
		r.lo, r.taps, r.zero = lo, max(0, hi-lo), zero
		runs = append(runs, r)
		o += r.windows
	}
	return runs
}

// strand is values of which some lie along an axis: those of its windows or inputs step floats apart, lines across it
// line floats.
type strand struct {
	values     []float32
	step, line int
}

// maximaAlong computes the maxima of a run for lines of count voxels, vec floats each. Sources of neighbouring results
// lie next floats apart.
func maximaAlong(k *kernel.Set, r axisRun, dst, src strand, lines, count, vec, next int) {
	to := dst.values[r.first*dst.step:]
	if r.taps == 0 {
		for l := range lines {
			clear(to[l*dst.line:][:count*vec])
		}
		return
	}
	start := -1
	if r.zero {
		start = 0
	}
	for t := 0; t < r.taps; t += 3 {
		more := min(3, r.taps-t) - 1
		k.AxisMax(&to[0], &src.values[(r.lo+t)*src.step], lines, dst.line*4, src.line*4, count, next*4, min(1, more)*src.step*4, min(2, more)*src.step*4, start)
		start = 1
	}
}

// maxima writes the maximum of the pieces [lo, hi) of src, which holds ring pieces of dst's length, piece i at place i
// % ring, and of zeros if zero. count is the number of vectors in a piece.
func maxima(k *kernel.Set, dst, src, zeros []float32, lo, hi, ring int, zero bool, count int) {
	n := hi - lo
	if zero {
		n++
	}
	piece := func(i int) *float32 {
		if lo+min(i, n-1) >= hi {
			return &zeros[0]
		}
		return &src[(lo+min(i, n-1))%ring*len(dst)]
	}
	k.Max3(&dst[0], piece(0), piece(1), piece(2), count)
	for i := 3; i < n; i += 2 {
		k.Max3(&dst[0], &dst[0], piece(i), piece(i+1), count)
	}
}
