package cpu

// The maximum over a box is the maximum along one axis after the other: of n taps per axis, 3n comparisons instead of n*n*n. Which tap won is
// lost on the way, so this serves inference only.

// axisTaps are the input positions along axis a that output o sees, and whether zeros of the padding are among its taps.
func (q *Pooling) axisTaps(a, o int) (lo, hi int, zero bool) {
	first := o*q.Stride[a] - q.PadLo[a]
	last := min(first+q.Kernel[a], q.InSize[a]+q.PadHi[a])
	return max(first, 0), min(last, q.InSize[a]), first < 0 || last > q.InSize[a]
}

// poolParts returns into how many tiles a channel block of a sample is cut, so that all workers are busy; each begins its planes anew.
func poolParts(p *Pool, blocks, planes int) int { return min(planes, max(1, 4*p.Threads()/blocks)) }

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

// maxRuns bounds how many poolings a Pool remembers the runs of.
const maxRuns = 64

// windowRuns returns q.runs(voxel), which p remembers: for small images making them takes longer than using them.
func (p *Pool) windowRuns(q *Pooling, voxel int) []*windowRun {
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

// maxPoolSeparable writes the maxima of x to y. A tile is a channel block of a sample; the planes that the windows of one output plane
// see, already reduced along height and width, stay in the worker's memory.
func maxPoolSeparable(p *Pool, q *Pooling, x, y Act, s *Scratch) {
	s.reset()
	k, vec, cb := p.kernels().on(x), x.vec(), Blocks(x.C)
	row, plane := y.W*vec, y.H*y.W*vec
	along := q.along()
	runs := p.windowRuns(&along, vec*4)
	zeros := s.floats(plane)
	clear(zeros)
	type memory struct{ rows, planes []float32 }
	work := make([]memory, p.Threads())
	for i := range work {
		work[i] = memory{s.floats(x.H * row), s.floats(q.Kernel[0] * plane)}
	}
	parts := poolParts(p, x.N*cb, y.D)
	p.Run(x.N*cb*parts, func(worker, tile int) {
		pair, part := tile/parts, tile%parts
		src, dst, own := x.block(pair/cb, pair%cb), y.block(pair/cb, pair%cb), &work[worker]
		done := -1 // the last input plane that was reduced
		for d := part * y.D / parts; d < (part+1)*y.D/parts; d++ {
			lo, hi, zero := q.axisTaps(0, d)
			for id := max(lo, done+1); id < hi; id++ {
				for _, r := range runs {
					l := &r.windowList
					for h := range x.H {
						k.windowMax(&own.rows[h*row+r.first*vec], nil, &src[(id*x.H+h)*x.W*vec], q.Stride[2]*vec*4, r.windows, &l.offsets[0], &l.taps[0], l.before, l.count-l.before, l.zeroTap)
					}
				}
				to := own.planes[id%q.Kernel[0]*plane:][:plane]
				for h := range y.H {
					h0, h1, hz := q.axisTaps(1, h)
					k.maxima(to[h*row:][:row], own.rows, zeros, h0, h1, x.H, hz, y.W)
				}
				done = id
			}
			k.maxima(dst[d*plane:][:plane], own.planes, zeros, lo, hi, q.Kernel[0], zero, y.H*y.W)
		}
	})
}

// maxima writes the maximum of the pieces [lo, hi) of src, which holds ring pieces of dst's length, piece i at place i % ring, and
// of zeros if zero. count is the number of vectors in a piece.
func (k *kernels) maxima(dst, src, zeros []float32, lo, hi, ring int, zero bool, count int) {
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
	k.max3(&dst[0], piece(0), piece(1), piece(2), count)
	for i := 3; i < n; i += 2 {
		k.max3(&dst[0], &dst[0], piece(i), piece(i+1), count)
	}
}
