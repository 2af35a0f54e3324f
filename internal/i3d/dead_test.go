package i3d

import (
	"math"
	"strings"
	"testing"
)

// Channels shifted far below zero are found to be dead; blocks whose outputs have too few values to judge do not count.
func TestDeadChannels(t *testing.T) {
	tr, x := smallTraining(t, openCPU(t, 2))
	for range 15 { // the running statistics of a fresh network are not those of its activations
		if _, err := tr.Step(x, smallTargets, StepOptions{LR: 1e-4}); err != nil {
			t.Fatal(err)
		}
	}
	before, err := tr.DeadChannels(x, 2)
	if err != nil {
		t.Fatal(err)
	}
	if before > 0.1 { // of two samples with few values
		t.Errorf("%.4f of a healthy network's channels are dead", before)
	}

	// At 10 x 14 x 9 the outputs up to mixed_3c have 12 values per channel or more; those of the later blocks would be
	// dead altogether.
	const looked, inLast = 64 + 64 + 192 + 256 + 480, 480
	sd := must(tr.State())
	for _, name := range sd.Names() {
		late := strings.HasPrefix(name, "mixed_4") || strings.HasPrefix(name, "mixed_5")
		last := strings.HasPrefix(name, "mixed_3c") && !strings.Contains(name, "branch_1.0") && !strings.Contains(name, "branch_2.0")
		if shift := sd.Get(name).F32; strings.HasSuffix(name, normBias) && (late || last) {
			for c := range shift {
				if late || c%2 == 0 {
					shift[c] = -30
				}
			}
		}
	}
	if err := tr.Load(sd); err != nil {
		t.Fatal(err)
	}
	got, err := tr.DeadChannels(x, 2)
	if want := inLast / 2.0 / looked; err != nil || got < want || got > want+before {
		t.Errorf("%.4f of the channels are dead, want %.4f and some of the %.4f from before (%v)", got, want, before, err)
	}

	// It is only a look: the loss is that of a network that was never asked.
	loss, _, err := tr.EvalLoss(x, smallTargets)
	if err != nil {
		t.Fatal(err)
	}
	fresh, _ := smallTraining(t, openCPU(t, 1))
	if err := fresh.Load(sd); err != nil {
		t.Fatal(err)
	}
	if want, _, err := fresh.EvalLoss(x, smallTargets); err != nil || math.Float64bits(loss) != math.Float64bits(want) {
		t.Errorf("loss %v, want %v (%v)", loss, want, err)
	}
}

func TestZeroChannels(t *testing.T) {
	values := []float32{ // 2 samples, 3 channels, 2 voxels
		0, 0, 0, 1, 0, 0,
		0, 0, 0, 0, 0, -1,
	}
	if got := zeroChannels(values, 2, 3); got != 1 {
		t.Errorf("%d channels, want the first alone", got)
	}
}
