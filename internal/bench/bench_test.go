package bench

import (
	"context"
	"testing"
)

func TestRun(t *testing.T) {
	r, err := Run(context.Background(), Options{Shape: [3]int{16, 16, 16}, Batch: 2, Channels: 2, Steps: 1, Device: "cpu", Threads: 1, DType: "fp32"})
	if err != nil {
		t.Fatal(err)
	}
	if !(r.TrainStep > 0 && r.Inference > 0 && r.TrainRate > 0 && r.Ceiling > 0 && r.MemoryMiB > 100) {
		t.Errorf("not measured: %+v", r)
	}
}

func TestRunRefusesOtherTypes(t *testing.T) {
	if _, err := Run(context.Background(), Options{DType: "fp16"}); err == nil {
		t.Error("fp16 accepted")
	}
}
