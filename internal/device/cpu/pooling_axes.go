package cpu

import (
	"unsafe"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// Max pooling with winners goes along one axis after the other as well: width, height, depth, and the gradient the
// other way. The first of equals along every axis is the first of the box, as its taps count width fastest. In bfloat16
// the sums of gradients are rounded after every axis.

// axisMemory holds what pooling along some axes has made of pieces, rows or planes: maxima or gradients, and which tap
// of those axes won.
type axisMemory struct {
	values  []float32
	winners []uint8
}

// axisMemory borrows memory for so many vectors in a's format.
func (s *Scratch) axisMemory(a Act, vectors int) axisMemory {
	return axisMemory{s.floats(vectors * a.vec()), unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(s.floats(vectors*kernel.Block/4)))), vectors*kernel.Block)}
}

// clear makes vectors from first on zeros that tap 0 won.
func (m axisMemory) clear(a Act, first int) {
	clear(m.values[first*a.vec():])
	clear(m.winners[first*kernel.Block:])
}

// along returns the pooling of a row.
func (q *Pooling) along() Pooling {
	return Pooling{Kernel: [3]int{1, 1, q.Kernel[2]}, Stride: [3]int{1, 1, q.Stride[2]}, PadLo: [3]int{2: q.PadLo[2]}, PadHi: [3]int{2: q.PadHi[2]},
		InSize: [3]int{1, 1, q.InSize[2]}, OutSize: [3]int{1, 1, q.OutSize[2]}}
}

// pieces lists the input pieces of count vectors that output o sees along axis a. Piece i lies at place i % ring, zeros
// behind the ring. A tap along the axis counts for span taps of the axes before.
func (q *Pooling) pieces(l *windowList, a, o, ring, count, span int) {
	l.count = 0
	for k := range q.Kernel[a] {
		i, place := o*q.Stride[a]-q.PadLo[a]+k, ring
		if i >= q.InSize[a]+q.PadHi[a] {
			break
		}
		if i >= 0 && i < q.InSize[a] {
			place = i % ring
		}
		l.add(place*count, k*span)
	}
}

// outputs lists the output pieces of count vectors whose windows reach input i along axis a.
func (q *Pooling) outputs(l *windowList, a, i, count, span int) {
	l.count = 0
	lo, hi := q.covering(a, i)
	for o := lo; o < hi; o++ {
		l.add(o*count, (i+q.PadLo[a]-o*q.Stride[a])*span)
	}
}

// maxPoolWinners writes the maxima of x to y and their taps to idx. Tiles are those of maxPoolSeparable.
func maxPoolWinners(p *Workers, q *Pooling, x, y Act, idx []uint8, s *Scratch) {
	s.reset()
	k, vec, cb := p.kernels().On(x.BF16), x.vec(), Blocks(x.C)
	along, plane := q.along(), y.H*y.W
	runs := p.windowRuns(&along, vec*4)
	flat := q.Kernel[0] == 1 && q.PadLo[0] == 0 // nothing to do along the depth
	type memory struct{ rows, planes axisMemory }
	work := make([]memory, p.Threads())
	for i := range work {
		work[i] = memory{s.axisMemory(x, (x.H+1)*y.W), s.axisMemory(x, (q.Kernel[0]+1)*plane)}
		work[i].rows.clear(x, x.H*y.W)
		work[i].planes.clear(x, q.Kernel[0]*plane)
	}
	parts := poolParts(p, x.N*cb, y.D)
	p.Run(x.N*cb*parts, func(worker, tile int) {
		pair, part := tile/parts, tile%parts
		src, dst, rows, planes, l := x.block(pair/cb, pair%cb), y.block(pair/cb, pair%cb), work[worker].rows, work[worker].planes, &p.windows[worker]
		done := -1 // the last input plane that was reduced
		for d := part * y.D / parts; d < (part+1)*y.D/parts; d++ {
			lo, hi, _ := q.axisTaps(0, d)
			for id := max(lo, done+1); id < hi; id++ {
				for _, r := range runs {
					for h := range x.H {
						at := h*y.W + r.first
						k.WindowArgMax(&rows.values[at*vec], &rows.winners[at*kernel.Block], &src[(id*x.H+h)*x.W*vec], q.Stride[2]*vec*4, r.windows,
							&r.offsets[0], &r.taps[0], r.before, r.count-r.before, r.zeroTap)
					}
				}
				values, winners := planes.values[id%q.Kernel[0]*plane*vec:], planes.winners[id%q.Kernel[0]*plane*kernel.Block:]
				if flat {
					values, winners = dst[d*plane*vec:], idx[(pair*y.D+d)*plane*kernel.Block:]
				}
				for h, n := 0, 0; h < y.H; h += n {
					n = 1
					if q.Stride[1] == 1 {
						n = q.run(1, h)
					}
					q.pieces(l, 1, h, x.H, y.W, q.Kernel[2])
					k.CombineMax(&values[h*y.W*vec], &winners[h*y.W*kernel.Block], &rows.values[0], &rows.winners[0], n*y.W, &l.offsets[0], &l.taps[0], l.count)
				}
				done = id
			}
			if flat {
				continue
			}
			q.pieces(l, 0, d, q.Kernel[0], plane, q.Kernel[1]*q.Kernel[2])
			k.CombineMax(&dst[d*plane*vec], &idx[(pair*y.D+d)*plane*kernel.Block], &planes.values[0], &planes.winners[0], plane, &l.offsets[0], &l.taps[0], l.count)
		}
	})
}

// MaxPoolBackward writes (or adds) to dx the gradient dy of every maximum at the voxel that won; zeros of the padding
// that won take theirs with them.
func MaxPoolBackward(p *Workers, q *Pooling, dy Act, idx []uint8, dx Act, accumulate bool, s *Scratch) {
	q.check(dx, dy)
	s.reset()
	k, vec, cb := p.kernels().On(dx.BF16), dx.vec(), Blocks(dx.C)
	along, plane := q.along(), dy.H*dy.W
	type memory struct{ plane, rows axisMemory }
	work := make([]memory, p.Threads())
	for i := range work {
		work[i] = memory{s.axisMemory(dx, plane), s.axisMemory(dx, dx.H*dy.W)}
	}
	flat := q.Kernel[0] == 1 && q.Stride[0] == 1 && q.PadLo[0] == 0 // nothing to do along the depth
	add := kernel.Flag(accumulate)
	p.Run(dx.N*cb*dx.D, func(worker, tile int) {
		pair, d := tile/dx.D, tile%dx.D
		src, dst, own, l := dy.block(pair/cb, pair%cb), dx.block(pair/cb, pair%cb), work[worker], &p.windows[worker]
		var from axisMemory
		if flat {
			from = axisMemory{src[d*plane*vec:], idx[(pair*dy.D+d)*plane*kernel.Block:]}
		} else {
			q.outputs(l, 0, d, plane, q.Kernel[1]*q.Kernel[2])
			k.SplitSum(&own.plane.values[0], &own.plane.winners[0], &src[0], &idx[pair*dy.Voxels()*kernel.Block], plane, &l.offsets[0], &l.taps[0], l.count, q.Kernel[1]*q.Kernel[2])
			from = own.plane
		}
		for h, n := 0, 0; h < dx.H; h += n {
			n = 1
			if q.Stride[1] == 1 {
				n = q.runOf(1, h)
			}
			q.outputs(l, 1, h, dy.W, q.Kernel[2])
			k.SplitSum(&own.rows.values[h*dy.W*vec], &own.rows.winners[h*dy.W*kernel.Block], &from.values[0], &from.winners[0], n*dy.W, &l.offsets[0], &l.taps[0], l.count, q.Kernel[2])
		}
		for phase := range min(q.Stride[2], dx.W) {
			for w, n := phase, 0; w < dx.W; w += n * q.Stride[2] {
				n = q.runOf(2, w)
				along.outputs(l, 2, w, 1, 1)
				for h := range dx.H {
					k.WinnersSum(&dst[((d*dx.H+h)*dx.W+w)*vec], q.Stride[2]*vec*4, &own.rows.values[h*dy.W*vec], &own.rows.winners[h*dy.W*kernel.Block],
						n, &l.offsets[0], &l.taps[0], l.count, add)
				}
			}
		}
	})
}
