package cpu

import "fmt"

// Pooling describes a 3D max pooling of a zero-padded array: Kernel, Stride, and the zeros in front and behind every
// axis, which take part in the maximum. A window may reach beyond the zeros behind (ceil mode); what lies there is ignored.
type Pooling struct {
	Kernel, Stride, PadLo, PadHi [3]int
	InSize, OutSize              [3]int
}

// SamePooling returns the pooling of the reference network: TensorFlow's SAME padding for kernel - stride and ceil mode.
func SamePooling(kernel, stride, size [3]int) Pooling {
	q := Pooling{Kernel: kernel, Stride: stride, InSize: size}
	for a := range 3 {
		total := max(kernel[a]-stride[a], 0)
		q.PadLo[a], q.PadHi[a] = total/2, total-total/2
		padded := size[a] + total
		out := (max(padded-kernel[a], 0)+stride[a]-1)/stride[a] + 1
		if (out-1)*stride[a] >= padded { // the last window must start inside, as in PyTorch
			out--
		}
		q.OutSize[a] = out
	}
	return q
}

// PoolIndexLen returns the number of index bytes for a batch of the given channels.
func PoolIndexLen(q *Pooling, batch, channels int) int {
	return batch * Blocks(channels) * q.OutSize[0] * q.OutSize[1] * q.OutSize[2] * Block
}

func (q *Pooling) check(x, y Act) {
	if x.Size() != q.InSize || y.Size() != q.OutSize || x.N != y.N || x.C != y.C || q.Kernel[0]*q.Kernel[1]*q.Kernel[2] > 255 {
		panic(fmt.Sprintf("cpu: max pooling %v -> %v (kernel %v) given arrays (%d,%d,%v) and (%d,%d,%v)",
			q.InSize, q.OutSize, q.Kernel, x.N, x.C, x.Size(), y.N, y.C, y.Size()))
	}
}

// MaxPoolForward writes the maxima of x to y and, unless idx is nil, which tap (kd*KH+kh)*KW+kw won: the first of equals,
// as in PyTorch. idx has PoolIndexLen bytes, laid out like a dense y.
func MaxPoolForward(p *Pool, q *Pooling, x, y Act, idx []uint8) {
	q.check(x, y)
	cb := Blocks(x.C)
	p.Run(x.N*cb*y.D, func(_, tile int) {
		n, b, d := tile/(cb*y.D), tile/y.D%cb, tile%y.D
		src, dst := x.block(n, b), y.block(n, b)
		for h := range y.H {
			for w := range y.W {
				at := ((d*y.H+h)*y.W + w) * Block
				best, tap := q.window(src, d, h, w)
				*(*[Block]float32)(dst[at:]) = best
				if idx != nil {
					*(*[Block]uint8)(idx[(n*cb+b)*y.Voxels()*Block+at:]) = tap
				}
			}
		}
	})
}

// window returns the maxima and their taps of one window of a blocked channel.
func (q *Pooling) window(src []float32, d, h, w int) (best [Block]float32, tap [Block]uint8) {
	first := true
	for kd := range q.Kernel[0] {
		id := d*q.Stride[0] - q.PadLo[0] + kd
		if id >= q.InSize[0]+q.PadHi[0] {
			break
		}
		for kh := range q.Kernel[1] {
			ih := h*q.Stride[1] - q.PadLo[1] + kh
			if ih >= q.InSize[1]+q.PadHi[1] {
				break
			}
			for kw := range q.Kernel[2] {
				iw := w*q.Stride[2] - q.PadLo[2] + kw
				if iw >= q.InSize[2]+q.PadHi[2] {
					break
				}
				var px [Block]float32
				if id >= 0 && id < q.InSize[0] && ih >= 0 && ih < q.InSize[1] && iw >= 0 && iw < q.InSize[2] {
					px = *(*[Block]float32)(src[((id*q.InSize[1]+ih)*q.InSize[2]+iw)*Block:])
				}
				k := uint8((kd*q.Kernel[1]+kh)*q.Kernel[2] + kw)
				for i, f := range px {
					if first || f > best[i] {
						best[i], tap[i] = f, k
					}
				}
				first = false
			}
		}
	}
	return best, tap
}

// MaxPoolBackward writes (or adds) to dx the gradient dy of every maximum at the voxel that won; zeros of the padding
// that won take theirs with them.
func MaxPoolBackward(p *Pool, q *Pooling, dy Act, idx []uint8, dx Act, accumulate bool) {
	q.check(dx, dy)
	cb := Blocks(dx.C)
	p.Run(dx.N*cb, func(_, tile int) {
		n, b := tile/cb, tile%cb
		src, dst := dy.block(n, b), dx.block(n, b)
		taps := idx[tile*dy.Voxels()*Block:]
		if !accumulate {
			clear(dst)
		}
		k1, k2 := q.Kernel[1], q.Kernel[2]
		for d := range dy.D {
			for h := range dy.H {
				for w := range dy.W {
					at := ((d*dy.H+h)*dy.W + w) * Block
					for i := range Block {
						tap := int(taps[at+i])
						id := d*q.Stride[0] - q.PadLo[0] + tap/(k1*k2)
						ih := h*q.Stride[1] - q.PadLo[1] + tap/k2%k1
						iw := w*q.Stride[2] - q.PadLo[2] + tap%k2
						if id >= 0 && id < dx.D && ih >= 0 && ih < dx.H && iw >= 0 && iw < dx.W {
							dst[((id*dx.H+ih)*dx.W+iw)*Block+i] += src[at+i]
						}
					}
				}
			}
		}
	})
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

// AvgPoolMean writes out[n*C+c], the mean over what an average pooling (kernel clipped to the size, stride 1) leaves of channel c.
func AvgPoolMean(p *Pool, kernel [3]int, x Act, out []float32) {
	wd, wh, ww := meanWeights(x.D, kernel[0]), meanWeights(x.H, kernel[1]), meanWeights(x.W, kernel[2])
	cb := Blocks(x.C)
	p.Run(x.N*cb, func(_, tile int) {
		n, b := tile/cb, tile%cb
		src := x.block(n, b)
		var acc [Block]float64
		for d := range x.D {
			for h := range x.H {
				for w := range x.W {
					f := wd[d] * wh[h] * ww[w]
					for i, v := range (*[Block]float32)(src[((d*x.H+h)*x.W+w)*Block:]) {
						acc[i] += float64(f * v)
					}
				}
			}
		}
		for i := range min(Block, x.C-b*Block) {
			out[n*x.C+b*Block+i] = float32(acc[i])
		}
	})
}

// AvgPoolMeanBackward overwrites dx by the gradient, given dout[n*C+c].
func AvgPoolMeanBackward(p *Pool, kernel [3]int, dout []float32, dx Act) {
	wd, wh, ww := meanWeights(dx.D, kernel[0]), meanWeights(dx.H, kernel[1]), meanWeights(dx.W, kernel[2])
	cb := Blocks(dx.C)
	p.Run(dx.N*cb, func(_, tile int) {
		n, b := tile/cb, tile%cb
		dst := dx.block(n, b)
		g := lanes16(dout[n*dx.C:(n+1)*dx.C], b, dx.C, 0)
		for d := range dx.D {
			for h := range dx.H {
				for w := range dx.W {
					f := wd[d] * wh[h] * ww[w]
					to := (*[Block]float32)(dst[((d*dx.H+h)*dx.W+w)*Block:])
					for i := range to {
						to[i] = f * g[i]
					}
				}
			}
		}
	})
}
