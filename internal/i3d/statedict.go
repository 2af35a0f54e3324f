package i3d

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/weights"
)

// unusedLayer is the reference's original 400-class layer: kept in its checkpoints, never run. It is ignored when read.
const unusedLayer = "conv3d_0c_1x1."

// convolutions lists the parts of all layers in the order of the reference's state_dict, with their weight shapes.
func convolutions(cfg Config) (names []string, shapes [][]int) {
	for _, layers := range allLayers(cfg.InChannels) {
		type conv struct {
			name  string
			shape []int
		}
		var stage []conv
		for _, l := range layers {
			for _, p := range l.parts {
				shape := l.weightShape()
				shape[0] = p.outputs
				stage = append(stage, conv{p.name, shape})
			}
		}
		slices.SortFunc(stage, func(a, b conv) int { return strings.Compare(a.name, b.name) })
		for _, c := range stage {
			names, shapes = append(names, c.name), append(shapes, c.shape)
		}
	}
	return names, shapes
}

func linearName(label int) string { return fmt.Sprintf("linear_list.%d.", label) }

// EmptyStateDict returns the network's state dictionary with zeros everywhere, names and order as in the reference
// (without its unused 400-class layer).
func EmptyStateDict(cfg Config) *weights.StateDict {
	sd := weights.NewStateDict()
	names, shapes := convolutions(cfg)
	for i, name := range names {
		out := shapes[i][0]
		sd.Set(name+".conv3d.weight", weights.NewTensor(shapes[i]...))
		for _, v := range []string{"weight", "bias", "running_mean", "running_var"} {
			sd.Set(name+".batch3d."+v, weights.NewTensor(out))
		}
		sd.Set(name+".batch3d.num_batches_tracked", weights.NewScalar(0))
	}
	for label, n := range cfg.Outputs {
		sd.Set(linearName(label)+"weight", weights.NewTensor(n, features))
		sd.Set(linearName(label)+"bias", weights.NewTensor(n))
	}
	return sd
}

// NewStateDict returns PyTorch's default initialisation: convolution and linear weights and linear biases uniform in
// ±1/sqrt(fan in), batch norms with scale 1, shift 0, running mean 0 and running variance 1.
func NewStateDict(cfg Config, rng *rand.Rand) *weights.StateDict {
	return NewSmoothStateDict(cfg, [3]int{}, rng, 0)
}

// NewSmoothStateDict is NewStateDict but for the weights of convolutions larger than 1 x 1 x 1: with the same variance,
// those that one output channel has for one input channel are correlated as given, from 0 to 1. Such a kernel begins
// as a blur in part, and what scans have in common survives a deep network of them (docs/explanation/recipe.md). Of the
// first layer, whose blur is the widest, this goes for every other filter, and only where the images (Z, Y, X) are so
// large that its kernels cover less than a fifth of the longest axis.
func NewSmoothStateDict(cfg Config, shape [3]int, rng *rand.Rand, correlation float64) *weights.StateDict {
	smoothFirst := slices.Max(shape[:]) > 5*stages[0].conv.Kernel[0]
	sd := EmptyStateDict(cfg)
	for _, name := range sd.Names() {
		t := sd.Get(name)
		switch {
		case strings.HasPrefix(name, "linear_list."):
			weights.InitUniform(rng, t.F32, features)
		case strings.HasSuffix(name, "conv3d.weight"):
			fanIn := t.Len() / t.Shape[0]
			weights.InitUniform(rng, t.F32, fanIn)
			for o := range t.Shape[0] {
				if name != firstLayer || smoothFirst && o%2 == 0 {
					weights.Correlate(rng, t.F32[o*fanIn:][:fanIn], fanIn/t.Shape[1], correlation)
				}
			}
		case strings.HasSuffix(name, "batch3d.weight"), strings.HasSuffix(name, "running_var"):
			for i := range t.F32 {
				t.F32[i] = 1
			}
		}
	}
	return sd
}

// unusedClasses is the number of classes of the unused layer: those of Kinetics.
const unusedClasses = 400

// ReferenceStateDict returns the tensors of sd with the reference's unused 400-class layer, in the order of its
// state_dict. The layer comes from sd if sd has it, else it is zeros: nothing ever reads it. The tensors are shared
// with sd.
func ReferenceStateDict(sd *weights.StateDict) *weights.StateDict {
	unused := map[string]*weights.Tensor{
		"weight": weights.NewTensor(unusedClasses, features, 1, 1, 1),
		"bias":   weights.NewTensor(unusedClasses),
	}
	all := weights.NewStateDict()
	addUnused := func() {
		for _, part := range []string{"weight", "bias"} {
			name := unusedLayer + "conv3d." + part
			if t := sd.Get(name); t != nil {
				unused[part] = t
			}
			all.Set(name, unused[part])
		}
	}
	for _, name := range sd.Names() {
		switch {
		case strings.HasPrefix(name, unusedLayer):
			continue
		case name == linearName(0)+"weight":
			addUnused()
		}
		all.Set(name, sd.Get(name))
	}
	return all
}

// CheckStateDict reports whether sd holds exactly the network's tensors; the reference's unused layer may be there too.
func CheckStateDict(cfg Config, sd *weights.StateDict) error {
	if err := cfg.check(); err != nil {
		return err
	}
	want := EmptyStateDict(cfg)
	var missing, unknown []string
	for _, name := range want.Names() {
		w, t := want.Get(name), sd.Get(name)
		switch {
		case t == nil:
			missing = append(missing, name)
		case !slices.Equal(t.Shape, w.Shape):
			return fmt.Errorf("i3d: %s has shape %v, expected %v: weights of another network", name, t.Shape, w.Shape)
		case len(t.F32) != len(w.F32) || len(t.I64) != len(w.I64):
			return fmt.Errorf("i3d: %s holds another data type than expected", name)
		}
	}
	for _, name := range sd.Names() {
		if want.Get(name) == nil && !strings.HasPrefix(name, unusedLayer) {
			unknown = append(unknown, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("i3d: %d tensors are missing, the first is %s", len(missing), missing[0])
	}
	if len(unknown) > 0 {
		return fmt.Errorf("i3d: %d tensors do not belong to a network with %d input channels and labels of %v classes, the first is %s", len(unknown), cfg.InChannels, cfg.Outputs, unknown[0])
	}
	return nil
}
