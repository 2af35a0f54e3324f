package i3d

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/weights"
)

var (
	smallConfig  = Config{InChannels: 2, Outputs: []int{2, 3}}
	smallImage   = [3]int{10, 14, 9}
	smallTargets = [][]int{{1, 0}, {2, 1}}
	stepOptions  = StepOptions{LR: 1e-3, Momentum: 0.99, WeightDecay: 3e-5, ClipNorm: 12}
)

func openCPU(t *testing.T, threads int) device.Device {
	t.Helper()
	dev, err := open.Device(open.Options{Device: "cpu", Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dev.Close)
	return dev
}

func smallTraining(t *testing.T, dev device.Device) (*Training, []float32) {
	t.Helper()
	tr, err := NewTraining(dev, smallConfig, 2, smallImage)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Load(NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2)))); err != nil {
		t.Fatal(err)
	}
	return tr, weights.FormulaInput("x", 2*2*10*14*9, 1.7)
}

func equalStates(t *testing.T, what string, a, b *weights.StateDict) {
	t.Helper()
	if !slices.Equal(a.Names(), b.Names()) {
		t.Fatalf("%s: names differ", what)
	}
	for _, n := range a.Names() {
		if !slices.Equal(a.Get(n).F32, b.Get(n).F32) || !slices.Equal(a.Get(n).I64, b.Get(n).I64) {
			t.Fatalf("%s: %s differs", what, n)
		}
	}
}

// TestResume checks that weights and momentum carried to a new Training, on a device with another number of threads,
// continue bit for bit.
func TestResume(t *testing.T) {
	one, x := smallTraining(t, openCPU(t, 1))
	for range 2 {
		if _, err := one.Step(x, smallTargets, stepOptions); err != nil {
			t.Fatal(err)
		}
	}
	two, _ := smallTraining(t, openCPU(t, 3))
	if err := two.Load(must(one.State())); err != nil {
		t.Fatal(err)
	}
	if err := two.LoadMomentum(must(one.Momentum())); err != nil {
		t.Fatal(err)
	}
	a, errA := one.Step(x, smallTargets, stepOptions)
	b, errB := two.Step(x, smallTargets, stepOptions)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if a.Loss != b.Loss || a.GradNorm != b.GradNorm || !slices.Equal(a.Logits[1], b.Logits[1]) {
		t.Errorf("step after resuming: %v, uninterrupted %v", b, a)
	}
	equalStates(t, "state", must(one.State()), must(two.State()))
	equalStates(t, "momentum", must(one.Momentum()), must(two.Momentum()))
}

func TestStepOneCountsBatchesAndNeedsNoMomentum(t *testing.T) {
	tr, x := smallTraining(t, openCPU(t, 0))
	if n := must(tr.Momentum()).Len(); n != 0 {
		t.Fatalf("momentum of %d tensors before the first step", n)
	}
	before := must(tr.State())
	if _, err := tr.Step(x, smallTargets, StepOptions{LR: 0}); err != nil {
		t.Fatal(err)
	}
	after := must(tr.State())
	const counter, weight = "mixed_5c.branch_3.1.batch3d.num_batches_tracked", "mixed_5c.branch_3.1.conv3d.weight"
	if after.Get(counter).I64[0] != 1 {
		t.Errorf("%s = %d after one step", counter, after.Get(counter).I64[0])
	}
	if !slices.Equal(before.Get(weight).F32, after.Get(weight).F32) {
		t.Error("learning rate 0 changed weights")
	}
	if n := must(tr.Momentum()).Len(); n != 3*57+4 {
		t.Errorf("momentum of %d tensors", n)
	}
}

// TestLossFalls trains on one batch until it is learnt, and compares the losses of both modes.
func TestLossFalls(t *testing.T) {
	tr, x := smallTraining(t, openCPU(t, 0))
	var first, last float64
	for i := range 20 {
		r, err := tr.Step(x, smallTargets, StepOptions{LR: 3e-2, Momentum: 0.9, ClipNorm: 12})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = r.Loss
		}
		last = r.Loss
	}
	if last > 0.2*first {
		t.Errorf("loss fell from %g to %g only", first, last)
	}
}

func TestEvalLossTakesAnyBatch(t *testing.T) {
	tr, x := smallTraining(t, openCPU(t, 0))
	both, logits, err := tr.EvalLoss(x, smallTargets)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i := range 2 {
		l, single, err := tr.EvalLoss(x[i*len(x)/2:(i+1)*len(x)/2], [][]int{{smallTargets[0][i]}, {smallTargets[1][i]}})
		if err != nil {
			t.Fatal(err)
		}
		sum += l / 2
		if d := math.Abs(float64(single[1][2] - logits[1][3*i+2])); d > 1e-6 {
			t.Errorf("sample %d: logits depend on the batch, %g apart", i, d)
		}
	}
	if math.Abs(sum-both) > 1e-6 {
		t.Errorf("mean of single losses %g, loss of the batch %g", sum, both)
	}
	before := both
	if _, err := tr.Step(x, smallTargets, stepOptions); err != nil {
		t.Fatal(err)
	}
	if after, _, err := tr.EvalLoss(x, smallTargets); err != nil || after == before {
		t.Errorf("loss after a step %g (%v), before %g: evaluation uses old weights", after, err, before)
	}
}

func TestNotFinite(t *testing.T) {
	tr, x := smallTraining(t, openCPU(t, 0))
	before := must(tr.State())
	x[17] = float32(math.NaN())
	if _, err := tr.Step(x, smallTargets, stepOptions); !errors.Is(err, ErrNotFinite) {
		t.Fatalf("error %v", err)
	}
	if w := "linear_list.0.weight"; !slices.Equal(before.Get(w).F32, must(tr.State()).Get(w).F32) {
		t.Error("parameters changed")
	}
}

func TestRefusals(t *testing.T) {
	dev := openCPU(t, 0)
	tr, x := smallTraining(t, dev)
	wrong := NewStateDict(Config{InChannels: 3, Outputs: []int{2, 3}}, rand.New(rand.NewPCG(1, 2)))
	more := NewStateDict(Config{InChannels: 2, Outputs: []int{2, 3, 2}}, rand.New(rand.NewPCG(1, 2)))
	reference := NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2)))
	reference.Set("conv3d_0c_1x1.conv3d.bias", weights.NewTensor(400))
	if err := tr.Load(reference); err != nil {
		t.Errorf("the reference's unused layer: %v", err)
	}
	oneTensor := weights.NewStateDict()
	oneTensor.Set("linear_list.0.bias", weights.NewTensor(2))
	build := func(batch int, shape [3]int) error {
		_, err := NewTraining(dev, smallConfig, batch, shape)
		return err
	}
	step := func(x []float32, targets [][]int) error {
		_, err := tr.Step(x, targets, stepOptions)
		return err
	}
	for want, err := range map[string]error{
		"another network":                 tr.Load(wrong),
		"the first is linear_list.2":      tr.Load(more),
		"weight is missing":               tr.LoadMomentum(oneTensor),
		"at least 2 voxels":               build(2, [3]int{1, 20, 20}),
		"batch norm cannot train on":      build(1, [3]int{8, 8, 8}),
		"batch size 0":                    build(0, smallImage),
		"expected 5040":                   step(x[1:], smallTargets),
		"target 3 of label 1":             step(x, [][]int{{1, 0}, {3, 0}}),
		"label 0 has 1 targets":           step(x, [][]int{{1}, {2, 0}}),
		"targets of 1 labels, expected 2": step(x, [][]int{{1, 0}}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected an error with %q, got %v", want, err)
		}
	}
}

func TestPredictorKeepsFewGraphs(t *testing.T) {
	dev := openCPU(t, 0)
	p, err := NewPredictor(dev, smallConfig, NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2))))
	if err != nil {
		t.Fatal(err)
	}
	first := weights.FormulaInput("x", 2*8*8*8, 1.7)
	a, err := p.Logits(first, 1, [3]int{8, 8, 8})
	if err != nil {
		t.Fatal(err)
	}
	for n := range maxGraphs + 2 {
		d := 20 - n
		if _, err := p.Logits(weights.FormulaInput("y", 2*8*8*d, 1.7), 1, [3]int{8, 8, d}); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.graphs) != maxGraphs || len(p.work.users) != maxGraphs {
		t.Errorf("%d graphs and %d arenas kept", len(p.graphs), len(p.work.users))
	}
	b, err := p.Logits(first, 1, [3]int{8, 8, 8})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a[0], b[0]) {
		t.Errorf("logits %v, before %v", b, a)
	}
}

// TestMemory holds the plan well within the project's limits: training at 240x240x240 with batch 2 under 10 GiB and at
// 64x64x64 with batch 7 under 3 GiB, inference at 240x240x240 under 3 GiB.
func TestMemory(t *testing.T) {
	dev := openCPU(t, 1)
	for _, c := range []struct {
		batch, size int
		limit       float64
	}{{2, 240, 6}, {7, 64, 0.6}} {
		n, err := MemoryEstimate(dev, Config{2, []int{2}}, c.batch, [3]int{c.size, c.size, c.size}, Extras{})
		if err != nil {
			t.Fatal(err)
		}
		if gib := float64(n) / (1 << 30); gib > c.limit {
			t.Errorf("%d^3 batch %d takes %.2f GiB, limit %.2f", c.size, c.batch, gib, c.limit)
		} else {
			t.Logf("%d^3 batch %d takes %.2f GiB", c.size, c.batch, gib)
		}
	}
	plan := device.DryRun(dev)
	p, err := newPredictor(plan, Config{2, []int{2}}, &workspace{dev: plan})
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.graphFor(1, [3]int{240, 240, 240})
	if err != nil {
		t.Fatal(err)
	}
	if gib := float64(g.rt.Arena.Bytes()+p.OwnBytes()) / (1 << 30); gib > 1 {
		t.Errorf("inference at 240^3 takes %.2f GiB", gib)
	}
	tr, x := smallTraining(t, dev)
	if _, err := tr.Step(x, smallTargets, stepOptions); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tr.EvalLoss(x, smallTargets); err != nil {
		t.Fatal(err)
	}
	planned, err := MemoryEstimate(dev, smallConfig, 2, smallImage, Extras{})
	if err != nil {
		t.Fatal(err)
	}
	if used := tr.MemoryBytes() - dev.WorkspaceBytes(); used != planned {
		t.Errorf("planned %d bytes, used %d", planned, used)
	}
	adam := stepOptions
	adam.Beta2 = 0.999
	if _, err := tr.Step(x, smallTargets, adam); err != nil {
		t.Fatal(err)
	}
	if err := tr.UpdateAverage(0.9); err != nil {
		t.Fatal(err)
	}
	if planned, err = MemoryEstimate(dev, smallConfig, 2, smallImage, Extras{SecondMoment: true, Average: true}); err != nil {
		t.Fatal(err)
	}
	if used := tr.MemoryBytes() - dev.WorkspaceBytes(); used != planned {
		t.Errorf("AdamW and an average: planned %d bytes, used %d", planned, used)
	}
}

func TestStepAllocatesLittle(t *testing.T) {
	tr, x := smallTraining(t, openCPU(t, 1))
	step := func() {
		if _, err := tr.Step(x, smallTargets, stepOptions); err != nil {
			t.Fatal(err)
		}
	}
	step()
	before := tr.MemoryBytes()
	r := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			step()
		}
	})
	if n := r.AllocedBytesPerOp(); n > 4<<20 {
		t.Errorf("%d bytes allocated per step", n)
	}
	if after := tr.MemoryBytes(); after != before {
		t.Errorf("device memory grew from %d to %d", before, after)
	}
}

func TestNewStateDict(t *testing.T) {
	sd := NewStateDict(Config{2, []int{2}}, rand.New(rand.NewPCG(1, 2)))
	n := 0
	for _, name := range sd.Names() {
		if !strings.Contains(name, "running") && !strings.Contains(name, "num_batches") {
			n += sd.Get(name).Len()
		}
	}
	if n != 12267362 {
		t.Errorf("%d parameters, the reference has 12267362", n)
	}
	w := sd.Get("mixed_4b.branch_1.1.conv3d.weight")
	bound, top, sq := 1/math.Sqrt(96*27), 0.0, 0.0
	for _, v := range w.F32 {
		top, sq = max(top, math.Abs(float64(v))), sq+float64(v)*float64(v)
	}
	if top > bound || top < 0.999*bound || math.Abs(math.Sqrt(sq/float64(w.Len()))*math.Sqrt(3)/bound-1) > 0.01 {
		t.Errorf("weights reach %g with deviation %g, expected uniform in ±%g", top, math.Sqrt(sq/float64(w.Len())), bound)
	}
}

// The taps of a kernel are correlated as asked for, in the first layer those of every other filter, if the images are
// large; the rest is PyTorch's.
func TestNewSmoothStateDict(t *testing.T) {
	cfg := Config{2, []int{2}}
	fresh := func(shape [3]int) *weights.StateDict {
		return NewSmoothStateDict(cfg, shape, rand.New(rand.NewPCG(1, 2)), 0.8)
	}
	sd := fresh([3]int{29, 36, 24})
	correlation := func(filter []float32, taps int) float64 {
		var within, squares float64
		for kernel := range slices.Chunk(filter, taps) {
			for i, v := range kernel {
				within, squares = within+float64(v)*float64(kernel[(i+1)%taps]), squares+float64(v)*float64(v)
			}
		}
		return within / squares
	}
	var even, odd []float32
	for o, filter := range slices.Collect(slices.Chunk(sd.Get(firstLayer).F32, 2*343)) {
		if o%2 == 0 {
			even = append(even, filter...)
		} else {
			odd = append(odd, filter...)
		}
	}
	for _, c := range []struct {
		name      string
		weights   []float32
		taps      int
		want, off float64
	}{
		{"first layer, even filters", even, 343, 0.8, 0.15}, // of 64 kernels
		{"first layer, odd filters", odd, 343, 0, 0.03},
		{"3 x 3 x 3", sd.Get("mixed_4b.branch_1.1.conv3d.weight").F32, 27, 0.8, 0.02},
		{"1 x 1 x 1", sd.Get("mixed_4b.branch_0.conv3d.weight").F32, 96, 0, 0.03},
	} {
		if got := correlation(c.weights, c.taps); math.Abs(got-c.want) > c.off {
			t.Errorf("%s: correlation %.3f, want %.3f", c.name, got, c.want)
		}
	}
	if got := correlation(fresh([3]int{35, 35, 35}).Get(firstLayer).F32, 343); math.Abs(got) > 0.03 {
		t.Errorf("first layer, small images: correlation %.3f, want 0", got)
	}
	again := fresh([3]int{40, 40, 40})
	for _, name := range sd.Names() {
		if !slices.Equal(sd.Get(name).F32, again.Get(name).F32) {
			t.Errorf("%s differs between two calls", name)
		}
	}
}
