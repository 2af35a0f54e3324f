package cpu

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// Pooling describes a 3D max pooling of a zero-padded array: Kernel, Stride, and the zeros in front and behind every
// axis, which take part in the maximum. A window may reach beyond the zeros behind (ceil mode); what lies there is
// ignored.
type Pooling struct {
	Kernel, Stride, PadLo, PadHi [3]int
	InSize, OutSize              [3]int
}

// SamePooling returns the pooling of device.Pooling, with its SAME padding and ceil mode.
func SamePooling(kernel, stride, size [3]int) Pooling {
	p := device.Pooling{Kernel: kernel, Stride: stride}
	low, high := p.Padding()
	return Pooling{Kernel: kernel, Stride: stride, PadLo: low, PadHi: high, InSize: size, OutSize: p.OutSize(size)}
}

// PoolIndexLen returns the number of index bytes for a batch of the given channels.
func PoolIndexLen(q *Pooling, batch, channels int) int {
	return batch * Blocks(channels) * q.OutSize[0] * q.OutSize[1] * q.OutSize[2] * kernel.Block
}

func (q *Pooling) check(x, y Act) {
	if x.Size() != q.InSize || y.Size() != q.OutSize || x.N != y.N || x.C != y.C || q.Kernel[0]*q.Kernel[1]*q.Kernel[2] > maxPoolTaps {
		panic(fmt.Sprintf("cpu: max pooling %v -> %v (kernel %v) given arrays (%d,%d,%v) and (%d,%d,%v)",
			q.InSize, q.OutSize, q.Kernel, x.N, x.C, x.Size(), y.N, y.C, y.Size()))
	}
}

// windowList is what the pooling kernels need of a run of windows that see the same taps.
type windowList struct {
	offsets [maxPoolTaps]int
	taps    [maxPoolTaps][kernel.Block]uint8 // the number of the tap, 16 times
	count   int
	before  int // taps in front of the first zero of the padding
	zeroTap int // the number of that zero, -1 without
}

const maxPoolTaps = 255

func (l *windowList) add(offset, tap int) {
	l.offsets[l.count] = offset
	t := &l.taps[l.count]
	for i := range t {
		t[i] = uint8(tap)
	}
	l.count++
}

// taps lists the taps of output window (d,h,w), with byte offsets in a channel block of the input, whose voxels take
// voxel bytes.
func (q *Pooling) taps(l *windowList, d, h, w, voxel int) {
	l.count, l.before, l.zeroTap = 0, 0, -1
	in := q.InSize
	for kd := range q.Kernel[0] {
		id := d*q.Stride[0] - q.PadLo[0] + kd
		if id >= in[0]+q.PadHi[0] {
			break
		}
		for kh := range q.Kernel[1] {
			ih := h*q.Stride[1] - q.PadLo[1] + kh
			if ih >= in[1]+q.PadHi[1] {
				break
			}
			for kw := range q.Kernel[2] {
				iw := w*q.Stride[2] - q.PadLo[2] + kw
				if iw >= in[2]+q.PadHi[2] {
					break
				}
				tap := (kd*q.Kernel[1]+kh)*q.Kernel[2] + kw
				if id >= 0 && id < in[0] && ih >= 0 && ih < in[1] && iw >= 0 && iw < in[2] {
					l.add(((id*in[1]+ih)*in[2]+iw)*voxel, tap)
				} else if l.zeroTap < 0 {
					l.zeroTap, l.before = tap, l.count
				}
			}
		}
	}
	if l.zeroTap < 0 {
		l.before = l.count
	}
}

// run returns how many windows from o on see the same taps along axis a.
func (q *Pooling) run(a, o int) int {
	inside := func(o int) bool {
		first := o*q.Stride[a] - q.PadLo[a]
		return first >= 0 && first+q.Kernel[a] <= q.InSize[a]
	}
	n := 1
	for inside(o) && o+n < q.OutSize[a] && inside(o+n) {
		n++
	}
	return n
}

// MaxPoolForward writes the maxima of x to y and, unless idx is nil, which tap (kd*KH+kh)*KW+kw won: the first of
// equals, as in PyTorch. idx has PoolIndexLen bytes, laid out like a dense y.
func MaxPoolForward(p *Workers, q *Pooling, x, y Act, idx []uint8, s *Scratch) {
	q.check(x, y)
	if idx == nil {
		maxPoolSeparable(p, q, x, y, s)
		return
	}
	maxPoolWinners(p, q, x, y, idx, s)
}

// covering returns the outputs [lo, hi) along axis a whose windows reach input position i.
func (q *Pooling) covering(a, i int) (lo, hi int) {
	last := i + q.PadLo[a]
	return max(0, (last-q.Kernel[a]+q.Stride[a])/q.Stride[a]), min(q.OutSize[a], last/q.Stride[a]+1)
}

// runOf returns how many of the inputs i, i+stride, ... along axis a are reached by equally many windows, each one
// further on.
func (q *Pooling) runOf(a, i int) int {
	lo, hi := q.covering(a, i)
	n := 1
	for at := i + q.Stride[a]; at < q.InSize[a]; at += q.Stride[a] {
		if l, h := q.covering(a, at); l != lo+n || h != hi+n {
			break
		}
		n++
	}
	return n
}

// meanWeights returns, per axis, how much every position counts in the mean over all windows of an average pooling with
// stride 1; the three weights of a voxel multiply.
func meanWeights(size, kernel int) []float32 {
	kernel = min(kernel, size)
	windows := size - kernel + 1
	w := make([]float32, size)
	for i := range w {
		w[i] = float32(min(i, windows-1)-max(0, i-kernel+1)+1) / float32(kernel*windows)
	}
	return w
}

// AvgPoolMean writes out[n*C+c], the mean over what an average pooling (window clipped to the size, stride 1) leaves of
// channel c.
func AvgPoolMean(p *Workers, window [3]int, x Act, out []float32) {
	wd, wh, ww := meanWeights(x.D, window[0]), meanWeights(x.H, window[1]), meanWeights(x.W, window[2])
	k, vec := p.kernels().On(x.BF16), x.vec()
	cb := Blocks(x.C)
	p.Run(x.N*cb, func(_, tile int) {
		n, b := tile/cb, tile%cb
		src := x.block(n, b)
		var acc [kernel.Block]float64
		var values [kernel.Block]float32
		for d := range x.D {
			for h := range x.H {
				for w := range x.W {
					f := wd[d] * wh[h] * ww[w]
					k.Widen(&values[0], &src[((d*x.H+h)*x.W+w)*vec], 1)
					for i, v := range values {
						acc[i] += float64(f * v)
					}
				}
			}
		}
		for i := range min(kernel.Block, x.C-b*kernel.Block) {
			out[n*x.C+b*kernel.Block+i] = float32(acc[i])
		}
	})
}

// AvgPoolMeanBackward overwrites dx by the gradient, given dout[n*C+c].
func AvgPoolMeanBackward(p *Workers, window [3]int, dout []float32, dx Act) {
	wd, wh, ww := meanWeights(dx.D, window[0]), meanWeights(dx.H, window[1]), meanWeights(dx.W, window[2])
	k, vec := p.kernels().On(dx.BF16), dx.vec()
	cb := Blocks(dx.C)
	p.Run(dx.N*cb, func(_, tile int) {
		n, b := tile/cb, tile%cb
		dst := dx.block(n, b)
		g := lanes16(dout[n*dx.C:(n+1)*dx.C], b, dx.C, 0)
		for d := range dx.D {
			for h := range dx.H {
				for w := range dx.W {
					f := wd[d] * wh[h] * ww[w]
					var to [kernel.Block]float32
					for i := range to {
						to[i] = f * g[i]
					}
					k.Narrow(&dst[((d*dx.H+h)*dx.W+w)*vec], &to[0], 1)
				}
			}
		}
	})
}
