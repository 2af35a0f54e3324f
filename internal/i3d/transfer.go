package i3d

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/weights"
)

// firstLayer is the one convolution whose shape depends on the number of input channels.
const firstLayer = "conv3d_1a_7x7.conv3d.weight"

const (
	headPrefix     = "linear_list."
	countSuffix    = ".num_batches_tracked"
	parallelPrefix = "module."    // of names that a data-parallel training in PyTorch writes
	ownMomenta     = "optimizer." // of the momenta in this program's checkpoints
)

// Transferred lists what became of the tensors of a transfer.
type Transferred struct {
	Loaded  []string // taken as they are
	Adapted string   // what was done to the first layer; empty if nothing
	Counted []string // counts of batches that the file lacks, as files written before PyTorch 0.4.1 do; they start at 0
	Fresh   []string // heads that the file lacks or has for other classes: they keep their initial values
	LeftOut []string // tensors of the file that belong to a part this network does not have: other heads, the 400-class layer, momenta
	Unknown []string // tensors of the file whose names mean nothing to this network
}

// Transfer overwrites the tensors of fresh, an I3D's state dictionary, with those of another I3D. Heads that do not fit
// stay fresh. A first layer for another number of input channels is adapted:
//
//   - weights without heads of this network, such as those published for Kinetics (3 channels, 400 classes): channel c
//     becomes channel c mod m of the file times m/n, m and n being the numbers of channels, which keeps the response to
//     n equal channels (extend_pretrained_conv3d_1a_7x7 of the reference)
//   - weights with heads were trained on images and a mask, the last channel: the same for the images' channels; the
//     mask's is taken as it is
//
// Anything else that is missing or of another shape is an error that names it, and fresh is then left as it was: a
// network of which a part starts at random would learn, but worse than it could. Values that are not finite and
// negative variances are errors, too.
func Transfer(fresh, from *weights.StateDict) (*Transferred, error) {
	given := map[string]*weights.Tensor{}
	var order []string
	for _, name := range from.Names() {
		plain := name
		for strings.HasPrefix(plain, parallelPrefix) {
			plain = strings.TrimPrefix(plain, parallelPrefix)
		}
		if given[plain] != nil {
			return nil, fmt.Errorf("%s is there twice, with and without the prefix %s", plain, parallelPrefix)
		}
		given[plain] = from.Get(name)
		order = append(order, plain)
	}
	t := &Transferred{}
	taken := weights.NewStateDict()
	var problems []error
	matched := false
	for _, name := range fresh.Names() {
		want, got := fresh.Get(name), given[name]
		matched = matched || got != nil
		switch {
		case strings.HasPrefix(name, headPrefix):
			if !headFits(fresh, given, name) {
				t.Fresh = append(t.Fresh, name)
				continue
			}
		case got == nil && strings.HasSuffix(name, countSuffix):
			t.Counted = append(t.Counted, name)
			continue
		case got != nil && strings.HasSuffix(name, countSuffix) && got.Len() == 1:
			got = countOf(got)
		case got != nil && name == firstLayer && otherChannels(got, want):
			got, t.Adapted = adaptFirstLayer(got, want.Shape[1], hasHeads(given))
		}
		if err := fits(got, want); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if err := usable(name, got); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		taken.Set(name, got)
		if name != firstLayer || t.Adapted == "" {
			t.Loaded = append(t.Loaded, name)
		}
	}
	if !matched {
		return nil, fmt.Errorf("none of its %d tensors (%s) fits this network by name and shape: these are not weights of an I3D", from.Len(), firstOf(order))
	}
	if len(problems) > 0 {
		more := ""
		if len(problems) > 1 {
			more = fmt.Sprintf("; so do %d others", len(problems)-1)
		}
		return nil, fmt.Errorf("%w%s: only the first layer's input channels and the heads may differ from this network", problems[0], more)
	}
	for _, name := range order {
		switch {
		case fresh.Get(name) != nil:
		case strings.HasPrefix(name, unusedLayer), strings.HasPrefix(name, headPrefix), strings.HasPrefix(name, ownMomenta):
			t.LeftOut = append(t.LeftOut, name)
		default:
			t.Unknown = append(t.Unknown, name)
		}
	}
	for _, name := range taken.Names() {
		fresh.Set(name, taken.Get(name))
	}
	return t, nil
}

// firstOf names the first tensor of a file.
func firstOf(names []string) string {
	if len(names) == 0 {
		return "an empty file"
	}
	return "the first is " + names[0]
}

// headFits reports whether both weight and bias of the head that name belongs to can be taken.
func headFits(fresh *weights.StateDict, given map[string]*weights.Tensor, name string) bool {
	head := name[:strings.LastIndex(name, ".")+1]
	return fits(given[head+"weight"], fresh.Get(head+"weight")) == nil && fits(given[head+"bias"], fresh.Get(head+"bias")) == nil
}

func hasHeads(given map[string]*weights.Tensor) bool { return given[linearName(0)+"weight"] != nil }

// fits says what keeps a tensor from taking another's place.
func fits(got, want *weights.Tensor) error {
	switch {
	case got == nil:
		return fmt.Errorf("missing, expected shape %v", want.Shape)
	case !slices.Equal(got.Shape, want.Shape):
		return fmt.Errorf("shape %v, expected %v", got.Shape, want.Shape)
	case len(got.F32) != len(want.F32):
		return errors.New("holds integers, expected floating-point numbers")
	}
	return nil
}

// usable says what is wrong with the values of a tensor.
func usable(name string, t *weights.Tensor) error {
	variance := strings.HasSuffix(name, runningVar)
	for _, v := range t.F32 {
		if v-v != 0 {
			return errors.New("holds values that are not finite")
		}
		if variance && v < 0 {
			return fmt.Errorf("holds the negative variance %g", v)
		}
	}
	return nil
}

// countOf is a count of batches as this network keeps it, an integer scalar.
func countOf(t *weights.Tensor) *weights.Tensor {
	if t.F32 != nil {
		return weights.NewScalar(int64(t.F32[0]))
	}
	return weights.NewScalar(t.I64[0])
}

// otherChannels reports whether two tensors of shape (filters, channels, z, y, x) differ in the channels alone.
func otherChannels(got, want *weights.Tensor) bool {
	return len(got.Shape) == len(want.Shape) && len(got.F32) == got.Len() && got.Shape[1] > 0 && got.Shape[1] != want.Shape[1] &&
		got.Shape[0] == want.Shape[0] && slices.Equal(got.Shape[2:], want.Shape[2:])
}

// adaptFirstLayer makes a first layer for the given number of channels, and says how.
func adaptFirstLayer(t *weights.Tensor, channels int, withMask bool) (*weights.Tensor, string) {
	m, n := t.Shape[1], channels
	how := fmt.Sprintf("%s from %d to %d input channels: repeated cyclically, times %d/%d", firstLayer, m, n, m, n)
	withMask = withMask && min(m, n) > 1
	if withMask {
		m, n = m-1, n-1
		how = fmt.Sprintf("%s from %d to %d input channels: those of the images repeated cyclically, times %d/%d; the last, the mask's, as it is",
			firstLayer, m+1, n+1, m, n)
	}
	shape := slices.Clone(t.Shape)
	shape[1] = channels
	out := weights.NewTensor(shape...)
	kernel := t.Len() / (t.Shape[0] * t.Shape[1])
	scale := float32(float64(m) / float64(n))
	for filter := range shape[0] {
		to, from := out.F32[filter*channels*kernel:], t.F32[filter*t.Shape[1]*kernel:]
		for c := range n {
			for i, v := range from[c%m*kernel:][:kernel] {
				to[c*kernel+i] = scale * v
			}
		}
		if withMask {
			copy(to[n*kernel:][:kernel], from[m*kernel:])
		}
	}
	return out, how
}
