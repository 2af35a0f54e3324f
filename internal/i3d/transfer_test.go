package i3d

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/weights"
)

// kinetics is a state dictionary as published for Kinetics: 3 channels, no heads, a layer of 400 classes and no counts
// of batches.
func kinetics() *weights.StateDict {
	sd := weights.NewStateDict()
	whole := EmptyStateDict(Config{InChannels: 3, Outputs: []int{2}})
	for _, name := range whole.Names() {
		if !strings.HasPrefix(name, headPrefix) && !strings.HasSuffix(name, countSuffix) {
			sd.Set(name, whole.Get(name))
		}
	}
	sd.Set(unusedLayer+"conv3d.weight", weights.NewTensor(400, features, 1, 1, 1))
	sd.Set(unusedLayer+"conv3d.bias", weights.NewTensor(400))
	weights.Formula(sd, "#a:kinetics", 1.7)
	return sd
}

func TestTransferEqualsTheReferencesFirstLayer(t *testing.T) {
	arrays, err := npz.Read(testutil.Shared(t, "reference", "interop", "first_layer.npz"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(testutil.Shared(t, "reference", "interop", "first_layer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		HeadSalt string `json:"head_salt"`
		Filters  []int
		Channels map[int]struct {
			Sum        float64       `json:"sum_float64"`
			Squares    float64       `json:"sum_of_squares_float64"`
			InputShape []int         `json:"input_shape"`
			Logits     [][][]float64 `json:"logits"` // label, case, class
		}
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	dev, err := cpu.Open(0, "avx512", false)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	from := kinetics()
	for channels, w := range want.Channels {
		cfg := Config{InChannels: channels, Outputs: []int{2, 3}}
		sd := EmptyStateDict(cfg)
		weights.Formula(sd, want.HeadSalt, 1.7)
		done, err := Transfer(sd, from)
		if err != nil {
			t.Fatalf("%d channels: %v", channels, err)
		}
		if len(done.Fresh) != 4 || len(done.LeftOut) != 2 || len(done.Unknown) != 0 {
			t.Errorf("%d channels: %+v", channels, done)
		}
		first := sd.Get(firstLayer)
		row := first.Len() / first.Shape[0]
		adapted := arrays[fmt.Sprintf("channels_%d", channels)].Data.([]float32)
		for i, filter := range want.Filters {
			if !slices.Equal(first.F32[filter*row:][:row], adapted[i*row:][:row]) {
				t.Errorf("%d channels: filter %d differs in some bits", channels, filter)
			}
		}
		var sum, squares float64
		for _, v := range first.F32 {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		if math.Abs(sum-w.Sum) > 1e-9*w.Squares || math.Abs(squares-w.Squares) > 1e-9*w.Squares {
			t.Errorf("%d channels: sums %g and %g, want %g and %g", channels, sum, squares, w.Sum, w.Squares)
		}
		p, err := NewPredictor(dev, cfg, sd)
		if err != nil {
			t.Fatal(err)
		}
		key := strings.Trim(strings.ReplaceAll(fmt.Sprint(w.InputShape), " ", ","), "[]")
		x := weights.FormulaInput("input:"+key, device.Count(w.InputShape), 1.7)
		logits, err := p.Logits(x, w.InputShape[0], [3]int(w.InputShape[2:]))
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for label, cases := range w.Logits {
			for n, classes := range cases {
				for k, v := range classes {
					worst = max(worst, math.Abs(float64(logits[label][n*len(classes)+k])-v))
				}
			}
		}
		if !(worst <= 1e-4) {
			t.Errorf("%d channels: logits differ by up to %g", channels, worst)
		}
	}
}

// The adapted layer answers n equal channels as the original answers m equal channels.
func TestTransferKeepsTheResponseToEqualChannels(t *testing.T) {
	from := kinetics()
	for _, channels := range []int{1, 2, 3, 4, 6, 7} {
		sd := EmptyStateDict(Config{InChannels: channels, Outputs: []int{2}})
		done, err := Transfer(sd, from)
		if err != nil {
			t.Fatal(err)
		}
		if (done.Adapted == "") != (channels == 3) {
			t.Errorf("%d channels: adapted: %q", channels, done.Adapted)
		}
		old, adapted := from.Get(firstLayer), sd.Get(firstLayer)
		const kernel = 343
		for filter := range 64 {
			for i := range kernel {
				var sum, before float64
				for c := range channels {
					v := adapted.F32[(filter*channels+c)*kernel+i]
					if want := old.F32[(filter*3+c%3)*kernel+i] * float32(3/float64(channels)); v != want {
						t.Fatalf("%d channels: filter %d, channel %d: %g, want %g", channels, filter, c, v, want)
					}
					sum += float64(v)
				}
				for c := range 3 {
					before += float64(old.F32[(filter*3+c)*kernel+i])
				}
				if channels%3 == 0 && math.Abs(sum-before) > 1e-6 {
					t.Fatalf("%d channels: filter %d: sum %g, before %g", channels, filter, sum, before)
				}
			}
		}
		for _, name := range done.Loaded {
			if !reflect.DeepEqual(sd.Get(name), from.Get(name)) {
				t.Errorf("%s is not as in the file", name)
			}
		}
		if want := sd.Len() - len(done.Fresh) - len(done.Counted); len(done.Loaded) < want-1 || len(done.Fresh) != 2 || len(done.Counted) != 57 {
			t.Errorf("%d channels: %d loaded, %d fresh, %d counts, of %d", channels, len(done.Loaded), len(done.Fresh), len(done.Counted), sd.Len())
		}
	}
}

// Weights with heads saw a mask in their last channel: it stays the last.
func TestTransferKeepsTheMasksChannel(t *testing.T) {
	from := EmptyStateDict(Config{InChannels: 2, Outputs: []int{2}})
	weights.Formula(from, "", 1)
	sd := EmptyStateDict(Config{InChannels: 4, Outputs: []int{2}})
	done, err := Transfer(sd, from)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(done.Adapted, "mask") {
		t.Errorf("adapted: %s", done.Adapted)
	}
	const kernel = 343
	old, adapted := from.Get(firstLayer), sd.Get(firstLayer)
	for filter := range 64 {
		for i := range kernel {
			for c := range 3 {
				if got, want := adapted.F32[(filter*4+c)*kernel+i], old.F32[filter*2*kernel+i]*(float32(1)/3); got != want {
					t.Fatalf("image channel %d: %g, want %g", c, got, want)
				}
			}
			if got, want := adapted.F32[(filter*4+3)*kernel+i], old.F32[(filter*2+1)*kernel+i]; got != want {
				t.Fatalf("mask channel: %g, want %g", got, want)
			}
		}
	}
	if len(done.Fresh) != 0 || !reflect.DeepEqual(sd.Get("linear_list.0.weight"), from.Get("linear_list.0.weight")) {
		t.Errorf("the head that fits was not taken: %+v", done.Fresh)
	}
}

func TestTransferRefusesAndNamesTheLayer(t *testing.T) {
	const layer = "mixed_4c.branch_1.1.conv3d.weight"
	without := func(name string) *weights.StateDict {
		sd := kinetics()
		smaller := weights.NewStateDict()
		for _, n := range sd.Names() {
			if n != name {
				smaller.Set(n, sd.Get(n))
			}
		}
		return smaller
	}
	with := func(name string, tensor *weights.Tensor) *weights.StateDict {
		sd := kinetics()
		sd.Set(name, tensor)
		return sd
	}
	variance := weights.NewTensor(64)
	variance.F32[3] = -0.5
	infinite := weights.NewTensor(64)
	infinite.F32[9] = float32(math.Inf(1))
	nothing := weights.NewStateDict()
	nothing.Set("features.0.weight", weights.NewTensor(3))
	twice := with("module.mixed_3b.branch_0.batch3d.bias", weights.NewTensor(64))
	for name, c := range map[string]struct {
		from *weights.StateDict
		want []string
	}{
		"missing":         {without(layer), []string{layer, "missing", "[224 112 3 3 3]"}},
		"shape":           {with(layer, weights.NewTensor(224, 96, 3, 3, 3)), []string{layer, "[224 96 3 3 3]", "[224 112 3 3 3]"}},
		"first kernel":    {with(firstLayer, weights.NewTensor(64, 3, 3, 3, 3)), []string{firstLayer, "[64 3 3 3 3]"}},
		"first filters":   {with(firstLayer, weights.NewTensor(32, 3, 7, 7, 7)), []string{firstLayer, "[32 3 7 7 7]"}},
		"first no input":  {with(firstLayer, weights.NewTensor(64, 0, 7, 7, 7)), []string{firstLayer, "[64 0 7 7 7]"}},
		"integers":        {with("mixed_3b.branch_0.batch3d.bias", &weights.Tensor{Shape: []int{64}, I64: make([]int64, 64)}), []string{"mixed_3b.branch_0.batch3d.bias", "integers"}},
		"negative":        {with("conv3d_1a_7x7.batch3d.running_var", variance), []string{"conv3d_1a_7x7.batch3d.running_var", "-0.5"}},
		"infinite":        {with("conv3d_1a_7x7.batch3d.weight", infinite), []string{"conv3d_1a_7x7.batch3d.weight", "not finite"}},
		"another network": {nothing, []string{"features.0.weight", "not weights of an I3D"}},
		"empty":           {weights.NewStateDict(), []string{"an empty file"}},
		"twice":           {twice, []string{"mixed_3b.branch_0.batch3d.bias", "twice"}},
	} {
		sd := EmptyStateDict(Config{InChannels: 2, Outputs: []int{2}})
		_, err := Transfer(sd, c.from)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
		if !reflect.DeepEqual(sd, EmptyStateDict(Config{InChannels: 2, Outputs: []int{2}})) {
			t.Errorf("%s: refused, but the weights were changed", name)
		}
	}
}

func TestTransferListsWhatItLeavesOut(t *testing.T) {
	from := EmptyStateDict(Config{InChannels: 2, Outputs: []int{2, 4, 3}})
	weights.Formula(from, "", 1)
	prefixed := weights.NewStateDict()
	for _, name := range from.Names() {
		prefixed.Set(parallelPrefix+name, from.Get(name))
	}
	prefixed.Set(ownMomenta+"momentum.conv3d_1a_7x7.conv3d.weight", weights.NewTensor(1))
	prefixed.Set("mixed_6a.conv3d.weight", weights.NewTensor(1))
	count := weights.NewTensor()
	count.F32[0] = 77
	prefixed.Set(parallelPrefix+"mixed_5c.branch_0.batch3d.num_batches_tracked", count) // as some tools save every tensor as float
	sd := EmptyStateDict(Config{InChannels: 2, Outputs: []int{2, 3}})
	done, err := Transfer(sd, prefixed)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"linear_list.1.weight", "linear_list.1.bias"}; !slices.Equal(done.Fresh, want) {
		t.Errorf("fresh: %v", done.Fresh)
	}
	if want := []string{"linear_list.2.weight", "linear_list.2.bias", ownMomenta + "momentum.conv3d_1a_7x7.conv3d.weight"}; !slices.Equal(done.LeftOut, want) {
		t.Errorf("left out: %v", done.LeftOut)
	}
	if want := []string{"mixed_6a.conv3d.weight"}; !slices.Equal(done.Unknown, want) {
		t.Errorf("unknown: %v", done.Unknown)
	}
	if got := sd.Get("mixed_5c.branch_0.batch3d.num_batches_tracked"); !reflect.DeepEqual(got, weights.NewScalar(77)) {
		t.Errorf("count %+v", got)
	}
	if done.Adapted != "" || len(done.Counted) != 0 || len(done.Loaded) != sd.Len()-2 {
		t.Errorf("%d loaded of %d, adapted %q, counted %v", len(done.Loaded), sd.Len(), done.Adapted, done.Counted)
	}
}
