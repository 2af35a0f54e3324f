package kernel

import (
	"math"
	"unsafe"
)

// The kernels of max pooling along one axis after the other, which keep track of the tap that won.
type (
	// combineFunc computes the maxima of n vectors for count voxels: those that lie offsets[i] vectors from src. The
	// winner is that of the first largest, from srcWinners, plus taps[i]. Values in bfloat16 are compared as ordered by
	// their bits: -0 lies below 0, what is not a number beyond infinity.
	combineFunc func(dst *float32, winners *uint8, src *float32, srcWinners *uint8, count int, offsets *int, taps *[16]uint8, n int)
	// axisMaxFunc computes, for lines of count voxels, the maximum of a source, what lies tap1 and tap2 bytes further,
	// and, if start is 0, zero, or above 0, dst. Sources lie step bytes apart within a line, results side by side.
	axisMaxFunc func(dst, src *float32, lines, dstLine, srcLine, count, step, tap1, tap2, start int)
	// splitFunc adds up, for count voxels, the n vectors that lie offsets[i] vectors from g, each where its winner in w is
	// one of the span from taps[i] on. winners gets the last such winner's distance from taps[i], 255 without one.
	splitFunc func(dst *float32, winners *uint8, g *float32, w *uint8, count int, offsets *int, taps *[16]uint8, n, span int)
)

// winnersAt returns the winners of a voxel.
func winnersAt(w *uint8, voxel int) *[Block]uint8 {
	return (*[Block]uint8)(unsafe.Add(unsafe.Pointer(w), voxel*Block))
}

func combineGeneric(dst *float32, winners *uint8, src *float32, srcWinners *uint8, count int, offsets *int, taps *[16]uint8, n int) {
	positions, numbers := unsafe.Slice(offsets, n), unsafe.Slice(taps, n)
	for v := range count {
		var best [Block]float32
		var which [Block]uint8
		for t, at := range positions {
			from := winnersAt(srcWinners, v+at)
			for i, f := range vector(src, (v+at)*64) {
				if t == 0 || !(f <= best[i]) {
					best[i], which[i] = f, from[i]+numbers[t][0]
				}
			}
		}
		*vector(dst, v*64), *winnersAt(winners, v) = best, which
	}
}

// bf16Key maps the bits of a bfloat16 to a number of the same order, and back.
func bf16Key(h int16) int16 { return h ^ h>>15&0x7fff }

func combineBF16Generic(dst *float32, winners *uint8, src *float32, srcWinners *uint8, count int, offsets *int, taps *[16]uint8, n int) {
	positions, numbers := unsafe.Slice(offsets, n), unsafe.Slice(taps, n)
	for v := range count {
		var best [Block]int16
		var which [Block]uint8
		for t, at := range positions {
			from := winnersAt(srcWinners, v+at)
			for i, h := range bf16Vector(src, (v+at)*32) {
				if key := bf16Key(int16(h)); t == 0 || key > best[i] {
					best[i], which[i] = key, from[i]+numbers[t][0]
				}
			}
		}
		*winnersAt(winners, v) = which
		out := bf16Vector(dst, v*32)
		for i, key := range best {
			out[i] = uint16(bf16Key(key))
		}
	}
}

func axisMaxGeneric(dst, src *float32, lines, dstLine, srcLine, count, step, tap1, tap2, start int) {
	for l := range lines {
		for v := range count {
			out := vector(dst, l*dstLine+v*64)
			best := startOfMax(*out, start)
			for _, at := range [...]int{0, tap1, tap2} {
				maxInto(&best, vector(src, l*srcLine+v*step+at))
			}
			*out = best
		}
	}
}

func axisMaxBF16Generic(dst, src *float32, lines, dstLine, srcLine, count, step, tap1, tap2, start int) {
	for l := range lines {
		for v := range count {
			best := startOfMax(loadBF16(dst, l*dstLine+v*32), start)
			for _, at := range [...]int{0, tap1, tap2} {
				f := loadBF16(src, l*srcLine+v*step+at)
				maxInto(&best, &f)
			}
			storeBF16(dst, l*dstLine+v*32, &best)
		}
	}
}

// startOfMax is what takes part before the taps of axisMax; out is what dst holds.
func startOfMax(out [Block]float32, start int) (best [Block]float32) {
	switch {
	case start > 0:
		return out
	case start < 0:
		for i := range best {
			best[i] = float32(math.Inf(-1))
		}
	}
	return best
}

func maxInto(best, f *[Block]float32) {
	for i, v := range f {
		if !(v <= best[i]) {
			best[i] = v
		}
	}
}

func splitGeneric(dst *float32, winners *uint8, g *float32, w *uint8, count int, offsets *int, taps *[16]uint8, n, span int) {
	split(winners, w, count, offsets, taps, n, span, func(v int) *[Block]float32 { return vector(g, v*64) }, func(v int, acc *[Block]float32) { *vector(dst, v*64) = *acc })
}

func splitBF16Generic(dst *float32, winners *uint8, g *float32, w *uint8, count int, offsets *int, taps *[16]uint8, n, span int) {
	split(winners, w, count, offsets, taps, n, span, func(v int) *[Block]float32 { f := loadBF16(g, v*32); return &f }, func(v int, acc *[Block]float32) { storeBF16(dst, v*32, acc) })
}

func split(winners, w *uint8, count int, offsets *int, taps *[16]uint8, n, span int, read func(v int) *[Block]float32, write func(v int, acc *[Block]float32)) {
	positions, numbers := unsafe.Slice(offsets, n), unsafe.Slice(taps, n)
	for v := range count {
		var acc [Block]float32
		var which [Block]uint8
		for i := range which {
			which[i] = 255
		}
		for t, at := range positions {
			won, g := winnersAt(w, v+at), read(v+at)
			for i := range which {
				if d := won[i] - numbers[t][0]; int(d) < span {
					acc[i] += g[i]
					which[i] = d
				}
			}
		}
		write(v, &acc)
		*winnersAt(winners, v) = which
	}
}
