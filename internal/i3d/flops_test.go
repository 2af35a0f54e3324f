package i3d

import "testing"

// The literature gives 108 G multiply-adds for I3D on a clip of 64 x 224 x 224 (Xie et al., Rethinking spatiotemporal
// feature learning, 2018); sizes after padding differ a little between implementations.
func TestFLOPsOfTheLiterature(t *testing.T) {
	inference, training := FLOPs(Config{InChannels: 3, Outputs: []int{400}}, 1, [3]int{64, 224, 224})
	if macs := inference / 2e9; macs < 104 || macs > 112 {
		t.Errorf("%.1f G multiply-adds, want about 108", macs)
	}
	if training < 2.7*inference || training >= 3*inference {
		t.Errorf("a training step takes %.3f of inference, want a little less than 3", training/inference)
	}
	twice, _ := FLOPs(Config{InChannels: 3, Outputs: []int{400}}, 2, [3]int{64, 224, 224})
	if twice != 2*inference {
		t.Errorf("a batch of two takes %.3f of one", twice/inference)
	}
}
