package kernels_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/emulator"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// bench compares kernels, run on the processor, with the portable CPU device.
type bench struct {
	*emulator.Emulator
	device.Device
	t   *testing.T
	typ kernels.Type
	r   *rand.Rand
	// tolerance is relative to the largest value: what rounding to T leaves.
	tolerance float64
}

func eachType(t *testing.T, f func(b *bench)) {
	for i, typ := range kernels.Types {
		t.Run(typ.String(), func(t *testing.T) {
			cpu, err := cpu.Open(1, "generic", false)
			if err != nil {
				t.Fatal(err)
			}
			defer cpu.Close()
			f(&bench{emulator.Start(t, typ), cpu, t, typ, rand.New(rand.NewPCG(11, uint64(i))), []float64{1e-5, 6e-3, 8e-4}[i]})
		})
	}
}

func (b *bench) run(launches ...kernels.Launch) {
	b.t.Helper()
	for _, l := range launches {
		b.Launch(l)
	}
}

// rounded returns v as T holds it.
func (b *bench) rounded(v float32) float32 {
	bits := math.Float32bits(v)
	switch b.typ {
	case kernels.BFloat16:
		return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
	case kernels.FP16:
		unit := math.Ldexp(1, max(math.Ilogb(float64(v)), -14)-10)
		if v == 0 {
			return 0
		}
		return float32(math.RoundToEven(float64(v)/unit) * unit)
	}
	return v
}

// random returns normal values that T holds.
func (b *bench) random(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = b.rounded(float32(b.r.NormFloat64()))
	}
	return v
}

// floats puts values into memory.
func (b *bench) floats(values []float32) kernels.Ptr {
	p := b.Alloc(int64(4 * len(values)))
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	b.Write(p, data)
	return p
}

func (b *bench) readFloats(p kernels.Ptr, n int) []float32 {
	b.t.Helper()
	data := make([]byte, 4*n)
	b.Read(p, data)
	v := make([]float32, n)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return v
}

// place says how a tensor lies: behind first channels of a wider tensor that has rest channels more.
type place struct{ first, rest int }

var places = []place{{0, 0}, {16, 0}, {16, 16}, {0, 3}}

// view makes room for an activation.
func (b *bench) view(p place, n, c int, size [3]int) kernels.View {
	v := kernels.View{N: n, D: size[0], H: size[1], W: size[2], C: p.first + c + p.rest, Pitch: p.first + c + p.rest}
	v.Data = b.Alloc(int64(v.Voxels() * v.Pitch * b.typ.Bytes()))
	return v.Slice(b.typ, p.first, c)
}

// activation makes a view of values (N, C, D, H, W).
func (b *bench) activation(p place, values []float32, n, c int, size [3]int) kernels.View {
	v := b.view(p, n, c, size)
	b.run(b.typ.PackActivations(b.floats(values), v, c))
	return v
}

// read returns (N, C, D, H, W) and fails when the other channels of the wider tensor are no longer what Alloc left.
func (b *bench) read(what string, p place, v kernels.View) []float32 {
	b.t.Helper()
	bytes := b.typ.Bytes()
	all := make([]byte, v.Voxels()*v.Pitch*bytes)
	b.Read(v.Data-kernels.Ptr(p.first*bytes), all)
	for i, x := range all {
		if c := i / bytes % v.Pitch; (c < p.first || c >= p.first+v.C) && x != 0xff {
			b.t.Fatalf("%s: channel %d of %d was touched outside of the slice [%d, %d)", what, c, v.Pitch, p.first, p.first+v.C)
		}
	}
	n := v.Voxels() * v.C
	out := b.Alloc(int64(4 * n))
	b.run(b.typ.UnpackActivations(v, out))
	return b.readFloats(out, n)
}

// near compares, relative to the largest value wanted.
func (b *bench) near(what string, got, want []float32, tolerance float64) {
	b.t.Helper()
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	if len(got) != len(want) {
		b.t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i]-w)) <= tolerance*scale) {
			b.t.Fatalf("%s[%d] = %g, want %g (largest %g)", what, i, got[i], w, scale)
		}
	}
}

// tensor puts values on the CPU device.
func (b *bench) tensor(kind device.Kind, values []float32, shape ...int) *device.Tensor {
	b.t.Helper()
	s := device.Spec{Kind: kind, Shape: shape}
	block, err := b.NewBlock(b.Bytes(s))
	if err != nil {
		b.t.Fatal(err)
	}
	t := b.Place(s, block, 0)
	if values != nil {
		b.Upload(t, values)
	}
	return t
}

func (b *bench) values(t *device.Tensor) []float32 {
	v := make([]float32, t.Size())
	b.Download(t, v)
	return v
}

func (b *bench) image(n, c int, size [3]int) []int { return []int{n, c, size[0], size[1], size[2]} }

func TestActivations(t *testing.T) {
	eachType(t, func(b *bench) {
		for i, c := range []int{1, 3, 8, 13, 64, 300} {
			p, size := places[i%len(places)], [3]int{3, 5, 1 + i}
			x := b.random(2 * c * 15 * size[2])
			if i == 0 { // what rounds to infinity, stays smaller than a normal number, or lies half way between two
				x = append(x[:0], 1, 1.00390625, 1.01171875, 70000, -3e38, 6e-8, -3e-5, 1.00048828125, 1.00146484375, 65519, 0)
				for len(x) < 30 {
					x = append(x, -0.1)
				}
			}
			v := b.activation(p, x, 2, c, size)
			want := make([]float32, len(x))
			for j := range x {
				want[j] = b.rounded(x[j])
				if b.typ == kernels.FP16 && math.Abs(float64(x[j])) >= 65520 {
					want[j] = float32(math.Inf(int(x[j])))
				}
			}
			for j, g := range b.read("pack", p, v) {
				if g != want[j] {
					b.t.Fatalf("%d channels: value %d is %g, want %g for %g", c, j, g, want[j], x[j])
				}
			}
			padded := b.view(place{}, 2, c, size)
			padded.Pitch = c + 5
			padded.Data = b.Alloc(int64(padded.Voxels() * padded.Pitch * b.typ.Bytes()))
			b.run(b.typ.PackActivations(b.floats(x), padded, padded.Pitch))
			all := padded
			all.C = padded.Pitch
			for j, g := range b.read("padded", place{}, all) {
				if ch := j / (15 * size[2]) % all.C; ch >= c && g != 0 {
					b.t.Fatalf("padding channel %d holds %g", ch, g)
				}
			}
			b.Reset()
		}
	})
}

func TestElementwise(t *testing.T) {
	eachType(t, func(b *bench) {
		for i, c := range []int{1, 7, 16, 24, 70, 272} {
			size := [3]int{2, 3, 4 + i}
			px, py := places[i%len(places)], places[(i+1)%len(places)]
			n := 2 * c * 6 * size[2]
			xs, ys, bias := b.random(n), b.random(n), b.random(c)
			x, y := b.activation(px, xs, 2, c, size), b.activation(py, ys, 2, c, size)
			b.run(b.typ.Add(y, x))
			want := make([]float32, n)
			for j := range want {
				want[j] = xs[j] + ys[j]
			}
			b.near("add", b.read("add", py, y), want, b.tolerance)
			b.run(b.typ.CopyChannels(x, y))
			b.near("copy", b.read("copy", py, y), xs, 0)
			b.run(b.typ.BiasReLU(y, b.floats(bias), true), b.typ.BiasReLU(x, b.floats(bias), false))
			voxels, floor := n/2/c, make([]float32, n)
			for j := range want {
				want[j] = xs[j] + bias[j/voxels%c]
				floor[j] = max(0, want[j])
			}
			b.near("bias", b.read("bias", px, x), want, b.tolerance)
			b.near("bias and ReLU", b.read("bias and ReLU", py, y), floor, b.tolerance)
			b.run(b.typ.BiasReLU(x, 0, true))
			b.near("ReLU", b.read("ReLU", px, x), floor, b.tolerance)
			gradient := b.random(n)
			dy := b.activation(px, gradient, 2, c, size)
			b.run(b.typ.ReLUBackward(y, dy))
			for j, v := range b.read("ReLU of the gradient", py, y) {
				if v == 0 {
					gradient[j] = 0
				}
			}
			b.near("ReLU backward", b.read("ReLU backward", px, dy), gradient, 0)

			flat, back := b.Alloc(int64(n*b.typ.Bytes())), b.Alloc(int64(4*n))
			b.run(b.typ.Convert(b.floats(xs), flat, n), b.typ.ConvertBack(flat, back, n))
			b.near("convert", b.readFloats(back, n), xs, 0)
			b.run(b.typ.Fill(back, n-1, 2.5))
			filled := b.readFloats(back, n)
			if filled[0] != 2.5 || filled[n-2] != 2.5 || filled[n-1] != xs[n-1] {
				b.t.Fatalf("fill wrote %v ... %v", filled[0], filled[n-2:])
			}
			b.Reset()
		}
	})
}

func TestWeights(t *testing.T) {
	eachType(t, func(b *bench) {
		k, c, taps, pitch := 5, 6, 27, 8
		values := b.random(k * c * taps)
		for _, typ := range []kernels.Type{kernels.Float32, b.typ} {
			packed, back := b.Alloc(int64(k*taps*pitch*typ.Bytes())), b.Alloc(int64(4*k*c*taps))
			b.run(typ.PackWeights(b.floats(values), packed, k, c, taps, pitch), typ.UnpackWeights(packed, back, k, c, taps, pitch))
			b.near("weights there and back", b.readFloats(back, len(values)), values, 0)
			if typ == kernels.Float32 {
				for i, g := range b.readFloats(packed, k*taps*pitch) {
					out, tap, ch, want := i/pitch/taps, i/pitch%taps, i%pitch, float32(0)
					if ch < c {
						want = values[(out*c+ch)*taps+tap]
					}
					if g != want {
						b.t.Fatalf("packed weight (%d, %d, %d) is %g, want %g", out, tap, ch, g, want)
					}
				}
			}
		}
		b.Reset()
	})
}

func TestBatchNorm(t *testing.T) {
	eachType(t, func(b *bench) {
		for i, c := range []int{1, 5, 16, 24, 64, 280} {
			size := [3]int{4, 5, 3 + 2*i}
			if c == 16 {
				size = [3]int{16, 24, 20} // several pieces
			}
			px, pd := places[i%len(places)], places[(i+2)%len(places)]
			n := 2 * c * size[0] * size[1] * size[2]
			xs, gs := b.random(n), b.random(n)
			gamma, beta, runMean, runVar := b.random(c), b.random(c), b.random(c), b.random(c)
			x, dy, y := b.activation(px, xs, 2, c, size), b.activation(pd, gs, 2, c, size), b.view(pd, 2, c, size)
			shape := b.image(2, c, size)

			eye := make([]float32, c*c)
			for j := range c {
				eye[j*c+j] = 1
			}
			vector := func(v []float32) *device.Tensor { return b.tensor(device.Values, v, c) }
			want := device.BatchNorm{Gamma: vector(gamma), Beta: vector(beta), Mean: vector(nil), InvStd: vector(nil), RunningMean: vector(runMean), RunningVar: vector(runVar)}
			raw, sums := b.tensor(device.Activation, nil, shape...), b.tensor(device.Sums, nil, c)
			b.ConvForward(device.Conv{Kernel: [3]int{1, 1, 1}, Stride: [3]int{1, 1, 1}}, b.tensor(device.Activation, xs, shape...), b.tensor(device.Weights, eye, c, c, 1, 1, 1), raw, device.Epilogue{Sums: sums})
			b.Device.BatchNormStats(sums, n/c, want)
			wantY, wantDX, wantDGamma, wantDBeta := b.tensor(device.Activation, nil, shape...), b.tensor(device.Activation, nil, shape...), vector(nil), vector(nil)
			b.Device.BatchNormReLU(raw, want, wantY)
			b.Device.BatchNormReLUBackward(raw, b.tensor(device.Activation, gs, shape...), want, wantDX, wantDGamma, wantDBeta)

			room := func() kernels.Ptr { return b.Alloc(int64(4 * c)) }
			scratch, twoSums, mean, invstd, dgamma, dbeta := b.Alloc(b.typ.BatchNormScratch(x)), b.Alloc(int64(16*c)), room(), room(), room(), room()
			rm, rv, g, be := b.floats(runMean), b.floats(runVar), b.floats(gamma), b.floats(beta)
			b.run(b.typ.BatchNormSums(x, scratch, twoSums)...)
			b.run(b.typ.BatchNormStats(twoSums, c, n/c, device.BatchNormEps, device.BatchNormMomentum, mean, invstd, rm, rv), b.typ.BatchNormReLU(x, mean, invstd, g, be, y))
			b.near("mean", b.readFloats(mean, c), b.values(want.Mean), 1e-5)
			b.near("inverse deviation", b.readFloats(invstd, c), b.values(want.InvStd), 1e-5)
			b.near("running mean", b.readFloats(rm, c), b.values(want.RunningMean), 1e-6)
			b.near("running variance", b.readFloats(rv, c), b.values(want.RunningVar), 1e-5)
			b.near("batch norm", b.read("batch norm", pd, y), b.values(wantY), b.tolerance)

			for _, into := range []struct {
				name string
				p    place
				dx   kernels.View
			}{{"a new tensor", px, b.view(px, 2, c, size)}, {"dy", pd, dy}, {"x", px, x}} {
				if into.name == "x" {
					dy = b.activation(pd, gs, 2, c, size)
				}
				b.run(b.typ.BatchNormReLUBackward(x, dy, mean, invstd, g, be, into.dx, dgamma, dbeta, scratch)...)
				b.near("dx in "+into.name, b.read("dx in "+into.name, into.p, into.dx), b.values(wantDX), 2*b.tolerance)
				b.near("dgamma", b.readFloats(dgamma, c), b.values(wantDGamma), 2e-5)
				b.near("dbeta", b.readFloats(dbeta, c), b.values(wantDBeta), 2e-5)
			}
			b.Reset()
		}
	})
}

func TestMaxPool(t *testing.T) {
	cases := []struct{ k, s, size [3]int }{
		{[3]int{1, 3, 3}, [3]int{1, 2, 2}, [3]int{3, 7, 6}}, {[3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{4, 5, 3}}, {[3]int{3, 3, 3}, [3]int{2, 2, 2}, [3]int{7, 4, 5}},
		{[3]int{2, 2, 2}, [3]int{2, 2, 2}, [3]int{7, 2, 3}}, {[3]int{2, 2, 2}, [3]int{2, 2, 2}, [3]int{1, 1, 1}}, {[3]int{3, 3, 3}, [3]int{2, 2, 2}, [3]int{1, 2, 3}},
		{[3]int{2, 4, 1}, [3]int{3, 1, 2}, [3]int{5, 6, 7}},
	}
	eachType(t, func(b *bench) {
		for i, k := range cases {
			c, px, py := []int{1, 5, 16, 24, 70, 272, 8}[i], places[i%len(places)], places[(i+1)%len(places)]
			pool, out := kernels.Pooling{Kernel: k.k, Stride: k.s}, device.Pooling{Kernel: k.k, Stride: k.s}.OutSize(k.size)
			xs := b.random(2 * c * k.size[0] * k.size[1] * k.size[2])
			before := b.random(len(xs))
			for j := range xs { // few values, so that ties happen; negative ones, so that zeros win
				xs[j] = float32(math.Floor(float64(xs[j]*2-1)) / 2)
			}
			gs := b.random(2 * c * out[0] * out[1] * out[2])
			in, outShape := b.image(2, c, k.size), b.image(2, c, out)
			wantY, won, wantDX := b.tensor(device.Activation, nil, outShape...), b.tensor(device.Winners, nil, outShape...), b.tensor(device.Activation, before, in...)
			p := device.Pooling{Kernel: k.k, Stride: k.s}
			b.Device.MaxPool(p, b.tensor(device.Activation, xs, in...), wantY, won)

			x, y, dy := b.activation(px, xs, 2, c, k.size), b.view(py, 2, c, out), b.activation(py, gs, 2, c, out)
			winners := b.Alloc(kernels.WinnersBytes(y))
			b.run(b.typ.MaxPool(pool, x, y, 0))
			b.near("maxima alone", b.read("maxima", py, y), b.values(wantY), 0)
			b.run(b.typ.MaxPool(pool, x, y, winners))
			b.near("maxima", b.read("maxima", py, y), b.values(wantY), 0)
			for _, accumulate := range []bool{true, false} {
				dx := b.activation(px, before, 2, c, k.size)
				b.run(b.typ.MaxPoolBackward(pool, dy, winners, dx, accumulate))
				b.Device.MaxPoolBackward(p, b.tensor(device.Activation, gs, outShape...), won, wantDX, accumulate)
				b.near("gradient of maxima", b.read("gradient of maxima", px, dx), b.values(wantDX), b.tolerance)
			}
			b.Reset()
		}
	})
}

func TestAvgPoolMean(t *testing.T) {
	eachType(t, func(b *bench) {
		for i, size := range [][3]int{{3, 4, 9}, {1, 2, 5}, {2, 1, 7}} {
			c, p, window := []int{272, 5, 24}[i], places[i], [3]int{2, 2, 7}
			xs, gs := b.random(2*c*size[0]*size[1]*size[2]), b.random(2*c)
			want, wantDX := b.tensor(device.Values, nil, 2, c), b.tensor(device.Activation, nil, b.image(2, c, size)...)
			b.Device.AvgPoolMean(window, b.tensor(device.Activation, xs, b.image(2, c, size)...), want)
			b.Device.AvgPoolMeanBackward(window, b.tensor(device.Values, gs, 2, c), wantDX)
			features, dx := b.Alloc(int64(8*c)), b.view(p, 2, c, size)
			b.run(b.typ.AvgPoolMean(window, b.activation(p, xs, 2, c, size), features), b.typ.AvgPoolMeanBackward(window, b.floats(gs), dx))
			b.near("features", b.readFloats(features, 2*c), b.values(want), 1e-6)
			b.near("gradient of features", b.read("gradient", p, dx), b.values(wantDX), b.tolerance)
			b.Reset()
		}
	})
}
