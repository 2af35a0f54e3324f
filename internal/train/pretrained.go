package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/torch"
	"github.com/universal-classifier/uc/internal/weights"
)

// usePretrained overwrites what fits by name and shape with the weights of a file, as nnU-Net's load_pretrained_weights. Classification heads
// of another shape keep their fresh values.
func (t *trainer) usePretrained(fresh *weights.StateDict) error {
	path := t.o.PretrainedWeights
	from, err := torch.ReadAny(path)
	if err != nil {
		return fmt.Errorf("pretrained weights: %w", err)
	}
	taken := 0
	var left []string
	for _, name := range fresh.Names() {
		want := fresh.Get(name)
		got := from.Get(name)
		if got == nil {
			got = from.Get("module." + name) // written by a data-parallel training
		}
		if got == nil || !slices.Equal(got.Shape, want.Shape) || (got.F32 == nil) != (want.F32 == nil) {
			left = append(left, name)
			continue
		}
		fresh.Set(name, got)
		taken++
	}
	if taken == 0 {
		return fmt.Errorf("%s: none of its %d tensors fits this network by name and shape", path, from.Len())
	}
	t.log.note("pretrained weights: %d of %d tensors from %s", taken, fresh.Len(), path)
	if len(left) > 0 {
		t.log.warn("not in the pretrained weights, or of another shape, and therefore fresh: %s", strings.Join(left, ", "))
	}
	return nil
}
