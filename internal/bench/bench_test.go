package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
)

func TestRun(t *testing.T) {
	for _, dtype := range DTypes {
		t.Run(dtype, func(t *testing.T) {
			dev, err := open.Device(open.Options{Device: "cpu", Threads: 1, Mixed: dtype != "fp32"})
			if err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			if dev.Precision() != dtype {
				t.Skip("this processor has no " + dtype)
			}
			testRun(t, dtype)
		})
	}
}

func testRun(t *testing.T, dtype string) {
	o := Options{Shape: [3]int{16, 20, 17}, Batch: 2, Channels: 2, Steps: 2, Device: "cpu", Threads: 1, DType: dtype, Layers: true}
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !(r.TrainStep > 0 && r.Inference > 0 && r.TrainRate > 0 && r.Ceiling > 0 && r.MemoryMiB > 100) {
		t.Errorf("not measured: %+v", r)
	}
	inference, training := i3d.FLOPs(i3d.Config{InChannels: o.Channels, Outputs: []int{2}}, o.Batch, o.Shape)
	t.Run("training", func(t *testing.T) {
		checkTable(t, r.Layers.Training, training, r.Ceiling)
		for _, want := range []Row{
			{Layer: "input", Operation: "upload", Direction: forward, Calls: 2},
			{Layer: "conv3d_1a_7x7", Operation: "conv 7x7x7/2,2,2", Channels: "2->64", Direction: forward, Calls: 1},
			{Layer: "conv3d_1a_7x7", Operation: "conv 7x7x7/2,2,2", Channels: "2->64", Direction: backwardWeights, Calls: 1},
			{Layer: "conv3d_2c_3x3", Operation: "conv 3x3x3", Channels: "64->192", Direction: backwardData, Calls: 1},
			{Layer: "mixed_3b", Operation: "conv 1x1x1", Channels: "192->176", Direction: forward, Calls: 1},
			{Layer: "mixed_3b", Operation: "max pool 3x3x3", Direction: backward, Calls: 1},
			{Layer: "mixed_3b", Operation: "batch norm", Direction: forward, Calls: 4 + 6}, // statistics of four layers, six results
			{Layer: "mixed_5c", Operation: "batch norm", Direction: backward, Calls: 6},
			{Layer: "maxPool3d_2a_3x3", Operation: "max pool 1x3x3/1,2,2", Direction: forward, Calls: 1},
			{Layer: "linear_list", Operation: "linear", Direction: backward, Calls: 1},
			{Layer: "cross entropy", Operation: "cross entropy", Direction: forward, Calls: 1},
			{Layer: "optimiser", Operation: "SGD step", Direction: backward, Calls: 1},
		} {
			checkRow(t, r.Layers.Training, want)
		}
		for _, row := range r.Layers.Training.Rows {
			if row.Layer == "conv3d_1a_7x7" && row.Direction == backwardData {
				t.Error("the gradient of the network's input was computed")
			}
		}
	})
	t.Run("inference", func(t *testing.T) {
		checkTable(t, r.Layers.Inference, inference, r.Ceiling)
		for _, want := range []Row{
			{Layer: "mixed_3b", Operation: "conv 1x1x1", Channels: "192->64", Direction: forward, Calls: 1},
			{Layer: "mixed_3b", Operation: "conv 1x1x1", Channels: "192->112", Direction: forward, Calls: 1},
			{Layer: "linear_list", Operation: "average pool", Direction: forward, Calls: 1},
			{Layer: "output", Operation: "download", Direction: forward, Calls: 1},
		} {
			checkRow(t, r.Layers.Inference, want)
		}
		for _, row := range r.Layers.Inference.Rows {
			if row.Operation == batchNorm || row.Direction != forward && row.Operation != Rest {
				t.Errorf("inference does %+v", row)
			}
		}
	})
}

// checkTable wants rows whose times, shares and operations add up to the step.
func checkTable(t *testing.T, table Table, flop, ceiling float64) {
	t.Helper()
	var seconds, share, flops float64
	for i, r := range table.Rows {
		seconds, share, flops = seconds+r.Seconds, share+r.Share, flops+r.FLOP
		if last := i == len(table.Rows)-1; last != (r.Operation == Rest) || r.Layer == "" != last {
			t.Errorf("row %d of %d: %+v", i, len(table.Rows), r)
		} else if !last && !(r.Seconds > 0 && r.Bytes > 0) {
			t.Errorf("not measured: %+v", r)
		}
		if conv := strings.HasPrefix(r.Operation, "conv"); conv != (r.FLOP > 0) || conv != (r.Fraction > 0) {
			t.Errorf("operations and fraction of the ceiling of %+v", r)
		}
	}
	if math.Abs(seconds/table.Seconds-1) > 1e-3 || math.Abs(share-1) > 0.02 {
		t.Errorf("rows take %v s of %v s, shares add up to %v", seconds, table.Seconds, share)
	}
	if math.Abs(flops/flop-1) > 1e-9 {
		t.Errorf("%v operations, the network has %v", flops, flop)
	}
	if !slices.IsSortedFunc(table.Rows[1:len(table.Rows)-1], func(a, b Row) int {
		return stageOf(a.Layer) - stageOf(b.Layer)
	}) {
		t.Error("rows are not in the order of the network")
	}
	var summed float64
	sums := table.Summary(ceiling)
	for i, s := range sums {
		summed += s.Seconds
		if i > 0 && s.Seconds > sums[i-1].Seconds {
			t.Error("the summary is not sorted")
		}
	}
	if math.Abs(summed/table.Seconds-1) > 1e-3 || len(sums) >= len(table.Rows) {
		t.Errorf("summary of %d rows over %v s, want %v s", len(sums), summed, table.Seconds)
	}
}

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		busy, rate, alone float64
		want              string
	}{
		{0.5, 5, 10, "the preparation of samples"},
		{0.99, 5, 10, "the processors"},
		{0.99, 9.9, 10, "the network"},
	} {
		if got := limit(&feed.Rates{Busy: c.busy, Rate: c.rate}, c.alone); !strings.HasPrefix(got, c.want) {
			t.Errorf("busy %v, %v of %v images/s: limited by %q, expected %q", c.busy, c.rate, c.alone, got, c.want)
		}
	}
}

func stageOf(layer string) int {
	return slices.Index([]string{"input", "conv3d_1a_7x7", "maxPool3d_2a_3x3", "conv3d_2b_1x1", "conv3d_2c_3x3", "maxPool3d_3a_3x3", "mixed_3b", "mixed_3c",
		"maxPool3d_4a_3x3", "mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f", "maxPool3d_5a_2x2", "mixed_5b", "mixed_5c", "linear_list",
		"cross entropy", "output", "optimiser"}, layer)
}

func checkRow(t *testing.T, table Table, want Row) {
	t.Helper()
	for _, r := range table.Rows {
		if r.Layer == want.Layer && r.Operation == want.Operation && r.Channels == want.Channels && r.Direction == want.Direction {
			if r.Calls != want.Calls {
				t.Errorf("%d calls in %+v, want %d", r.Calls, r, want.Calls)
			}
			return
		}
	}
	t.Errorf("no row %s %s %s %s", want.Layer, want.Operation, want.Channels, want.Direction)
}

// Whatever a device computes is timed; what it passes on as it is computes nothing.
func TestEveryOperationIsTimed(t *testing.T) {
	var untimed []string
	of := reflect.TypeFor[*timed]()
	device := reflect.TypeFor[device.Device]()
	for i := range device.NumMethod() {
		m, _ := of.MethodByName(device.Method(i).Name)
		f := runtime.FuncForPC(m.Func.Pointer())
		if file, _ := f.FileLine(f.Entry()); file == "<autogenerated>" { // promoted from the embedded device
			untimed = append(untimed, m.Name)
		}
	}
	want := []string{"Bytes", "Close", "Name", "NewBlock", "Place", "Precision", "Slice", "WorkspaceBytes"}
	if !slices.Equal(untimed, want) {
		t.Errorf("passed on untimed: %v, want %v", untimed, want)
	}
}

// The decorated device computes what the device does, recording or not.
func TestTimedDeviceChangesNothing(t *testing.T) {
	dev, err := open.Device(open.Options{Device: "cpu", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	wrapped, err := newTimed(dev)
	if err != nil {
		t.Fatal(err)
	}
	wrapped.recording = true
	cfg := i3d.Config{InChannels: 2, Outputs: []int{2}}
	x := make([]float32, 2*2*16*16*16)
	for i := range x {
		x[i] = float32(i%17)/8 - 1
	}
	var losses, norms []float64
	for _, d := range []device.Device{dev, wrapped} {
		training, err := i3d.NewTraining(d, cfg, 2, [3]int{16, 16, 16})
		if err != nil {
			t.Fatal(err)
		}
		if err := training.Load(i3d.NewStateDict(cfg, rand.New(rand.NewPCG(1, 2)))); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			result, err := training.Step(x, [][]int{{0, 1}}, step)
			if err != nil {
				t.Fatal(err)
			}
			losses, norms = append(losses, result.Loss), append(norms, result.GradNorm)
		}
	}
	if !slices.Equal(losses[:2], losses[2:]) || !slices.Equal(norms[:2], norms[2:]) || losses[0] == losses[1] {
		t.Errorf("losses %v, gradient norms %v: want the first two again", losses, norms)
	}
}

func TestTabulate(t *testing.T) {
	c := call{layer: "a", operation: "conv 1x1x1", channels: "1->2", direction: forward, flops: 4e9, bytes: 1e9, took: 2 * time.Second}
	again := c
	again.took = 6 * time.Second
	got := tabulate([]call{c, again}, 10*time.Second, 2)
	want := Table{Seconds: 10, Rows: []Row{
		{Layer: "a", Operation: "conv 1x1x1", Channels: "1->2", Direction: forward, Calls: 2, Seconds: 8, Share: 0.8, FLOP: 8e9, Rate: 1, Fraction: 0.5, Bytes: 2e9, Bandwidth: 0.3},
		{Operation: Rest, Seconds: 2, Share: 0.2},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// fixed is a device of one precision.
type fixed struct {
	device.Device
	precision string
}

func (f fixed) Name() string      { return "some device" }
func (f fixed) Precision() string { return f.precision }

func TestPrecisionAskedForIsThePrecisionMeasured(t *testing.T) {
	if _, err := Run(context.Background(), Options{Device: "cpu", Threads: 1, DType: "fp8"}); err == nil || !strings.Contains(err.Error(), "fp32 or bf16") {
		t.Errorf("fp8: %v", err)
	}
	for _, p := range DTypes {
		if err := checkPrecision(fixed{precision: p}, p); err != nil {
			t.Error(err)
		}
	}
	err := checkPrecision(fixed{precision: "fp32"}, "bf16")
	if err == nil || !strings.Contains(err.Error(), "some device has no bf16") || !strings.Contains(err.Error(), "AVX512-BF16") {
		t.Errorf("bf16 on a device of fp32: %v", err)
	}
}

// Without threads asked for, the process's share of the machine counts, not the machine.
func TestThreadsOfTheProcess(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	r, err := Run(context.Background(), Options{Shape: [3]int{8, 8, 8}, Batch: 2, Channels: 1, Steps: 1, Device: "cpu", DType: "fp32"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Threads != 3 || !strings.Contains(r.Device, "3 threads") || r.Layers != nil {
		t.Errorf("%+v", r)
	}
}
