package i3d

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/weights"
)

const goldenDir = "../../testdata/network"

type golden struct {
	InputChannels int          `json:"input_channels"`
	Outputs       []int        `json:"nr_outputs"`
	Salt          string       `json:"salt"`
	Cases         []goldenCase `json:"cases"`
	arrays        map[string]npz.Array
}

type digest struct {
	Shape               []int
	Mean, Std, Min, Max float64
	Values              []float64
}

type sgdStep struct {
	Loss     float64 `json:"loss"`
	GradNorm float64 `json:"grad_norm_before_clip"`
}

type goldenCase struct {
	Index           int
	InputShape      []int             `json:"input_shape"`
	InputKey        string            `json:"input_key"`
	InputFirst      []float64         `json:"input_first"`
	Targets         [][]int           `json:"targets"`
	EvalLogits      [][][]float64     `json:"eval_logits"`
	EvalLogits64    [][][]float64     `json:"eval_logits_float64"`
	EvalLoss        float64           `json:"eval_loss"`
	EvalActivations map[string]digest `json:"eval_activations"`
	Gain16          struct {
		EvalLogits      [][][]float64     `json:"eval_logits"`
		EvalLogits64    [][][]float64     `json:"eval_logits_float64"`
		EvalLoss        float64           `json:"eval_loss"`
		EvalActivations map[string]digest `json:"eval_activations"`
	} `json:"gain_1.6"`
	TrainLogits      [][][]float64      `json:"train_logits"`
	TrainLogits64    [][][]float64      `json:"train_logits_float64"`
	TrainLoss        float64            `json:"train_loss"`
	TrainLoss64      float64            `json:"train_loss_float64"`
	TrainActivations map[string]digest  `json:"train_activations"`
	GradL2           map[string]float64 `json:"grad_l2"`
	GradL264         map[string]float64 `json:"grad_l2_float64"`
	GradTotal        float64            `json:"grad_total_l2"`
	InputGrad        digest             `json:"input_grad"`
	Steps5           []sgdStep          `json:"sgd_steps_lr1e-5"`
	Steps564         []sgdStep          `json:"sgd_steps_lr1e-5_float64"`
	Steps6           []sgdStep          `json:"sgd_steps_lr1e-6"`
	Steps664         []sgdStep          `json:"sgd_steps_lr1e-6_float64"`
}

func (c *goldenCase) batch() int    { return c.InputShape[0] }
func (c *goldenCase) image() [3]int { return [3]int(c.InputShape[2:]) }
func (c *goldenCase) input() []float32 {
	return weights.FormulaInput(c.InputKey, device.Count(c.InputShape), 1.7)
}
func (c *goldenCase) String() string {
	return fmt.Sprintf("%dx%dx%dx%dx%d", c.InputShape[0], c.InputShape[1], c.InputShape[2], c.InputShape[3], c.InputShape[4])
}

func (g *golden) config() Config { return Config{g.InputChannels, g.Outputs} }

func (g *golden) weights(gain float64) *weights.StateDict {
	sd := EmptyStateDict(g.config())
	weights.Formula(sd, g.Salt, gain)
	return sd
}

func loadGolden(t *testing.T, name string) *golden {
	t.Helper()
	g := &golden{}
	raw, err := os.ReadFile(filepath.Join(goldenDir, "golden_"+name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, g); err != nil {
		t.Fatal(err)
	}
	if g.arrays, err = npz.Read(filepath.Join(goldenDir, "golden_"+name+".npz")); err != nil {
		t.Fatal(err)
	}
	return g
}

// eachGolden runs f for every configuration, kernel set and case of at most largest voxels. The best kernel set sees
// all of them; the others, and short runs, those of at most small.
func eachGolden(t *testing.T, small, largest int, f func(t *testing.T, dev device.Device, g *golden, c *goldenCase)) {
	sets := cpulevel.Available()
	for _, name := range []string{"c2_h2", "c3_h2_h3"} {
		g := loadGolden(t, name)
		for _, set := range sets {
			dev, err := cpu.Open(0, set.String(), false)
			if err != nil {
				t.Fatal(err)
			}
			for i := range g.Cases {
				c := &g.Cases[i]
				limit := largest
				if set != sets[len(sets)-1] || testing.Short() {
					limit = small
				}
				if device.Count(c.InputShape) <= limit {
					t.Run(fmt.Sprintf("%s/%s/%v", name, set, c), func(t *testing.T) { f(t, dev, g, c) })
				}
			}
			dev.Close()
		}
		eachGPU(t, name, g, small, largest, f)
	}
}

// Values of the inputs of 1x2x28x28x28, 2x3x20x48x36 and 2x2x64x64x64.
const (
	smallInput  = 2 * 28 * 28 * 28
	middleInput = 2 * 3 * 20 * 48 * 36
	largeInput  = 2 * 2 * 64 * 64 * 64
)

// compare32 checks got against float32 results of the reference, whose distance to its own float64 results shows what
// rounding does.
func compare32(t *testing.T, what string, got [][]float32, want, want64 [][][]float64, tolerance float64) {
	t.Helper()
	worst := 0.0
	for label, rows := range want {
		for i, row := range rows {
			for k, w := range row {
				allowed := tolerance + 3*math.Abs(w-want64[label][i][k])
				diff := math.Abs(float64(got[label][i*len(row)+k]) - w)
				worst = max(worst, diff)
				if !(diff <= allowed) {
					t.Errorf("%s label %d sample %d class %d: %g, reference %g (%g apart, allowed %g)", what, label, i, k, got[label][i*len(row)+k], w, diff, allowed)
				}
			}
		}
	}
	t.Logf("%s: largest difference %.2g", what, worst)
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %g, reference %g (%.3g apart, allowed %.3g)", what, got, want, math.Abs(got-want), tolerance)
	}
}

// compare allows tolerance relative to the largest value.
func (d digest) compare(what string, shape []int, got []float32, tolerance float64) (out differences) {
	if !slices.Equal(d.Shape, shape) {
		return differences{fmt.Sprintf("%s: shape %v, reference %v", what, shape, d.Shape)}
	}
	tolerance *= max(math.Abs(d.Min), math.Abs(d.Max))
	n := len(got)
	lo, hi, sum, sq := math.Inf(1), math.Inf(-1), 0.0, 0.0
	for _, v := range got {
		lo, hi, sum = min(lo, float64(v)), max(hi, float64(v)), sum+float64(v)
	}
	mean := sum / float64(n)
	for _, v := range got {
		sq += (float64(v) - mean) * (float64(v) - mean)
	}
	out.near(what+" mean", mean, d.Mean, tolerance)
	out.near(what+" std", math.Sqrt(sq/float64(n)), d.Std, tolerance)
	out.near(what+" min", lo, d.Min, tolerance)
	out.near(what+" max", hi, d.Max, tolerance)
	for i, want := range d.Values {
		out.near(fmt.Sprintf("%s value %d", what, i), float64(got[i*(n-1)/(len(d.Values)-1)]), want, tolerance)
	}
	return out
}

func norm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// differences collects what is further apart than allowed.
type differences []string

func (d *differences) near(what string, got, want, tolerance float64) {
	if !(math.Abs(got-want) <= tolerance) {
		*d = append(*d, fmt.Sprintf("%s: %g, reference %g (%.3g apart, allowed %.3g)", what, got, want, math.Abs(got-want), tolerance))
	}
}

// anyDraw passes if run finds nothing to complain about for the input or for one of a few copies of it with relative
// noise of 3e-7, a few times float32's rounding. Gradients jump where a ReLU or a maximum changes its mind, and with
// the few values per channel that deep layers have here single ones do within rounding: noise of 1e-6 on the input of
// 1x3x28x28x28 moves its gradient by nothing, by 3.5 % or by 36 %, with any kernels. What is computed wrongly agrees
// with the reference in no draw.
func anyDraw(t *testing.T, x []float32, run func(x []float32) differences) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	var best differences
	for draw := range 12 {
		noisy := slices.Clone(x)
		for i := range noisy {
			if draw > 0 {
				noisy[i] *= float32(1 + 3e-7*rng.NormFloat64())
			}
		}
		d := run(noisy)
		if len(d) == 0 {
			t.Logf("agrees in draw %d", draw)
			return
		}
		if best == nil || len(d) < len(best) {
			best = d
		}
	}
	for _, d := range best[:min(len(best), 10)] {
		t.Error(d)
	}
}
