package train

import (
	"fmt"
	"strings"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/torch"
	"github.com/universal-classifier/uc/internal/weights"
)

// usePretrained overwrites fresh weights with those of a file, and says what was loaded, adapted and left out.
func (f *fold) usePretrained(fresh *weights.StateDict) error {
	path := f.o.PretrainedWeights
	from, err := torch.ReadAny(path)
	if err != nil {
		return fmt.Errorf("pretrained weights: %w", err)
	}
	done, err := i3d.Transfer(fresh, from)
	if err != nil {
		return fmt.Errorf("pretrained weights: %s: %w", path, err)
	}
	f.notePretrained(path)
	taken := len(done.Loaded)
	if done.Adapted != "" {
		taken++
	}
	lines := []string{fmt.Sprintf("pretrained weights: %d of %d tensors from %s", taken, fresh.Len(), path)}
	add := func(what string, names []string) {
		if len(names) > 0 {
			lines = append(lines, "  "+what+": "+strings.Join(names, ", "))
		}
	}
	if done.Adapted != "" {
		add("adapted", []string{done.Adapted})
	}
	add("fresh, since the file lacks them or has them of another shape", done.Fresh)
	if n := len(done.Counted); n > 0 {
		add("started at 0, since the file lacks them", []string{fmt.Sprintf("num_batches_tracked of %d batch norms", n)})
	}
	add("left out, since this network has no such part", summed(done.LeftOut))
	f.log.note("%s", strings.Join(lines, "\n"))
	f.log.quiet("loaded as they are: %s", strings.Join(done.Loaded, " "))
	if len(done.Unknown) > 0 {
		f.log.warn("%s holds %d tensors that this network does not know, and that are left out: %s", path, len(done.Unknown), strings.Join(done.Unknown, ", "))
	}
	return nil
}

// summed names tensors, but only counts the many momenta of a checkpoint.
func summed(names []string) []string {
	var out []string
	momenta := 0
	for _, name := range names {
		if strings.HasPrefix(name, "optimizer.") {
			momenta++
			continue
		}
		out = append(out, name)
	}
	if momenta > 0 {
		out = append(out, fmt.Sprintf("the optimiser's momenta (%d)", momenta))
	}
	return out
}
