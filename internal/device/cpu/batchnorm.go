package cpu

import (
	"math"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// statChunk is the number of voxels summed into one partial result of a channel statistic. Partial results are
// added in order, in float64, so sums do not depend on the number of threads.
const statChunk = 4096

// lanes16 returns the 16 values of a per-channel array for block b, rest where channels end (or values is nil).
func lanes16(values []float32, b, channels int, rest float32) (out [kernel.Block]float32) {
	for i := range out {
		out[i] = rest
		if c := b*kernel.Block + i; values != nil && c < channels {
			out[i] = values[c]
		}
	}
	return out
}

// chunked has f overwrite two 16-wide float64 sums for pieces of at most statChunk voxels of every (sample, block) of
// a, then hands the sums over all pieces, added in fixed order, to finish for every block.
func chunked(p *Workers, a Act, s *Scratch, f func(n, b, from, count int, out *float64), finish func(b int, s1, s2 *[kernel.Block]float64)) {
	vox, cb := a.Voxels(), Blocks(a.C)
	pieces := (vox + statChunk - 1) / statChunk
	part := s.doubles(a.N * cb * pieces * 2 * kernel.Block)
	p.Run(a.N*cb*pieces, func(_, tile int) {
		n, b, piece := tile/(cb*pieces), tile/pieces%cb, tile%pieces
		f(n, b, piece*statChunk, min(statChunk, vox-piece*statChunk), &part[tile*2*kernel.Block])
	})
	addPieces(part, a.N, cb, pieces, finish)
}

// addPieces hands finish, for every block, the sums over all samples and pieces of part [sample][block][piece][2][16],
// added in this order.
func addPieces(part []float64, batch, blocks, pieces int, finish func(b int, s1, s2 *[kernel.Block]float64)) {
	for b := range blocks {
		var t1, t2 [kernel.Block]float64
		for n := range batch {
			for piece := range pieces {
				sums := part[((n*blocks+b)*pieces+piece)*2*kernel.Block:][:2*kernel.Block]
				for i := range t1 {
					t1[i] += sums[i]
					t2[i] += sums[kernel.Block+i]
				}
			}
		}
		finish(b, &t1, &t2)
	}
}

// channelSums overwrites sum and sumSq, one value per channel.
func channelSums(p *Workers, a Act, sum, sumSq []float64, s *Scratch) {
	k, vec := p.kernels().On(a.BF16), a.vec()
	chunked(p, a, s, func(n, b, from, count int, out *float64) {
		k.Sums(&a.block(n, b)[from*vec], count, out)
	}, storeSums(a.C, sum, sumSq))
}

// storeSums returns what overwrites sum and sumSq, one value per channel, by the sums of a block.
func storeSums(channels int, sum, sumSq []float64) func(b int, s1, s2 *[kernel.Block]float64) {
	return func(b int, s1, s2 *[kernel.Block]float64) {
		for i := range min(kernel.Block, channels-b*kernel.Block) {
			sum[b*kernel.Block+i], sumSq[b*kernel.Block+i] = s1[i], s2[i]
		}
	}
}

// normParams are what the batch norm kernels need of a block of channels.
type normParams struct {
	scale, shift, floor, slope, offset [kernel.Block]float32
}

// eachPiece runs f on pieces of every (sample, block) of a.
func eachPiece(p *Workers, a Act, f func(n, b, from, count int)) {
	vox, cb := a.Voxels(), Blocks(a.C)
	pieces := (vox + statChunk - 1) / statChunk
	p.Run(a.N*cb*pieces, func(_, tile int) {
		piece := tile % pieces
		f(tile/(cb*pieces), tile/pieces%cb, piece*statChunk, min(statChunk, vox-piece*statChunk))
	})
}

// BatchNormStats turns the sums over count values per channel into mean and 1/sqrt(var+eps) (biased variance) and, if
// runningMean is not nil, updates the running statistics as PyTorch does: running += momentum*(batch - running), with
// the unbiased variance. The number of channels is len(mean).
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

// Norm is (x-mean)*invstd*gamma + beta, followed by ReLU on request. Parameters are per channel.
type Norm struct {
	Mean, InvStd, Gamma, Beta []float32
	ReLU                      bool
}

// BatchNormForward writes the batch norm of x, the raw output of the convolution, to y, which may be x itself or a
// slice of a wider array.
func BatchNormForward(p *Workers, x Act, norm Norm, y Act) {
	checkSame("batch norm", x, y)
	params := make([]normParams, Blocks(x.C))
	for b := range params {
		params[b].affine(norm, b, x.C)
	}
	k, vec := p.kernels().On(x.BF16), x.vec()
	eachPiece(p, x, func(n, b, from, count int) {
		k.Normalize(&y.block(n, b)[from*vec], &x.block(n, b)[from*vec], count, &params[b].scale[0])
	})
}

// affine writes the batch norm of block b as y = max(x*scale + shift, floor); lanes without a channel get zeros.
func (q *normParams) affine(n Norm, b, channels int) {
	for i := range min(kernel.Block, channels-b*kernel.Block) {
		c := b*kernel.Block + i
		q.scale[i] = n.InvStd[c] * n.Gamma[c]
		q.shift[i] = n.Beta[c] - n.Mean[c]*q.scale[i]
	}
	if !n.ReLU {
		for i := range q.floor {
			q.floor[i] = float32(math.Inf(-1))
		}
	}
}

// BatchNormBackward is the gradient of BatchNormForward with batch statistics. x is the saved raw convolution output,
// dy the gradient of the result (after the ReLU if there is one). It overwrites dgamma and dbeta and writes the
// gradient of x to dx, which may be dy or x itself. The ReLU mask is found again from x.
func BatchNormBackward(p *Workers, x, dy Act, norm Norm, dx Act, dgamma, dbeta []float32, s *Scratch) {
	checkSame("batch norm backward", x, dy)
	checkSame("batch norm backward", x, dx)
	s.reset()
	k, vec := p.kernels().On(x.BF16), x.vec()
	params := make([]normParams, Blocks(x.C))
	for b := range params {
		params[b].affine(norm, b, x.C)
		params[b].slope = lanes16(norm.Mean, b, x.C, 0) // as the sums' kernel wants it
	}
	total := float64(x.N * x.Voxels())
	chunked(p, x, s, func(n, b, from, count int, out *float64) {
		k.GradientSums(&x.block(n, b)[from*vec], &dy.block(n, b)[from*vec], count, &params[b].scale[0], out)
	}, func(b int, s1, s2 *[kernel.Block]float64) {
		q := &params[b]
		q.slope = [kernel.Block]float32{}
		for i := range min(kernel.Block, x.C-b*kernel.Block) {
			c := b*kernel.Block + i
			inv := float64(norm.InvStd[c])
			dbeta[c], dgamma[c] = float32(s1[i]), float32(s2[i]*inv)
			// dx = scale*(g - sum(g)/total - (x-mean)*invstd*dgamma/total) = scale*g + x*slope + offset
			slope := -float64(q.scale[i]) * inv * inv * s2[i] / total
			q.slope[i] = float32(slope)
			q.offset[i] = float32(-float64(q.scale[i])*s1[i]/total - float64(norm.Mean[c])*slope)
		}
	})
	eachPiece(p, x, func(n, b, from, count int) {
		k.NormalizeBack(&dx.block(n, b)[from*vec], &x.block(n, b)[from*vec], &dy.block(n, b)[from*vec], count, &params[b].scale[0])
	})
}

// ReLUBackward sets dy to 0 where y, the result of a ReLU, is 0: batch norm's backward pass with scale 1 and no
// statistics.
func ReLUBackward(p *Workers, y, dy Act) {
	checkSame("ReLU backward", y, dy)
	var q normParams
	for i := range q.scale {
		q.scale[i] = 1
	}
	k, vec := p.kernels().On(y.BF16), y.vec()
	eachPiece(p, y, func(n, b, from, count int) {
		d := &dy.block(n, b)[from*vec]
		k.NormalizeBack(d, &y.block(n, b)[from*vec], d, count, &q.scale[0])
	})
}
