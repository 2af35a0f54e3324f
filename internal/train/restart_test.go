package train

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// explosive is a device on which gradients explode at and after a step if the learning rate is above the limit.
type explosive struct {
	device.Device
	at    int
	limit float64
}

func (d *explosive) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) float64 {
	if o.Step >= d.at && o.LR > d.limit {
		return math.NaN()
	}
	return d.Device.StepAdamW(o, params, grads, momentum, second)
}

func (d *explosive) Step(o device.SGD, params, grads, momentum *device.Tensor) float64 {
	return math.NaN()
}

// runOn trains on a device that wrap makes of the CPU.
func runOn(ctx context.Context, t *testing.T, o Options, r progress.Reporter, wrap func(device.Device) device.Device) error {
	t.Helper()
	if err := o.normalise(); err != nil {
		t.Fatal(err)
	}
	j, err := openJob(o, r)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	dev, err := j.openDevice()
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	_, err = j.run(ctx, wrap(dev))
	return err
}

// restartTask is a toy task with restartOptions.
func restartTask(t *testing.T) Options { return restartOptions(toyTaskIn(t, t.TempDir())) }

// restartOptions train four epochs of two iterations; the rate of 3e-4 is still above 2e-4 at the third step.
func restartOptions(o Options) Options {
	o.Epochs, o.Iterations, o.ValIterations, o.LearningRate = 4, 2, 0, 3e-4
	return o
}

// explodeEarly is a device on which a training with restartOptions diverges at its third step, and not once restarted.
func explodeEarly(d device.Device) device.Device { return &explosive{d, 3, 2e-4} }

// A gradient that is not finite brings the training back to its start, with a quarter of the learning rate, and
// wherever it is stopped on its way it comes to the same end.
func TestDivergenceRestarts(t *testing.T) {
	whole := restartTask(t)
	r := &recorder{}
	if err := runOn(t.Context(), t, whole, r, explodeEarly); err != nil {
		t.Fatal(err)
	}
	wantState, wantWeights := finalOf(t, whole)
	want := []Restart{{After: 1, To: 0, Why: "not finite", LearningRate: 0.75e-4}}
	if !reflect.DeepEqual(wantState.Restarts, want) || wantState.Recipe.LearningRate != 3e-4 || wantState.slowed().LearningRate != 0.75e-4 || len(wantState.TrainLosses) != 4 {
		t.Errorf("restarts %+v, learning rate %g, %d epochs", wantState.Restarts, wantState.Recipe.LearningRate, len(wantState.TrainLosses))
	}
	for _, words := range []string{"epoch 2, training iteration 1", "restart 1 of 2", "back to the start", "7.5e-05 instead of 0.0003"} {
		if !strings.Contains(r.text(), words) {
			t.Errorf("nothing says %q in\n%s", words, r.text())
		}
	}
	if checkpoint.Exists(foldOf(whole), checkpoint.Healthy) {
		t.Error("the point to return to is left behind")
	}
	for _, stopAfter := range []int{1, 5} { // before and after the restart
		t.Run(fmt.Sprintf("stopped after %d iterations", stopAfter), func(t *testing.T) {
			o := restartTask(t)
			ctx, cancel := context.WithCancel(t.Context())
			err := runOn(ctx, t, o, &recorder{advance: func(steps int) {
				if steps == stopAfter {
					cancel()
				}
			}}, explodeEarly)
			if !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			o.Continue = true // by the command that it was begun with
			if err := runOn(t.Context(), t, o, progress.Discard, explodeEarly); err != nil {
				t.Fatal(err)
			}
			gotState, gotWeights := finalOf(t, o)
			if !reflect.DeepEqual(gotState, wantState) {
				t.Errorf("state\n%+v, want\n%+v", gotState, wantState)
			}
			if !reflect.DeepEqual(gotWeights, wantWeights) {
				t.Error("weights differ in some bits")
			}
		})
	}
	t.Run("killed while it restarts and soon after", func(t *testing.T) {
		root := t.TempDir()
		o := restartOptions(toyTaskIn(t, root))
		trainAndKill(t, root, false, "restart")
		trainAndKill(t, root, true, "restart", "step", "step")
		o.Continue = true
		r := &recorder{}
		if err := runOn(t.Context(), t, o, r, explodeEarly); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.text(), "after 1 restarts") {
			t.Errorf("the last kill came before the restart was kept:\n%s", r.text())
		}
		gotState, gotWeights := finalOf(t, o)
		if !reflect.DeepEqual(gotState, wantState) || !reflect.DeepEqual(gotWeights, wantWeights) {
			t.Errorf("state\n%+v, want\n%+v, or weights differ", gotState, wantState)
		}
	})
}

// trainAndKill runs trainChild with explodeEarly and kills it once it has printed the given lines, in this order,
// others between them.
func trainAndKill(t *testing.T, root string, goOn bool, until ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "UC_TEST_TRAIN="+root, "UC_TEST_EXPLODE=1")
	if goOn {
		cmd.Env = append(cmd.Env, "UC_TEST_CONTINUE=1")
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, want := range until {
		for lines.Scan() && lines.Text() != want {
		}
		if lines.Text() != want {
			t.Errorf("the training ended without %q", want)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // killed
}

// A training that diverges at any rate ends with an error after the restarts, and one by the reference's recipe at
// once.
func TestRestartsEnd(t *testing.T) {
	o := restartTask(t)
	o.Epochs, o.Iterations = 1, 1
	r := &recorder{}
	err := runOn(t.Context(), t, o, r, func(d device.Device) device.Device { return &explosive{d, 1, 0} })
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "restarted 2 times") || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.LearningRate})) {
		t.Errorf("got %v", err)
	}
	if n := strings.Count(r.text(), "goes back to"); n != 2 {
		t.Errorf("%d restarts in\n%s", n, r.text())
	}
	o = restartTask(t)
	o.Trainer, o.Epochs, o.Iterations, o.ValIterations = task.ReferenceTrainer, 1, 1, 1
	r = &recorder{}
	err = runOn(t.Context(), t, o, r, func(d device.Device) device.Device { return &explosive{Device: d} })
	if !errors.Is(err, ErrDiverged) || strings.Contains(err.Error(), "restarted") || strings.Contains(r.text(), "goes back to") {
		t.Errorf("the reference's recipe: %v\n%s", err, r.text())
	}
}

// vanishing is a device whose gradients are next to nothing.
type vanishing struct{ device.Device }

func (d vanishing) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) float64 {
	d.Device.StepAdamW(o, params, grads, momentum, second)
	return 1e-6
}

// A network that has collapsed is trained again with lower rates, twice, and then to the end; a stop in the midst
// changes nothing.
func TestCollapseRestarts(t *testing.T) {
	vanish := func(d device.Device) device.Device { return vanishing{d} }
	collapsing := func() Options {
		o := toyTaskIn(t, t.TempDir())
		o.Epochs, o.Iterations, o.ValIterations, o.LearningRate = 4, 2, 0, 1e-12
		return o
	}
	whole := collapsing()
	r := &recorder{}
	if err := runOn(t.Context(), t, whole, r, vanish); err != nil {
		t.Fatal(err)
	}
	wantState, wantWeights := finalOf(t, whole)
	want := []Restart{
		{After: 3, To: 0, Why: "vanishing gradient", LearningRate: 1e-12 / 4},
		{After: 3, To: 0, Why: "vanishing gradient", LearningRate: 1e-12 / 16},
	}
	if !reflect.DeepEqual(wantState.Restarts, want) || len(wantState.TrainLosses) != 4 || len(wantState.Epochs) != 4 {
		t.Errorf("restarts %+v, %d epochs", wantState.Restarts, len(wantState.TrainLosses))
	}
	for words, times := range map[string]int{
		"the gradient has vanished": 3, "restart 1 of 2": 1, "restart 2 of 2": 1, "restarted 2 times and is not restarted again": 1,
	} {
		if n := strings.Count(r.text(), words); n != times {
			t.Errorf("%q is said %d times, want %d, in\n%s", words, n, times, r.text())
		}
	}

	o := collapsing()
	ctx, cancel := context.WithCancel(t.Context())
	err := runOn(ctx, t, o, &recorder{advance: func(steps int) {
		if steps == 11 { // after the first restart; an epoch takes three
			cancel()
		}
	}}, vanish)
	if !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	o.Continue = true
	if err := runOn(t.Context(), t, o, progress.Discard, vanish); err != nil {
		t.Fatal(err)
	}
	gotState, gotWeights := finalOf(t, o)
	if !reflect.DeepEqual(gotState, wantState) || !reflect.DeepEqual(gotWeights, wantWeights) {
		t.Errorf("state\n%+v, want\n%+v, or weights differ", gotState, wantState)
	}
}
