package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// sgdChunk is the number of parameters of one tile of the optimiser's pass.
const sgdChunk = 1 << 15

// SGD is one step of torch.optim.SGD with Nesterov momentum, preceded by a scaling of the gradient (clipping).
type SGD struct {
	LR, Momentum, WeightDecay float32
	Scale                     float32 // the gradient is multiplied by this first: the clip coefficient, else 1
	First                     bool    // first step: the momentum buffer becomes the gradient
}

// SumSquares returns the sum of squares in float64, added in an order that does not depend on the threads.
func SumSquares(p *Workers, x []float32, s *Scratch) float64 {
	k := p.kernels()
	tiles := (len(x) + sgdChunk - 1) / sgdChunk
	part := s.doubles(tiles * 2 * kernel.Block)
	p.Run(tiles, func(_, t int) {
		piece := x[t*sgdChunk : min(len(x), (t+1)*sgdChunk)]
		out := part[t*2*kernel.Block:][:2*kernel.Block]
		if len(piece) >= kernel.Block {
			k.Sums(&piece[0], len(piece)/kernel.Block, &out[0])
		}
		for i := len(piece) / kernel.Block * kernel.Block; i < len(piece); i++ {
			out[kernel.Block] += float64(piece[i]) * float64(piece[i])
		}
	})
	var sum float64
	for t := range tiles {
		for _, v := range part[t*2*kernel.Block+kernel.Block:][:kernel.Block] {
			sum += v
		}
	}
	return sum
}

// SGDStep updates params and momentum in one pass; grads are only read:
// g = Scale*grad + WeightDecay*p; m = Momentum*m + g (m = g on the first step); p -= LR*(g + Momentum*m).
func SGDStep(p *Workers, o SGD, params, grads, momentum []float32) {
	k := p.kernels()
	keep := o.Momentum
	if o.First {
		keep = 0
		clear(momentum) // what lies there may not be a number
	}
	tiles := (len(params) + sgdChunk - 1) / sgdChunk
	p.Run(tiles, func(_, t int) {
		from, to := t*sgdChunk, min(len(params), (t+1)*sgdChunk)
		w, g, m := params[from:to], grads[from:to], momentum[from:to]
		if len(w) >= kernel.Block {
			k.Sgd(&w[0], &g[0], &m[0], len(w)/kernel.Block, o.Scale, o.WeightDecay, keep, o.Momentum, -o.LR)
		}
		for i := len(w) / kernel.Block * kernel.Block; i < len(w); i++ {
			f := o.Scale*g[i] + o.WeightDecay*w[i]
			m[i] = keep*m[i] + f
			w[i] -= o.LR * (f + o.Momentum*m[i])
		}
	})
}
