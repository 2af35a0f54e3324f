package cpu

import "math"

// statChunk is the number of voxels summed into one partial result of a channel statistic. Partial results are
// added in order, in float64, so sums do not depend on the number of threads.
const statChunk = 4096

// lanes16 returns the 16 values of a per-channel array for block b, rest where channels end (or values is nil).
func lanes16(values []float32, b, channels int, rest float32) (out [Block]float32) {
	for i := range out {
		out[i] = rest
		if c := b*Block + i; values != nil && c < channels {
			out[i] = values[c]
		}
	}
	return out
}

// chunked runs f on pieces of at most statChunk voxels of every (sample, block) of a, then hands the two 16-wide float64 sums
// that f filled, added up in fixed order, to finish for every block.
func chunked(p *Pool, a Act, s *Scratch, f func(n, b, from, to int, s1, s2 *[Block]float64), finish func(b int, s1, s2 *[Block]float64)) {
	vox, cb := a.Voxels(), Blocks(a.C)
	pieces := (vox + statChunk - 1) / statChunk
	part := s.doubles(a.N * cb * pieces * 2 * Block)
	at := func(tile int) (s1, s2 *[Block]float64) {
		return (*[Block]float64)(part[tile*2*Block:]), (*[Block]float64)(part[tile*2*Block+Block:])
	}
	p.Run(a.N*cb*pieces, func(_, tile int) {
		n, b, piece := tile/(cb*pieces), tile/pieces%cb, tile%pieces
		s1, s2 := at(tile)
		f(n, b, piece*statChunk, min(vox, (piece+1)*statChunk), s1, s2)
	})
	for b := range cb {
		var t1, t2 [Block]float64
		for n := range a.N {
			for piece := range pieces {
				s1, s2 := at((n*cb+b)*pieces + piece)
				for i := range t1 {
					t1[i] += s1[i]
					t2[i] += s2[i]
				}
			}
		}
		finish(b, &t1, &t2)
	}
}

// channelSums overwrites sum and sumSq, one value per channel.
func channelSums(p *Pool, a Act, sum, sumSq []float64, s *Scratch) {
	chunked(p, a, s, func(n, b, from, to int, s1, s2 *[Block]float64) {
		data := a.block(n, b)
		for v := from; v < to; v++ {
			for i, f := range (*[Block]float32)(data[v*Block:]) {
				s1[i] += float64(f)
				s2[i] += float64(f) * float64(f)
			}
		}
	}, func(b int, s1, s2 *[Block]float64) {
		for i := range min(Block, a.C-b*Block) {
			sum[b*Block+i], sumSq[b*Block+i] = s1[i], s2[i]
		}
	})
}

// BatchNormStats turns the sums over count values per channel into mean and 1/sqrt(var+eps) (biased variance) and, if
// runningMean is not nil, updates the running statistics as PyTorch does: running += momentum*(batch - running), with the
// unbiased variance. The number of channels is len(mean).
func BatchNormStats(sum, sumSq []float64, count int, eps, momentum float64, mean, invstd, runningMean, runningVar []float32) {
	n := float64(count)
	for c := range mean {
		m := sum[c] / n
		v := max(sumSq[c]/n-m*m, 0)
		mean[c] = float32(m)
		invstd[c] = float32(1 / math.Sqrt(v+eps))
		if runningMean != nil {
			unbiased := v
			if count > 1 {
				unbiased = v * n / (n - 1)
			}
			runningMean[c] = float32((1-momentum)*float64(runningMean[c]) + momentum*m)
			runningVar[c] = float32((1-momentum)*float64(runningVar[c]) + momentum*unbiased)
		}
	}
}

// BatchNormForward writes y = (x-mean)*invstd*gamma + beta, followed by ReLU on request. x is the raw output of the
// convolution; y may be x itself or a slice of a wider array. Parameters are per channel.
func BatchNormForward(p *Pool, x Act, mean, invstd, gamma, beta []float32, relu bool, y Act) {
	checkSame("batch norm", x, y)
	vox, cb := x.Voxels(), Blocks(x.C)
	pieces := (vox + statChunk - 1) / statChunk
	p.Run(x.N*cb*pieces, func(_, tile int) {
		n, b, piece := tile/(cb*pieces), tile/pieces%cb, tile%pieces
		scale, shift := affine(mean, invstd, gamma, beta, b, x.C)
		src, dst := x.block(n, b), y.block(n, b)
		for v := piece * statChunk; v < min(vox, (piece+1)*statChunk); v++ {
			from, to := (*[Block]float32)(src[v*Block:]), (*[Block]float32)(dst[v*Block:])
			for i, f := range from {
				r := f*scale[i] + shift[i]
				if relu && r < 0 {
					r = 0
				}
				to[i] = r
			}
		}
	})
}

// affine returns the batch norm of block b as y = x*scale + shift; lanes without a channel get zeros.
func affine(mean, invstd, gamma, beta []float32, b, channels int) (scale, shift [Block]float32) {
	for i := range min(Block, channels-b*Block) {
		c := b*Block + i
		scale[i] = invstd[c] * gamma[c]
		shift[i] = beta[c] - mean[c]*scale[i]
	}
	return scale, shift
}

// BatchNormBackward is the gradient of BatchNormForward with batch statistics. x is the saved raw convolution output, dy
// the gradient of the result (after ReLU if relu). It overwrites dgamma and dbeta and writes the gradient of x to dx, which may be
// dy or x itself. The ReLU mask is found again from x.
func BatchNormBackward(p *Pool, x, dy Act, mean, invstd, gamma, beta []float32, relu bool, dx Act, dgamma, dbeta []float32, s *Scratch) {
	checkSame("batch norm backward", x, dy)
	checkSame("batch norm backward", x, dx)
	s.reset()
	chunked(p, x, s, func(n, b, from, to int, s1, s2 *[Block]float64) {
		scale, shift := affine(mean, invstd, gamma, beta, b, x.C)
		mu := lanes16(mean, b, x.C, 0)
		xs, gs := x.block(n, b), dy.block(n, b)
		for v := from; v < to; v++ {
			xv, gv := (*[Block]float32)(xs[v*Block:]), (*[Block]float32)(gs[v*Block:])
			for i, f := range xv {
				if !relu || f*scale[i]+shift[i] > 0 {
					s1[i] += float64(gv[i])
					s2[i] += float64(gv[i]) * float64(f-mu[i])
				}
			}
		}
	}, func(b int, s1, s2 *[Block]float64) {
		for i := range min(Block, x.C-b*Block) {
			c := b*Block + i
			dbeta[c] = float32(s1[i])
			dgamma[c] = float32(s2[i] * float64(invstd[c]))
		}
	})
	vox, cb := x.Voxels(), Blocks(x.C)
	count := float32(x.N * vox)
	pieces := (vox + statChunk - 1) / statChunk
	p.Run(x.N*cb*pieces, func(_, tile int) {
		n, b, piece := tile/(cb*pieces), tile/pieces%cb, tile%pieces
		scale, shift := affine(mean, invstd, gamma, beta, b, x.C)
		// dx = scale*(g - dbeta/count - (x-mean)*invstd*dgamma/count) = scale*g + x*slope + offset
		var slope, offset [Block]float32
		for i := range min(Block, x.C-b*Block) {
			c := b*Block + i
			slope[i] = -scale[i] * invstd[c] * dgamma[c] / count
			offset[i] = -scale[i]*dbeta[c]/count - mean[c]*slope[i]
		}
		xs, gs, ds := x.block(n, b), dy.block(n, b), dx.block(n, b)
		for v := piece * statChunk; v < min(vox, (piece+1)*statChunk); v++ {
			xv, gv, dv := (*[Block]float32)(xs[v*Block:]), (*[Block]float32)(gs[v*Block:]), (*[Block]float32)(ds[v*Block:])
			for i, f := range xv {
				r := f*slope[i] + offset[i]
				if !relu || f*scale[i]+shift[i] > 0 {
					r += scale[i] * gv[i]
				}
				dv[i] = r
			}
		}
	})
}
