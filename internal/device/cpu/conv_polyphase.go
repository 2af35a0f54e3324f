package cpu

import (
	"unsafe"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// A convolution with stride 2 is a convolution with stride 1 over the 2x2x2 phases of its input: input voxel 2u+q of
// channel c becomes voxel u of channel 8c + 4qd + 2qh + qw, and tap k, which reads at 2o + k - pad = 2(o+j) + q,
// becomes tap j of that channel. The 7-tap stem turns into 4 taps, for which Winograd's schemes exist.

// polyphase returns the stride-1 convolution over phases and, per axis, how many taps of it lie in front of the output
// position.
func (c *Conv) polyphase() (phases Conv, ok bool) {
	if c.Stride != [3]int{2, 2, 2} {
		return phases, false
	}
	phases = Conv{In: 8 * c.In, Out: c.Out, Stride: [3]int{1, 1, 1}, OutSize: c.OutSize}
	for a := range 3 {
		lo, hi := -c.PadLo[a]>>1, (c.Kernel[a]-1-c.PadLo[a])>>1
		phases.Kernel[a] = hi - lo + 1
		phases.PadLo[a] = -lo
		phases.InSize[a] = (c.InSize[a] + 1) / 2
	}
	_, ok = phases.chooseSchemes(forOutputs, 0, 1)
	return phases, ok
}

// splitPhases writes the phases of the planar x to the blocked y.
func splitPhases(p *Workers, x, y Act) {
	blocks := Blocks(y.C)
	p.Run(x.N*blocks*y.D, func(_, tile int) {
		n, b, d := tile/(blocks*y.D), tile/y.D%blocks, tile%y.D
		for h := range y.H {
			row := y.block(n, b)[(d*y.H+h)*y.W*kernel.Block:][:y.W*kernel.Block]
			for pair := range kernel.Block / 2 {
				channel := b*(kernel.Block/8) + pair/4
				xd, xh := 2*d+pair/2%2, 2*h+pair%2
				dst := row[2*pair:]
				if channel >= x.C || xd >= x.D || xh >= x.H {
					for v := 0; v < len(dst); v += kernel.Block {
						dst[v], dst[v+1] = 0, 0
					}
					continue
				}
				src := x.Data[n*x.NStride+((channel*x.D+xd)*x.H+xh)*x.W:][:x.W]
				full := x.W / 2
				copyPairs(dst, src, full)
				if full < y.W {
					dst[full*kernel.Block], dst[full*kernel.Block+1] = src[x.W-1], 0
				}
			}
		}
	})
}

// copyPairs copies pairs of neighbouring values to the first two of every 16.
func copyPairs(dst, src []float32, pairs int) {
	if pairs == 0 {
		return
	}
	_, _ = dst[(pairs-1)*kernel.Block+1], src[2*pairs-1]
	d, s := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	for i := range pairs {
		*(*[2]float32)(unsafe.Add(d, i*64)) = *(*[2]float32)(unsafe.Add(s, i*8))
	}
}

// phaseWeights calls f with the places of every 16 packed weights: of c, and of its stride-1 convolution over phases.
func (c *Conv) phaseWeights(phases *Conv, f func(weight, phase int)) {
	inner, outer := c.inner(), phases.inner()
	at := func(a, k int) (tap, phase int) {
		e := k - c.PadLo[a]
		return e>>1 + phases.PadLo[a], e & 1
	}
	for ob := range Blocks(c.Out) {
		for i := range c.In {
			for tap := range c.Taps() {
				jd, qd := at(0, tap/(c.Kernel[1]*c.Kernel[2]))
				jh, qh := at(1, tap/c.Kernel[2]%c.Kernel[1])
				jw, qw := at(2, tap%c.Kernel[2])
				channel := 8*i + 4*qd + 2*qh + qw
				to := (jd*phases.Kernel[1]+jh)*phases.Kernel[2] + jw
				f((((ob*Blocks(c.In)+i/kernel.Block)*c.Taps()+tap)*inner+i%kernel.Block)*kernel.Block,
					(((ob*Blocks(phases.In)+channel/kernel.Block)*phases.Taps()+to)*outer+channel%kernel.Block)*kernel.Block)
			}
		}
	}
}

// split returns the phases of x and the dense activation that holds them.
func (c *Conv) split(p *Workers, phases *Conv, x Act, s *Scratch) Act {
	size := phases.InSize
	y := ActOn(s.floats(ActLen(x.N, phases.In, size[0], size[1], size[2])), x.N, phases.In, size[0], size[1], size[2])
	splitPhases(p, x, y)
	return y
}

// splitRounded is split to bfloat16.
func (c *Conv) splitRounded(p *Workers, phases *Conv, x Act, s *Scratch) Act {
	size := phases.InSize
	y := BF16On(s.floats(ActLen(x.N, phases.In, size[0], size[1], size[2])/2), x.N, phases.In, size[0], size[1], size[2])
	splitPhasesRounded(p, x, y, s.floats(x.W+1))
	return y
}

// splitPhasesRounded is splitPhases with y in bfloat16; zeros is room for a row.
func splitPhasesRounded(p *Workers, x, y Act, zeros []float32) {
	clear(zeros)
	tiles, blocks := p.kernels().Tiles, Blocks(y.C)
	groups := x.W / (2 * kernel.Block)
	p.Run(x.N*blocks*y.D, func(worker, tile int) {
		n, b, d := tile/(blocks*y.D), tile/y.D%blocks, tile%y.D
		rows := &p.byTiles[worker].rows
		for h := range y.H {
			row := halves(y.block(n, b)[(d*y.H+h)*y.W*y.vec():][:y.W*y.vec()])
			var ends [8]bool // with the last pair whole
			for pair := range rows {
				channel := b*(kernel.Block/8) + pair/4
				xd, xh := 2*d+pair/2%2, 2*h+pair%2
				rows[pair], ends[pair] = &zeros[0], true
				if channel < x.C && xd < x.D && xh < x.H {
					rows[pair], ends[pair] = &x.Data[n*x.NStride+((channel*x.D+xd)*x.H+xh)*x.W], x.W%2 == 0
				}
			}
			if groups > 0 {
				tiles.SplitPhases((*float32)(unsafe.Pointer(&row[0])), rows, groups)
			}
			for v := groups * kernel.Block; v < y.W; v++ {
				for pair, from := range rows {
					at := (*[2]float32)(unsafe.Add(unsafe.Pointer(from), v*8))
					row[v*kernel.Block+2*pair], row[v*kernel.Block+2*pair+1] = kernel.ToBF16(at[0]), 0
					if v < y.W-1 || ends[pair] {
						row[v*kernel.Block+2*pair+1] = kernel.ToBF16(at[1])
					}
				}
			}
		}
	})
}

// polyphaseForward is ConvForward of a planar x by the convolution over phases. Factors of Winograd's products are
// never rounded: its schemes amplify the rounding of the network's input too much. Tiles do round the input.
func polyphaseForward(p *Workers, c, phases *Conv, x Act, w []float32, y Act, e *Epilogue, s *Scratch) {
	size := PackedLen(phases)
	split := func(packed []float32) {
		clear(packed)
		c.phaseWeights(phases, func(weight, phase int) { copy(packed[phase:phase+kernel.Block], w[weight:weight+kernel.Block]) })
	}
	var packed []float32
	if e.Forms != nil {
		packed = e.Forms.get(formKey{weights: &w[0]}, size, split)
	} else {
		packed = s.floats(size)
		split(packed)
	}
	if plan, ok := phases.tilePlan(p, y); ok {
		plan.forward(p, c.splitRounded(p, phases, x, s), packed, y, e, s)
		return
	}
	winogradForward(p, phases, c.split(p, phases, x, s), packed, y, e, s)
}

// polyphaseBackwardWeights is ConvBackwardWeights of a planar x.
func polyphaseBackwardWeights(p *Workers, c, phases *Conv, x, dy Act, dw []float32, s *Scratch) {
	packed := s.floats(PackedLen(phases))
	if plan, ok := phases.tileGradient(p, dy); ok {
		plan.gradient(p, c.splitRounded(p, phases, x, s), dy, packed, s)
		c.phaseWeights(phases, func(weight, phase int) { copy(dw[weight:weight+kernel.Block], packed[phase:phase+kernel.Block]) })
		return
	}
	plan, _ := phases.winogradPlan(x.N, forWeights, 0)
	plan.weightGradient(p, c.split(p, phases, x, s), dy, packed, s)
	c.phaseWeights(phases, func(weight, phase int) { copy(dw[weight:weight+kernel.Block], packed[phase:phase+kernel.Block]) })
}
