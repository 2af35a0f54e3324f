package cpu

import (
	"math"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// tapRange returns the kernel taps along one axis for which output position o reads inside [0, size).
func tapRange(o, stride, pad, kernel, size int) (lo, hi int) {
	start := o*stride - pad
	return max(0, -start), min(kernel, size-start)
}

// lanes returns channel block ib of sample n with the distances, in floats, between voxels and between channels.
func (a Act) lanes(n, ib int) (data []float32, voxel, lane int) {
	if a.Planar {
		vox := a.Voxels()
		return a.Data[n*a.NStride+ib*kernel.Block*vox:], 1, vox
	}
	return a.block(n, ib), kernel.Block, 1
}

// convForwardDirect is the specification of ConvForward: one tile is a plane of one output block.
func convForwardDirect(p *Workers, c *Conv, x Act, w []float32, y Act) {
	obs, ibs, inner := Blocks(c.Out), Blocks(c.In), c.inner()
	p.Run(y.N*obs*y.D, func(_, tile int) {
		n, ob, d := tile/(obs*y.D), tile/y.D%obs, tile%y.D
		out := y.block(n, ob)[d*y.H*y.W*kernel.Block:]
		d0, d1 := tapRange(d, c.Stride[0], c.PadLo[0], c.Kernel[0], x.D)
		for h := range y.H {
			h0, h1 := tapRange(h, c.Stride[1], c.PadLo[1], c.Kernel[1], x.H)
			for v := range y.W {
				w0, w1 := tapRange(v, c.Stride[2], c.PadLo[2], c.Kernel[2], x.W)
				var acc [kernel.Block]float32
				for ib := range ibs {
					src, voxel, lane := x.lanes(n, ib)
					wb := c.packedBlock(w, ob, ib)
					count := min(inner, c.In-ib*kernel.Block)
					for kd := d0; kd < d1; kd++ {
						for kh := h0; kh < h1; kh++ {
							row := ((d*c.Stride[0]-c.PadLo[0]+kd)*x.H+h*c.Stride[1]-c.PadLo[1]+kh)*x.W + v*c.Stride[2] - c.PadLo[2]
							for kw := w0; kw < w1; kw++ {
								tap := (kd*c.Kernel[1]+kh)*c.Kernel[2] + kw
								at := (row + kw) * voxel
								for i := range count {
									f := src[at+i*lane]
									wv := (*[kernel.Block]float32)(wb[(tap*inner+i)*kernel.Block:])
									for o := range acc {
										acc[o] += f * wv[o]
									}
								}
							}
						}
					}
				}
				copy(out[(h*y.W+v)*kernel.Block:], acc[:])
			}
		}
	})
}

// convBackwardDataDirect is the specification of ConvBackwardData: one tile is a plane of one input block.
func convBackwardDataDirect(p *Workers, c *Conv, dy Act, w []float32, dx Act, accumulate bool) {
	obs, ibs, inner := Blocks(c.Out), Blocks(c.In), c.inner()
	p.Run(dx.N*ibs*dx.D, func(_, tile int) {
		n, ib, d := tile/(ibs*dx.D), tile/dx.D%ibs, tile%dx.D
		out := dx.block(n, ib)[d*dx.H*dx.W*kernel.Block:]
		count := min(inner, c.In-ib*kernel.Block)
		for h := range dx.H {
			for v := range dx.W {
				var acc [kernel.Block]float32
				for ob := range obs {
					src, wb := dy.block(n, ob), c.packedBlock(w, ob, ib)
					for kd := range c.Kernel[0] {
						od, ok := outputAt(d, kd, c.Stride[0], c.PadLo[0], dy.D)
						if !ok {
							continue
						}
						for kh := range c.Kernel[1] {
							oh, ok := outputAt(h, kh, c.Stride[1], c.PadLo[1], dy.H)
							if !ok {
								continue
							}
							for kw := range c.Kernel[2] {
								ow, ok := outputAt(v, kw, c.Stride[2], c.PadLo[2], dy.W)
								if !ok {
									continue
								}
								tap := (kd*c.Kernel[1]+kh)*c.Kernel[2] + kw
								g := (*[kernel.Block]float32)(src[((od*dy.H+oh)*dy.W+ow)*kernel.Block:])
								for i := range count {
									wv := (*[kernel.Block]float32)(wb[(tap*inner+i)*kernel.Block:])
									var sum float32
									for o := range g {
										sum += g[o] * wv[o]
									}
									acc[i] += sum
								}
							}
						}
					}
				}
				dst := (*[kernel.Block]float32)(out[(h*dx.W+v)*kernel.Block:])
				for i := range dst {
					if accumulate {
						dst[i] += acc[i]
					} else {
						dst[i] = acc[i]
					}
				}
			}
		}
	})
}

// outputAt returns the output position whose tap reads input position in, if there is one.
func outputAt(in, tap, stride, pad, size int) (int, bool) {
	at := in + pad - tap
	if at < 0 || at%stride != 0 || at/stride >= size {
		return 0, false
	}
	return at / stride, true
}

// convBackwardWeightsDirect is the specification of ConvBackwardWeights: one tile is one tap of one pair of blocks.
func convBackwardWeightsDirect(p *Workers, c *Conv, x, dy Act, dw []float32) {
	obs, ibs, inner, taps := Blocks(c.Out), Blocks(c.In), c.inner(), c.Taps()
	p.Run(obs*ibs*taps, func(_, tile int) {
		ob, ib, tap := tile/(ibs*taps), tile/taps%ibs, tile%taps
		kd, kh, kw := tap/(c.Kernel[1]*c.Kernel[2]), tap/c.Kernel[2]%c.Kernel[1], tap%c.Kernel[2]
		count := min(inner, c.In-ib*kernel.Block)
		var acc [kernel.Block * kernel.Block]float32
		for n := range dy.N {
			g := dy.block(n, ob)
			src, voxel, lane := x.lanes(n, ib)
			for od := range dy.D {
				id := od*c.Stride[0] - c.PadLo[0] + kd
				if id < 0 || id >= x.D {
					continue
				}
				for oh := range dy.H {
					ih := oh*c.Stride[1] - c.PadLo[1] + kh
					if ih < 0 || ih >= x.H {
						continue
					}
					for ow := range dy.W {
						iw := ow*c.Stride[2] - c.PadLo[2] + kw
						if iw < 0 || iw >= x.W {
							continue
						}
						gv := (*[kernel.Block]float32)(g[((od*dy.H+oh)*dy.W+ow)*kernel.Block:])
						at := ((id*x.H+ih)*x.W + iw) * voxel
						for i := range count {
							f := src[at+i*lane]
							row := (*[kernel.Block]float32)(acc[i*kernel.Block:])
							for o := range gv {
								row[o] += f * gv[o]
							}
						}
					}
				}
			}
		}
		copy(c.packedBlock(dw, ob, ib)[tap*inner*kernel.Block:][:inner*kernel.Block], acc[:])
	})
}

// shifts returns what adds the bias and applies ReLU to each block of y, nil if neither is asked for.
func (e *Epilogue) shifts(channels int) []normParams {
	if e.Bias == nil && !e.ReLU {
		return nil
	}
	params := make([]normParams, Blocks(channels))
	for b := range params {
		params[b].scale = lanes16(nil, b, channels, 1)
		params[b].shift = lanes16(e.Bias, b, channels, 0)
		if !e.ReLU {
			params[b].floor = lanes16(nil, b, channels, float32(math.Inf(-1)))
		}
	}
	return params
}

// applyEpilogue adds the bias, applies ReLU and sums up, as e asks.
func applyEpilogue(p *Workers, y Act, e *Epilogue, s *Scratch) {
	if params := e.shifts(y.C); params != nil {
		k, vec := p.kernels().On(y.BF16), y.vec()
		eachPiece(p, y, func(n, b, from, count int) {
			at := &y.block(n, b)[from*vec]
			k.Normalize(at, at, count, &params[b].scale[0])
		})
	}
	if e.Sum != nil {
		channelSums(p, y, e.Sum, e.SumSq, s)
	}
}
