package kernels_test

import (
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

func TestConvolution(t *testing.T) {
	cases := []struct {
		k, s, size [3]int
		in, out    int
	}{
		{[3]int{1, 1, 1}, [3]int{1, 1, 1}, [3]int{3, 2, 7}, 24, 70}, {[3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{4, 5, 3}, 5, 16}, {[3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{1, 2, 9}, 17, 3},
		{[3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{5, 4, 6}, 2, 20}, {[3]int{2, 3, 4}, [3]int{2, 1, 3}, [3]int{5, 6, 7}, 3, 20}, {[3]int{1, 1, 1}, [3]int{1, 1, 1}, [3]int{9, 10, 25}, 1, 8},
	}
	eachType(t, func(b *bench) {
		for i, k := range cases {
			px, py := places[i%len(places)], places[(i+2)%len(places)]
			conv := device.Conv{Kernel: k.k, Stride: k.s}
			out, taps := conv.OutSize(k.size), k.k[0]*k.k[1]*k.k[2]
			in, outShape := b.image(2, k.in, k.size), b.image(2, k.out, out)
			xs, gs, ws, bias, before := b.random(device.Count(in)), b.random(device.Count(outShape)), b.random(k.out*k.in*taps), b.random(k.out), b.random(device.Count(in))
			x, w, dy := b.tensor(device.Activation, xs, in...), b.tensor(device.Weights, ws, k.out, k.in, k.k[0], k.k[1], k.k[2]), b.tensor(device.Activation, gs, outShape...)
			y, dx, dw := b.tensor(device.Activation, nil, outShape...), b.tensor(device.Activation, before, in...), b.tensor(device.Weights, nil, w.Shape()...)

			c, pitch := kernels.Conv{Kernel: k.k, Stride: k.s}, k.in+i
			gx, gy, gdy := b.activation(px, xs, 2, k.in, k.size), b.view(py, 2, k.out, out), b.activation(py, gs, 2, k.out, out)
			gw := b.Alloc(int64(k.out * taps * pitch * b.typ.Bytes()))
			b.run(b.typ.PackWeights(b.floats(ws), gw, k.out, k.in, taps, pitch))

			b.Device.ConvForward(conv, x, w, y, device.Epilogue{})
			b.run(b.typ.ConvForward(c, gx, gw, pitch, gy, 0, false))
			b.near("convolution", b.read("convolution", py, gy), b.values(y), b.tolerance)
			b.Device.ConvForward(conv, x, w, y, device.Epilogue{Bias: b.tensor(device.Values, bias, k.out), ReLU: true})
			b.run(b.typ.ConvForward(c, gx, gw, pitch, gy, b.floats(bias), true))
			b.near("convolution with epilogue", b.read("convolution", py, gy), b.values(y), b.tolerance)

			gdx := b.activation(px, before, 2, k.in, k.size)
			for _, accumulate := range []bool{true, false} {
				b.Device.ConvBackwardData(conv, dy, w, dx, accumulate)
				b.run(b.typ.ConvBackwardData(c, gdy, gw, pitch, gdx, accumulate))
				b.near("gradient of the input", b.read("gradient", px, gdx), b.values(dx), b.tolerance)
			}

			b.Device.ConvBackwardWeights(conv, x, dy, dw)
			gdw, back := b.Alloc(int64(4*k.out*taps*pitch)), b.Alloc(int64(4*len(ws)))
			b.run(b.typ.ConvBackwardWeights(c, gx, gdy, gdw, pitch, b.Alloc(b.typ.ConvScratch(c, gx, gdy)))...)
			b.run(kernels.Float32.UnpackWeights(gdw, back, k.out, k.in, taps, pitch))
			b.near("gradient of the weights", b.readFloats(back, len(ws)), b.values(dw), 1e-5)
			for j, v := range b.readFloats(gdw, k.out*taps*pitch) {
				if j%pitch >= k.in && v != 0 {
					b.t.Fatalf("the gradient of padding channel %d is %g", j%pitch, v)
				}
			}
			b.Reset()
		}
	})
}

// TestStemSpaceToDepth computes the stem from its blocks as a matrix product of positions and compares with the
// convolution.
func TestStemSpaceToDepth(t *testing.T) {
	eachType(t, func(b *bench) {
		const n, k, size = 2, 3, 9
		for _, c := range []int{1, 3} {
			in := [3]int{size, size - 1, size + 1}
			conv := device.Conv{Kernel: [3]int{7, 7, 7}, Stride: [3]int{2, 2, 2}}
			out := conv.OutSize(in)
			xs, ws := b.random(n*c*in[0]*in[1]*in[2]), b.random(k*c*343)
			y := b.tensor(device.Activation, nil, b.image(n, k, out)...)
			b.Device.ConvForward(conv, b.tensor(device.Input, xs, b.image(n, c, in)...), b.tensor(device.Weights, ws, k, c, 7, 7, 7), y, device.Epilogue{})

			view := kernels.View{N: n, D: out[0] + 3, H: out[1] + 3, W: out[2] + 3, C: 8 * c, Pitch: 8 * c}
			count := view.Voxels() * view.C
			view.Data = b.Alloc(int64(count * b.typ.Bytes()))
			b.run(b.typ.StemPack(b.floats(xs), n, c, in, out, view.Data))
			blocks := b.read("blocks", place{}, view) // (n, 8c, out+3)

			packed, w, floats, back := b.Alloc(int64(4*len(ws))), b.Alloc(int64(k*64*8*c*b.typ.Bytes())), b.Alloc(int64(4*k*64*8*c)), b.Alloc(int64(4*len(ws)))
			b.run(kernels.Float32.PackWeights(b.floats(ws), packed, k, c, 343, c), b.typ.StemWeights(packed, w, k, c), b.typ.StemWeightsBack(w, back, k, c), b.typ.ConvertBack(w, floats, k*64*8*c))
			b.near("weights there and back", b.readFloats(back, len(ws)), b.readFloats(packed, len(ws)), 0)
			weights := b.readFloats(floats, k*64*8*c) // (k, 4, 4, 4, 8c)
			got := make([]float32, y.Size())
			for i := range got {
				ow, oh, od, o, s := i%out[2], i/out[2]%out[1], i/out[2]/out[1]%out[0], i/out[2]/out[1]/out[0]%k, i/out[2]/out[1]/out[0]/k
				sum := 0.0
				for tap := range 64 {
					d, h, w := od+tap/16, oh+tap/4%4, ow+tap%4
					for ch := range 8 * c {
						sum += float64(blocks[(((s*8*c+ch)*view.D+d)*view.H+h)*view.W+w]) * float64(weights[(o*64+tap)*8*c+ch])
					}
				}
				got[i] = float32(sum)
			}
			b.near("stem", got, b.values(y), 1e-5)
			b.Reset()
		}
	})
}

// stems are inputs whose rows, planes and pieces end in the middle of a block; the last has a piece of a row more than
// one block.
var stems = []struct {
	n, c int
	in   [3]int
}{{1, 1, [3]int{3, 5, 9}}, {2, 2, [3]int{6, 19, 13}}, {1, 3, [3]int{4, 7, 67}}, {1, 4, [3]int{2, 4, 8}}, {1, 5, [3]int{5, 3, 12}}, {1, 2, [3]int{2, 2, 131}}}

func TestStemTensorCores(t *testing.T) {
	eachType(t, func(b *bench) {
		if b.typ == kernels.Float32 {
			b.t.Skip("tensor cores take 16-bit elements")
		}
		conv := device.Conv{Kernel: [3]int{7, 7, 7}, Stride: [3]int{2, 2, 2}}
		for i, s := range stems {
			if b.typ == kernels.FP16 && i > 1 {
				break // the indices are those of bfloat16
			}
			out := conv.OutSize(s.in)
			const k = kernels.StemOut
			in, outShape := b.image(s.n, s.c, s.in), b.image(s.n, k, out)
			xs, ws, gs, bias := b.random(device.Count(in)), b.random(k*s.c*343), b.random(device.Count(outShape)), b.random(k)
			x, w, y := b.tensor(device.Input, xs, in...), b.tensor(device.Weights, ws, k, s.c, 7, 7, 7), b.tensor(device.Activation, nil, outShape...)

			p := places[i%3]
			gx, packed, fragments := b.floats(xs), b.Alloc(int64(4*len(ws))), b.Alloc(b.typ.StemFragmentBytes(s.c))
			gy, gdy := b.view(p, s.n, k, out), b.activation(p, gs, s.n, k, out)
			b.run(kernels.Float32.PackWeights(b.floats(ws), packed, k, s.c, 343, s.c), b.typ.StemFragments(packed, fragments, s.c))

			var epilogue device.Epilogue
			var add kernels.Ptr
			if i%2 == 0 {
				epilogue, add = device.Epilogue{Bias: b.tensor(device.Values, bias, k), ReLU: true}, b.floats(bias)
			}
			b.Device.ConvForward(conv, x, w, y, epilogue)
			b.run(b.typ.StemForward(gx, s.n, s.c, s.in, fragments, gy, add, epilogue.ReLU))
			b.near("stem", b.read("stem", p, gy), b.values(y), b.tolerance)

			dw := b.tensor(device.Weights, nil, k, s.c, 7, 7, 7)
			b.Device.ConvBackwardWeights(conv, x, b.tensor(device.Activation, gs, outShape...), dw)
			gdw, back := b.Alloc(int64(4*len(ws))), b.Alloc(int64(4*len(ws)))
			b.run(b.typ.StemBackwardWeights(gx, s.n, s.c, s.in, gdy, gdw, b.Alloc(b.typ.StemScratch(s.n, s.c, out)))...)
			b.run(kernels.Float32.UnpackWeights(gdw, back, k, s.c, 343, s.c))
			b.near("gradient of the stem's weights", b.readFloats(back, len(ws)), b.values(dw), 1e-5)
			b.Reset()
		}
	})
}
