package driver

import (
	"os"
	"slices"
	"testing"
)

// cudnnForTest opens the library that UC_CUDNN names. Without a card its descriptors can be made, but no handle.
func cudnnForTest(t *testing.T) *cudnnAPI {
	t.Helper()
	path := os.Getenv("UC_CUDNN")
	if path == "" {
		t.Skip("UC_CUDNN does not name a libcudnn.so.9")
	}
	a, err := openCuDNN(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func problems() []Problem {
	one, two, three := [3]int{1, 1, 1}, [3]int{2, 2, 2}, [3]int{3, 3, 3}
	base := []Problem{
		{N: 2, C: 16, K: 64, In: [3]int{19, 21, 18}, Out: [3]int{16, 18, 15}, Kernel: [3]int{4, 4, 4}, Stride: one, XPitch: 16, YPitch: 64},
		{N: 2, C: 64, K: 192, In: [3]int{16, 9, 7}, Out: [3]int{16, 9, 7}, Kernel: three, Stride: one, PadLo: one, PadHi: one, XPitch: 64, YPitch: 192},
		{N: 2, C: 96, K: 128, In: [3]int{16, 9, 7}, Out: [3]int{16, 9, 7}, Kernel: three, Stride: one, PadLo: one, PadHi: one, XPitch: 112, YPitch: 256},
		{N: 2, C: 192, K: 64, In: [3]int{16, 9, 7}, Out: [3]int{16, 9, 7}, Kernel: one, Stride: one, XPitch: 192, YPitch: 256},
		{N: 1, C: 2, K: 64, In: [3]int{16, 9, 7}, Out: [3]int{8, 4, 3}, Kernel: [3]int{7, 7, 7}, Stride: two, PadLo: two, PadHi: three, XPitch: 2, YPitch: 64},
	}
	var all []Problem
	for _, p := range base {
		for _, format := range []Type{Float32, BFloat16, FP16} {
			p.Type = format
			for _, op := range []Op{Forward, BackwardData, BackwardWeights} {
				p.Op = op
				all = append(all, p)
			}
			p.Op, p.Bias, p.ReLU = Forward, true, true
			all = append(all, p)
			p.Bias, p.ReLU = false, false
		}
	}
	return all
}

// TestDescriptors has cuDNN check every descriptor of the graphs that are built for it: numbers of attributes, types,
// shapes and strides.
func TestDescriptors(t *testing.T) {
	a := cudnnForTest(t)
	version, cudart := a.number()
	t.Logf("cuDNN %d for CUDA %d", version, cudart)
	for _, p := range problems() {
		ops, parts := a.operations(p)
		want := 1
		if p.Bias {
			want = 3
		}
		if len(ops) != want {
			t.Errorf("%v: %d operations, expected %d", p, len(ops), want)
		}
		for i, d := range parts {
			if d.err != nil {
				t.Errorf("%v: descriptor %d: %v", p, i, d.err)
			}
			d.destroy()
		}
	}
}

// TestShapes checks what cuDNN is told of sizes and strides.
func TestShapes(t *testing.T) {
	p := Problem{N: 2, C: 32, K: 48, In: [3]int{5, 6, 7}, Out: [3]int{5, 6, 7}, Kernel: [3]int{3, 3, 3}, Stride: [3]int{1, 1, 1}, XPitch: 64, YPitch: 48}
	x, w, y, _ := p.shapes()
	for _, c := range []struct {
		what      string
		got, want []int64
	}{
		{"x", x.dims, []int64{2, 32, 5, 6, 7}}, {"x strides", x.strides, []int64{5 * 6 * 7 * 64, 1, 6 * 7 * 64, 7 * 64, 64}},
		{"w", w.dims, []int64{48, 32, 3, 3, 3}}, {"w strides", w.strides, []int64{27 * 32, 1, 9 * 32, 3 * 32, 32}},
		{"y", y.dims, []int64{2, 48, 5, 6, 7}}, {"y strides", y.strides, channelsLast(y.dims)},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, expected %v", c.what, c.got, c.want)
		}
	}
	p.Kernel = [3]int{1, 1, 1}
	x, w, y, conv := p.shapes()
	for _, c := range []struct {
		what      string
		got, want []int64
	}{
		{"x", x.dims, []int64{10, 32, 6, 7}}, {"x strides", x.strides, []int64{6 * 7 * 64, 1, 7 * 64, 64}},
		{"w", w.dims, []int64{48, 32, 1, 1}}, {"y strides", y.strides, channelsLast(y.dims)}, {"stride", conv.stride, []int64{1, 1}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("pointwise: %s: %v, expected %v", c.what, c.got, c.want)
		}
	}
}

// TestNotes checks which engines are passed over.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		p     Problem
		notes []int32
		want  bool
	}{
		{Problem{Type: Float32}, nil, true},
		{Problem{Type: Float32}, []int32{noteTensorCore, noteDownConvertInputs}, false},
		{Problem{Type: Float32}, []int32{noteNondeterministic}, false},
		{Problem{Type: BFloat16}, []int32{noteTensorCore}, true},
		{Problem{Type: BFloat16}, []int32{noteNondeterministic}, true},
		{Problem{Type: BFloat16, Deterministic: true}, []int32{noteNondeterministic}, false},
		{Problem{Type: BFloat16}, []int32{noteTensorCore, noteReducedPrecision}, false},
	} {
		if got := c.p.allows(c.notes); got != c.want {
			t.Errorf("%v with notes %v: %v", c.p.Type, c.notes, got)
		}
	}
}
