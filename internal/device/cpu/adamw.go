package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// AdamW are the numbers of one step of torch.optim.AdamW (Loshchilov & Hutter 2019), preceded by a scaling of the
// gradient (clipping).
type AdamW struct {
	Beta1, Beta2, Shrink, Rate, Root, Eps float64
	Scale                                 float32 // the gradient is multiplied by this first: the clip coefficient, else 1
	Fresh                                 bool    // the moments count as 0, whatever they hold
}

// AdamWStep updates params and both moments in one pass; grads are only read:
// g = Scale*grad; m = Beta1*m + (1-Beta1)*g; v = Beta2*v + (1-Beta2)*g*g; p = Shrink*p - Rate*m/(sqrt(v)*Root + Eps).
func AdamWStep(p *Workers, o AdamW, params, grads, first, second []float32) {
	k := p.kernels()
	numbers := [9]float32{o.Scale, float32(o.Beta1), float32(1 - o.Beta1), float32(o.Beta2), float32(1 - o.Beta2),
		float32(o.Shrink), float32(-o.Rate), float32(o.Root), float32(o.Eps)}
	tiles := (len(params) + sgdChunk - 1) / sgdChunk
	p.Run(tiles, func(_, t int) {
		from, to := t*sgdChunk, min(len(params), (t+1)*sgdChunk)
		w, g, m, v := params[from:to], grads[from:to], first[from:to], second[from:to]
		if o.Fresh {
			clear(m)
			clear(v)
		}
		whole := len(w) / kernel.Block * kernel.Block
		if whole > 0 {
			k.Adamw(&w[0], &g[0], &m[0], &v[0], whole/kernel.Block, &numbers)
		}
		kernel.Adamw(w[whole:], g[whole:], m[whole:], v[whole:], &numbers)
	})
}

// Average computes dst = keep*dst + (1-keep)*src; keep 0 copies.
func Average(p *Workers, dst, src []float32, keep float32) {
	tiles := (len(dst) + sgdChunk - 1) / sgdChunk
	p.Run(tiles, func(_, t int) {
		from, to := t*sgdChunk, min(len(dst), (t+1)*sgdChunk)
		d := dst[from:to]
		s := src[from:to][:len(d)]
		if keep == 0 {
			copy(d, s)
			return
		}
		for i, v := range s {
			d[i] += (1 - keep) * (v - d[i])
		}
	})
}
