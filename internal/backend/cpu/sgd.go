package cpu

// sgdChunk is the number of parameters of one tile of the optimiser's pass.
const sgdChunk = 1 << 15

// SGD is one step of torch.optim.SGD with Nesterov momentum, preceded by a scaling of the gradient (clipping).
type SGD struct {
	LR, Momentum, WeightDecay float32
	Scale                     float32 // the gradient is multiplied by this first: the clip coefficient, else 1
	First                     bool    // first step: the momentum buffer becomes the gradient
}

// SumSquares returns the sum of squares in float64, added in an order that does not depend on the threads.
func SumSquares(p *Pool, x []float32, s *Scratch) float64 {
	tiles := (len(x) + sgdChunk - 1) / sgdChunk
	part := s.doubles(tiles)
	p.Run(tiles, func(_, t int) {
		var sum float64
		for _, v := range x[t*sgdChunk : min(len(x), (t+1)*sgdChunk)] {
			sum += float64(v) * float64(v)
		}
		part[t] = sum
	})
	var sum float64
	for _, v := range part {
		sum += v
	}
	return sum
}

// SGDStep updates params and momentum in one pass; grads are only read:
// g = Scale*grad + WeightDecay*p; m = Momentum*m + g (m = g on the first step); p -= LR*(g + Momentum*m).
func SGDStep(p *Pool, o SGD, params, grads, momentum []float32) {
	tiles := (len(params) + sgdChunk - 1) / sgdChunk
	p.Run(tiles, func(_, t int) {
		from, to := t*sgdChunk, min(len(params), (t+1)*sgdChunk)
		w, g, m := params[from:to], grads[from:to], momentum[from:to]
		for i := range w {
			f := o.Scale*g[i] + o.WeightDecay*w[i]
			v := f
			if !o.First {
				v = o.Momentum*m[i] + f
			}
			m[i] = v
			w[i] -= o.LR * (f + o.Momentum*v)
		}
	})
}
