package open_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/cuda"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/emulator"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/fake"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/device/devicetest"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/testutil"
)

// TestDevices runs the suite on every set of the CPU's kernels, on cards whose kernels are emulated, with what cuDNN
// may and may not do, and on the card that is there.
func TestDevices(t *testing.T) {
	single := func() device.Device {
		dev, err := cpu.Open(1, "generic", false)
		if err != nil {
			panic(err)
		}
		return dev
	}
	for _, set := range cpulevel.Available() {
		for _, threads := range []int{1, 3} {
			for _, mixed := range []bool{false, true} {
				dev, err := cpu.Open(threads, set.String(), mixed)
				if err != nil {
					t.Fatal(err)
				}
				if mixed && dev.Precision() == "fp32" {
					dev.Close()
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%s", set, threads, dev.Precision()), func(t *testing.T) {
					devicetest.Run(t, func(*testing.T) device.Device { return dev }, devicetest.Options{Mixed: mixed, Single: single})
				})
			}
		}
	}
	run := func(name string, open func(t *testing.T) (device.Device, func())) {
		t.Run(name, func(t *testing.T) {
			dev, check := open(t)
			devicetest.Run(t, func(*testing.T) device.Device { return dev }, devicetest.Options{Mixed: dev.Precision() != "fp32", AnyOrder: true, Single: single})
			check()
		})
	}
	pitched := func(p driver.Problem) bool { return p.XPitch != p.C || p.YPitch != p.K }
	for _, c := range []struct {
		name   string
		t      kernels.Type
		cudnn  bool
		refuse func(p driver.Problem) bool
	}{
		{"emulated/fp32", kernels.Float32, true, nil},
		{"emulated/fp32 without cuDNN", kernels.Float32, false, nil},
		{"emulated/fp32 without slices or fusion", kernels.Float32, true, func(p driver.Problem) bool { return pitched(p) || p.Bias || p.ReLU }},
		{"emulated/bf16", kernels.BFloat16, true, nil},
		{"emulated/bf16 without slices", kernels.BFloat16, true, pitched},
		{"emulated/fp16", kernels.FP16, true, nil},
	} {
		if testing.Short() && c.name != "emulated/bf16" {
			continue
		}
		run(c.name, func(t *testing.T) (device.Device, func()) {
			card := fake.New(c.t)
			card.CuDNN, card.Refuse, card.Computer = c.cudnn, c.refuse, emulator.Start(t, c.t)
			dev, err := cuda.New(card, c.t, true, "")
			if err != nil {
				t.Fatal(err)
			}
			return dev, func() {
				if err := card.Problem(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if (open.GPU{}).Look().Usable(0) != nil {
		return
	}
	for _, mixed := range []bool{false, true} {
		name := map[bool]string{false: "cuda/fp32", true: "cuda/mixed"}[mixed]
		run(name, func(t *testing.T) (device.Device, func()) {
			dev, err := open.Device(open.Options{Device: "cuda", Mixed: mixed})
			if err != nil {
				t.Fatal(err)
			}
			return dev, func() {}
		})
	}
}

// recorded is a device on a card that computes nothing.
func recorded(t *testing.T, prepare func(c *fake.Card)) (device.Device, *fake.Card) {
	t.Helper()
	card := fake.New(kernels.BFloat16)
	if prepare != nil {
		prepare(card)
	}
	dev, err := cuda.New(card, card.Type, false, "")
	if err != nil {
		t.Fatal(err)
	}
	return dev, card
}

func place(t *testing.T, d device.Device, kind device.Kind, shape ...int) *device.Tensor {
	t.Helper()
	return devicetest.Place(t, d, kind, shape...)
}

func launched(events []fake.Event) (names []string) {
	for _, e := range events {
		if e.Kind == "launch" || e.Kind == "plan" {
			names = append(names, e.Name)
		}
	}
	return names
}

var cubicConv = device.Conv{Kernel: [3]int{3, 3, 3}, Stride: [3]int{1, 1, 1}}

// TestCopiesOfParametersFollow checks that the copy in the device's format is made once, and again only after a change.
func TestCopiesOfParametersFollow(t *testing.T) {
	d, card := recorded(t, nil)
	w := place(t, d, device.Weights, 16, 16, 3, 3, 3)
	grads, momentum := place(t, d, device.Values, w.Size()), place(t, d, device.Values, w.Size())
	x, y := place(t, d, device.Activation, 1, 16, 4, 4, 4), place(t, d, device.Activation, 1, 16, 4, 4, 4)
	converts := func(f func()) (n int) {
		card.Events()
		f()
		for _, name := range launched(card.Events()) {
			if name == "convert" {
				n++
			}
		}
		return n
	}
	forward := func() { d.ConvForward(cubicConv, x, w, y, device.Epilogue{}) }
	upload := func() { d.Upload(w, make([]float32, w.Size())) }
	step := func() { d.Step(device.SGD{LR: 1}, w, grads, momentum) }
	for i, c := range []struct {
		do   func()
		want int
	}{
		{upload, 0}, {forward, 1}, {forward, 0},
		{step, 0}, {forward, 0}, // the step has written the copy
		{upload, 0}, {step, 0}, {forward, 1},
	} {
		if got := converts(c.do); got != c.want {
			t.Errorf("call %d: %d conversions, expected %d", i, got, c.want)
		}
	}
}

func TestCardOutOfMemory(t *testing.T) {
	d, card := recorded(t, func(c *fake.Card) { c.Total = 1 << 30 })
	if _, err := d.NewBlock(2 << 30); err == nil || !strings.Contains(err.Error(), "a block of 2.00 GiB") && !strings.Contains(err.Error(), "smaller batch") {
		t.Errorf("error %v", err)
	}
	before := card.Used()
	hold, err := d.NewBlock(700 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.NewBlock(700 << 20); err == nil {
		t.Error("1.4 GiB of 1 GiB were given")
	}
	hold.Free()
	again, err := d.NewBlock(700 << 20)
	if err != nil {
		t.Fatalf("a block was not released: %v", err)
	}
	hold.Free() // nothing is left of it
	if n := card.Used() - before; n != again.Bytes() {
		t.Errorf("%d bytes of the card are in use, expected %d", n, again.Bytes())
	}
	d.Close()
	again.Free()
	if err := card.Problem(); err != nil {
		t.Error(err)
	}
}

// TestCardLost checks that the first failure ends the device: nothing is computed and nothing read any more.
func TestCardLost(t *testing.T) {
	d, card := recorded(t, func(c *fake.Card) { c.LostAt = 3 })
	x := place(t, d, device.Activation, 1, 16, 4, 4, 4)
	v := place(t, d, device.Values, 16)
	pool := device.Pooling{Kernel: [3]int{3, 3, 3}, Stride: [3]int{1, 1, 1}}
	try := func(f func()) (err error) {
		defer device.Recover(&err)
		f()
		return nil
	}
	for i := range 5 {
		err := try(func() { d.MaxPool(pool, x, x, nil) })
		if (err != nil) != (i >= 2) {
			t.Errorf("launch %d: %v", i+1, err)
		}
		if err != nil && (!errors.Is(err, driver.ErrLost) || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.ContinueTraining}))) {
			t.Errorf("error %v", err)
		}
	}
	card.Events()
	if err := try(func() { d.Download(v, make([]float32, 16)) }); err == nil || len(card.Events()) > 0 {
		t.Errorf("a lost card was read: %v", err)
	}
	d.Close()
	if err := card.Problem(); err != nil {
		t.Error(err)
	}
}

// TestStemChoice checks that the stem is computed in the faster of its two ways, and that both have the same results.
func TestStemChoice(t *testing.T) {
	const n, c = 2, 3
	in, out := [3]int{9, 6, 11}, [3]int{5, 3, 6}
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(count int) []float32 {
		v := make([]float32, count)
		for i := range v {
			v[i] = float32(rng.IntN(256)-128) / 64 // bfloat16 has them
		}
		return v
	}
	xs, ws, gs := random(n*c*in[0]*in[1]*in[2]), random(kernels.StemOut*c*343), random(n*kernels.StemOut*out[0]*out[1]*out[2])
	var results [][]float32
	for _, way := range []struct{ slow, forward, weights string }{
		{"stem_pack", "stem_fragments stem_forward_3", "stem_backward_weights_3 conv_weights_reduce"},
		{"stem_forward_3 stem_backward_weights_3", "stem_pack stem_weights forward", "stem_pack weights stem_weights_back"},
	} {
		card := fake.New(kernels.BFloat16)
		card.Computer = emulator.Start(t, kernels.BFloat16)
		card.Slow = func(events []fake.Event) bool {
			return slices.ContainsFunc(launched(events), func(name string) bool { return slices.Contains(strings.Fields(way.slow), name) })
		}
		d, err := cuda.New(card, kernels.BFloat16, true, "")
		if err != nil {
			t.Fatal(err)
		}
		x, w := place(t, d, device.Input, n, c, in[0], in[1], in[2]), place(t, d, device.Weights, kernels.StemOut, c, 7, 7, 7)
		y, dy := place(t, d, device.Activation, n, kernels.StemOut, out[0], out[1], out[2]), place(t, d, device.Activation, n, kernels.StemOut, out[0], out[1], out[2])
		dw := place(t, d, device.Weights, kernels.StemOut, c, 7, 7, 7)
		d.Upload(x, xs)
		d.Upload(w, ws)
		d.Upload(dy, gs)
		stem := device.Conv{Kernel: [3]int{7, 7, 7}, Stride: [3]int{2, 2, 2}}
		for _, do := range []struct {
			f    func()
			want string
		}{
			{func() { d.ConvForward(stem, x, w, y, device.Epilogue{}) }, way.forward},
			{func() { d.ConvBackwardWeights(stem, x, dy, dw) }, way.weights},
		} {
			do.f() // measures
			card.Events()
			do.f()
			if got := strings.Join(launched(card.Events()), " "); got != do.want {
				t.Errorf("where %s is slow: %s, expected %s", way.slow, got, do.want)
			}
		}
		for _, of := range []*device.Tensor{y, dw} {
			values := make([]float32, of.Size())
			d.Download(of, values)
			results = append(results, values)
		}
		d.Close()
		if err := card.Problem(); err != nil {
			t.Error(err)
		}
	}
	for i, want := range results[:2] {
		for j, v := range results[i+2] {
			if diff := math.Abs(float64(v - want[j])); diff > 1e-2*max(math.Abs(float64(want[j])), 1) {
				t.Fatalf("result %d, value %d: %g and %g", i, j, v, want[j])
			}
		}
	}
}

func TestPrefetch(t *testing.T) {
	d, card := recorded(t, nil)
	x := place(t, d, device.Input, 1, 2, 4, 4, 4)
	a, b := make([]float32, x.Size()), make([]float32, x.Size())
	p := d.(device.Prefetcher)
	kinds := func(f func()) (kinds []string) {
		card.Events()
		f()
		for _, e := range card.Events() {
			kinds = append(kinds, e.Kind)
		}
		return kinds
	}
	for i, c := range []struct {
		do   func()
		want string
	}{
		{func() { p.Prefetch(a) }, "alloc prefetch"},
		{func() { p.Prefetch(b) }, "alloc prefetch"}, // before a is taken
		{func() { d.Upload(x, a) }, "take"},
		{func() { d.Upload(x, a) }, "upload"}, // it may have changed since
		{func() { d.Upload(x, b) }, "take"},
		{func() { p.Prefetch(b) }, "prefetch"},
		{func() { d.Upload(x, a) }, "upload"},
		{func() { d.Upload(x, b) }, "take"},
	} {
		if got := strings.Join(kinds(c.do), " "); got != c.want {
			t.Errorf("call %d: %s, expected %s", i, got, c.want)
		}
	}
	d.Close()
	if err := card.Problem(); err != nil {
		t.Error(err)
	}
}

// TestLossScale checks on the emulator that the gradient carries the scale, that a step takes it out again, and what an
// overflow does.
func TestLossScale(t *testing.T) {
	card := fake.New(kernels.FP16)
	card.Computer = emulator.Start(t, kernels.FP16)
	dev, err := cuda.New(card, kernels.FP16, false, "")
	if err != nil {
		t.Fatal(err)
	}
	filled := func(values []float32, shape ...int) *device.Tensor {
		return devicetest.Filled(t, dev, values, shape...)
	}
	check := func(what string, got *device.Tensor, want ...float64) {
		t.Helper()
		testutil.Near(t, what, testutil.Float64(devicetest.Values(dev, got)), want, 1e-6)
	}
	s := dev.(device.LossScaler)
	if scale, good := s.LossScale(); scale != 65536 || good != 0 {
		t.Errorf("scale %g after %d good steps at the start", scale, good)
	}
	s.SetLossScale(1024, 7)
	loss, grad := place(t, dev, device.Values), place(t, dev, device.Values, 1, 2)
	dev.CrossEntropy([]int{2}, filled([]float32{0, 0}, 1, 2), filled([]float32{1}, 1, 1), loss, grad)
	check("loss", loss, math.Ln2)
	check("gradient", grad, 512, -512)
	params, momentum := filled([]float32{1, 1}, 2), place(t, dev, device.Values, 2)
	o := device.SGD{LR: 0.5, Momentum: 0, First: true}
	if norm := dev.Step(o, params, filled([]float32{512, -512}, 2), momentum); math.Abs(norm-math.Sqrt(0.5)) > 1e-6 {
		t.Errorf("norm %g", norm)
	}
	check("parameters", params, 0.75, 1.25)
	if scale, good := s.LossScale(); scale != 1024 || good != 8 {
		t.Errorf("scale %g after %d good steps", scale, good)
	}
	inf := float32(math.Inf(1))
	if norm := dev.Step(o, params, filled([]float32{inf, 1}, 2), momentum); norm != -1 {
		t.Errorf("norm %g of gradients that overflowed", norm)
	}
	check("parameters after the overflow", params, 0.75, 1.25)
	if scale, good := s.LossScale(); scale != 512 || good != 0 {
		t.Errorf("scale %g after %d good steps since the overflow", scale, good)
	}
}

// TestPlansAreChosenOnce checks that a convolution is measured at its first use only, and that a choice outlives the
// process.
func TestPlansAreChosenOnce(t *testing.T) {
	dir := t.TempDir()
	runs := func() (first, second int) {
		card := fake.New(kernels.BFloat16)
		dev, err := cuda.New(card, card.Type, false, dir)
		if err != nil {
			t.Fatal(err)
		}
		w := place(t, dev, device.Weights, 16, 16, 3, 3, 3)
		x, y := place(t, dev, device.Activation, 1, 16, 4, 4, 4), place(t, dev, device.Activation, 1, 16, 4, 4, 4)
		count := func() (n int) {
			card.Events()
			dev.ConvForward(cubicConv, x, w, y, device.Epilogue{})
			for _, e := range card.Events() {
				if e.Kind == "plan" {
					n++
				}
			}
			return n
		}
		first, second = count(), count()
		dev.Close()
		return first, second
	}
	if first, second := runs(); first < 3 || second != 1 {
		t.Errorf("%d runs at first use, %d at the second", first, second)
	}
	if first, second := runs(); first != 1 || second != 1 {
		t.Errorf("%d runs at first use, %d at the second, in a later process", first, second)
	}
}

// TestRecordedPass checks on the emulator that a recorded pass computes what its operations do, on what the tensors
// hold by then.
func TestRecordedPass(t *testing.T) {
	card := fake.New(kernels.BFloat16)
	card.Computer = emulator.Start(t, kernels.BFloat16)
	d, err := cuda.New(card, kernels.BFloat16, true, "")
	if err != nil {
		t.Fatal(err)
	}
	w := place(t, d, device.Weights, 16, 16, 3, 3, 3)
	x, y := place(t, d, device.Activation, 1, 16, 4, 3, 5), place(t, d, device.Activation, 1, 16, 4, 3, 5)
	z, winners := place(t, d, device.Activation, 1, 16, 2, 2, 3), place(t, d, device.Winners, 1, 16, 2, 2, 3)
	pass := func() error {
		d.ConvForward(cubicConv, x, w, y, device.Epilogue{})
		d.MaxPool(device.Pooling{Kernel: [3]int{3, 3, 3}, Stride: [3]int{2, 2, 2}}, y, z, winners)
		return nil
	}
	rng := rand.New(rand.NewPCG(5, 6))
	fill := func(of *device.Tensor) {
		v := make([]float32, of.Size())
		for i := range v {
			v[i] = float32(rng.IntN(256)-128) / 64
		}
		d.Upload(of, v)
	}
	results := func(run func()) []float32 {
		d.Upload(z, make([]float32, z.Size()))
		run()
		v := make([]float32, z.Size())
		d.Download(z, v)
		return v
	}
	fill(x)
	fill(w)
	pass()
	recording, err := d.(device.Recorder).Record(pass)
	if err != nil || recording == nil {
		t.Fatalf("recorded %v (%v)", recording, err)
	}
	for _, change := range []*device.Tensor{x, w, x} {
		fill(change)
		got := results(func() {
			if !recording.Run() {
				t.Fatal("the recording no longer runs")
			}
		})
		if want := results(func() { _ = pass() }); !slices.Equal(got, want) || slices.Max(want) == 0 {
			t.Errorf("recorded %v, one by one %v", got, want)
		}
	}
	// What waits for the card cannot be part of a pass, which is left as it was.
	for range 2 {
		none, err := d.(device.Recorder).Record(func() error {
			_ = pass()
			d.Download(z, make([]float32, z.Size()))
			return pass()
		})
		if err != nil || none != nil {
			t.Errorf("recorded %v (%v)", none, err)
		}
	}
	if recording.Close(); recording.Run() {
		t.Error("a closed recording ran")
	}
	d.Close()
	if err := card.Problem(); err != nil {
		t.Error(err)
	}
}

var _ cuda.Card = (*fake.Card)(nil)
