package feed

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/device/open"
)

func TestMeasure(t *testing.T) {
	dev, err := open.Device(open.Options{Device: "cpu", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	o := MeasureOptions{Shape: [3]int{8, 9, 10}, Batch: 2, Channels: 3, Workers: 2, Steps: 4, Augment: augment.DefaultParams(false, nil, 2)}
	steps := BatchesAhead(o.Batch, o.Workers) + 1 + o.Steps

	for name, c := range map[string]struct {
		pause time.Duration
		busy  bool
	}{"network slower than the workers": {50 * time.Millisecond, true}, "network takes no time": {0, false}} {
		done := 0
		f, err := Measure(context.Background(), dev, o, func(data []float32, targets [][]int) error {
			if done++; len(data) != 2*3*8*9*10 || len(targets) != 1 || len(targets[0]) != 2 {
				t.Errorf("%s: %d values and targets %v", name, len(data), targets)
			}
			time.Sleep(c.pause)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if done != steps {
			t.Errorf("%s: %d steps, expected %d", name, done, steps)
		}
		if f.Workers != 2 || !(f.SampleRate > 0 && f.Rate > 0) || f.Busy < 0 || f.Busy > 1 || (f.Busy > 0.5) != c.busy {
			t.Errorf("%s: %+v", name, f)
		}
	}

	broken := errors.New("broken")
	if _, err := Measure(context.Background(), dev, o, func([]float32, [][]int) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error of a step: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Measure(ctx, dev, o, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	o.Channels = 1
	if _, err := Measure(context.Background(), dev, o, nil); err == nil {
		t.Error("no error for samples without a mask")
	}
}
