package train

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

const toyTask = "Task901_Toy"

var toyLabels = []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}}

// recorder keeps what a job says, and calls advance at every step.
type recorder struct {
	mu      sync.Mutex
	lines   []string
	steps   int
	advance func(steps int)
	said    func(line string)
}

func (r *recorder) Stage(string, int) {}
func (r *recorder) Advance(string) {
	r.steps++
	if r.advance != nil {
		r.advance(r.steps)
	}
}
func (r *recorder) Note(format string, args ...any) { r.add(format, args...) }
func (r *recorder) Warn(format string, args ...any) { r.add("warning: "+format, args...) }
func (r *recorder) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
	if r.said != nil {
		r.said(r.lines[len(r.lines)-1])
	}
}
func (r *recorder) text() string { return strings.Join(r.lines, "\n") }

// toyTaskIn writes a preprocessed task of ten cases (1 modality and mask, 16^3) and returns options that train two
// short epochs on it.
func toyTaskIn(t *testing.T, root string) Options {
	t.Helper()
	folders, err := task.ResolveFolders(root)
	if err != nil {
		t.Fatal(err)
	}
	size := [3]int{16, 16, 16}
	p := &plan.Plans{
		NumStages: 1, NumModalities: 1, Modalities: indexed.List[string]{"MRI"}, NormalizationSchemes: indexed.List[string]{plan.NormNonCT},
		NumClasses: 1, AllClasses: []int{1}, UseMaskForNorm: indexed.List[bool]{false}, TransposeForward: [3]int{0, 1, 2}, TransposeBackward: [3]int{0, 1, 2},
		DataIdentifier: plan.DataIdentifier, TaskName: toyTask, Labels: toyLabels, RealMasks: true,
		PlansPerStage: indexed.List[plan.StagePlan]{{BatchSize: 2, ImageSize: size, CurrentSpacing: [3]float64{1, 1, 1}, OriginalSpacing: [3]float64{1, 1, 1}}},
	}
	stage := folders.Stage(toyTask, p.DataIdentifier)
	if err := os.MkdirAll(stage, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(filepath.Join(folders.PreprocessedTask(toyTask), plan.File(plan.Identifier))); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		writeToyCase(t, stage, i, func(rng *rand.Rand) float32 { return float32(rng.NormFloat64() + float64(i%2)) })
	}
	return Options{Folders: folders, Task: toyTask, Fold: "0", Epochs: 2, Iterations: 3, ValIterations: 2, Deterministic: true, Workers: 1, Threads: 1, Device: "cpu"}
}

func TestMain(m *testing.M) {
	if root := os.Getenv("UC_TEST_TRAIN"); root != "" {
		trainChild(root)
		return
	}
	os.Exit(m.Run())
}

// trainChild is a process that trains and writes a checkpoint after every step, to be killed at any moment.
func trainChild(root string) {
	folders, err := task.ResolveFolders(root)
	if err != nil {
		panic(err)
	}
	o := Options{Folders: folders, Task: toyTask, Fold: "0", Epochs: 2, Iterations: 3, ValIterations: 2, Deterministic: true, Threads: 1, Device: "cpu",
		Continue: os.Getenv("UC_TEST_CONTINUE") != ""}
	r := &recorder{advance: func(int) { fmt.Println("step") }}
	explodes := os.Getenv("UC_TEST_EXPLODE") != ""
	if explodes {
		o = restartOptions(o)
		r.said = func(line string) {
			if strings.Contains(line, "restart 1 of 2") {
				fmt.Println("restart")
			}
		}
	}
	if err := o.normalise(); err != nil {
		panic(err)
	}
	j, err := openJob(o, r)
	if err != nil {
		panic(err)
	}
	defer j.close()
	dev, err := j.openDevice()
	if err != nil {
		panic(err)
	}
	defer dev.Close()
	if explodes {
		dev = explodeEarly(dev)
	}
	j.saveEvery = time.Millisecond // after every iteration
	if _, err := j.run(context.Background(), dev); err != nil {
		panic(err)
	}
}

// finalOf is the outcome of a training: its losses and the bits of its weights.
func finalOf(t *testing.T, o Options) (state, map[string][]float32) {
	t.Helper()
	c, err := checkpoint.Read(foldOf(o), checkpoint.Final)
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := c.Training(&s); err != nil {
		t.Fatal(err)
	}
	s.Seconds = 0
	tensors := map[string][]float32{}
	for _, n := range c.Weights.Names() {
		tensors[n] = c.Weights.Get(n).F32
	}
	return s, tensors
}

// runTo trains to the end.
func runTo(t *testing.T, o Options) (state, map[string][]float32) {
	t.Helper()
	if _, err := Run(t.Context(), o, progress.Discard); err != nil {
		t.Fatal(err)
	}
	return finalOf(t, o)
}

func TestContinuedTrainingEqualsUninterrupted(t *testing.T) {
	whole := toyTaskIn(t, t.TempDir())
	wantState, wantWeights := runTo(t, whole)
	if len(wantState.TrainLosses) != 2 || wantState.TrainLosses[0] == wantState.TrainLosses[1] {
		t.Fatalf("losses %v", wantState.TrainLosses)
	}
	for _, stopAfter := range []int{1, 4, 5} { // within training, within validation, at the end of an epoch
		t.Run(fmt.Sprintf("after %d iterations", stopAfter), func(t *testing.T) {
			o := toyTaskIn(t, t.TempDir())
			ctx, cancel := context.WithCancel(t.Context())
			r := &recorder{advance: func(steps int) {
				if steps == stopAfter {
					cancel()
				}
			}}
			_, err := Run(ctx, o, r)
			if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) || !canBeContinued(err) || strings.Contains(err.Error(), "canceled") {
				t.Fatalf("got %v, want an interrupted training and how to go on", err)
			}
			// The recipe comes back from the checkpoint; workers do not matter.
			o.Epochs, o.Iterations, o.ValIterations, o.Deterministic, o.Continue, o.Workers = 0, 0, 0, false, true, 3
			gotState, gotWeights := runTo(t, o)
			if !reflect.DeepEqual(gotState, wantState) {
				t.Errorf("state\n%+v, want\n%+v", gotState, wantState)
			}
			if !reflect.DeepEqual(gotWeights, wantWeights) {
				t.Error("weights differ in some bits")
			}
		})
	}
}

func TestKilledTrainingContinues(t *testing.T) {
	whole := toyTaskIn(t, t.TempDir())
	wantState, wantWeights := runTo(t, whole)
	root := t.TempDir()
	o := toyTaskIn(t, root)
	for kill, steps := range []int{0, 2, 3, 1} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "UC_TEST_TRAIN="+root)
		if kill > 0 {
			cmd.Env = append(cmd.Env, "UC_TEST_CONTINUE=1")
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The first is killed as soon as there is a checkpoint to continue from, the others in the midst of the writing that
		// follows a step.
		if kill == 0 {
			for !checkpoint.Exists(foldOf(o), checkpoint.Latest) {
			}
		}
		lines := bufio.NewScanner(out)
		for range steps {
			lines.Scan()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // killed
	}
	o.Continue = true
	gotState, gotWeights := runTo(t, o)
	if !reflect.DeepEqual(gotState, wantState) {
		t.Errorf("state\n%+v, want\n%+v", gotState, wantState)
	}
	if !reflect.DeepEqual(gotWeights, wantWeights) {
		t.Error("weights differ in some bits")
	}
}

func foldOf(o Options) string {
	return o.Folders.Fold(o.Task, task.DefaultTrainer, task.DefaultPlans, o.Fold)
}

func TestFilesAndWordsOfAFold(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	r := &recorder{}
	result, err := Run(t.Context(), o, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"8 training cases, 2 validation cases", "Lesion", "2 high", "batch 2", "16 x 16 x 16", "memory: about",
		"epoch 2/2: training loss", "first steps:", "per epoch and", "of training waiting for data", "validation of fold 0 on 2 cases in ",
		`warning: the validation part of fold 0 has no case of label`,
	} {
		if !strings.Contains(r.text(), want) {
			t.Errorf("nothing says %q in\n%s", want, r.text())
		}
	}
	dir := result.FoldDir
	for _, pattern := range []string{
		"training_log_*.txt", "debug.json", "progress.png", "model_final_checkpoint.safetensors", "model_final_checkpoint.json", "../plans.json",
		"validation_raw/roc_*.png", "validation_raw/cases.json", "validation_raw/summary.json", "validation_raw/summary.csv", "validation_raw/case_0*.npz",
	} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) == 0 {
			t.Errorf("no file %s", pattern)
		}
	}
	if checkpoint.Exists(dir, checkpoint.Latest) {
		t.Error("model_latest is left beside the final checkpoint")
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "training_log_*.txt"))
	if log, err := os.ReadFile(logs[0]); err != nil || !strings.Contains(string(log), "epoch 1/2: training loss") {
		t.Errorf("log %s (%v)", log, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "debug.json"))
	if err != nil || !json.Valid(raw) {
		t.Errorf("debug.json: %s (%v)", raw, err)
	}
	fold, err := evaluate.ReadFold(dir)
	if err != nil || len(fold.Predictions) != 2 {
		t.Fatalf("%+v (%v)", fold, err)
	}

	// -val again gives the same, and --val_disable_overwrite keeps what is there.
	o.ValidationOnly = true
	if _, err := Run(t.Context(), o, progress.Discard); err != nil {
		t.Fatal(err)
	}
	again, err := evaluate.ReadFold(dir)
	if err != nil || !reflect.DeepEqual(again, fold) {
		t.Errorf("validated again: %v, want %v (%v)", again, fold, err)
	}
	fold.Predictions[0].Logits[0][0] = 7
	if err := evaluate.WriteFold(filepath.Join(dir, "validation_raw"), fold); err != nil {
		t.Fatal(err)
	}
	o.KeepValidation = true
	if _, err := Run(t.Context(), o, progress.Discard); err != nil {
		t.Fatal(err)
	}
	if kept, err := evaluate.ReadFold(dir); err != nil || kept.Predictions[0].Logits[0][0] != 7 {
		t.Errorf("not kept: %v (%v)", kept, err)
	}

	// Continued after its end, it has nothing to train and the same bits.
	want, wantWeights := finalOf(t, o)
	o.ValidationOnly, o.Continue = false, true
	if got, gotWeights := runTo(t, o); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotWeights, wantWeights) {
		t.Error("continuing a training that has ended changed it")
	}
}

func TestNothingIsLostByStartingAnew(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	runTo(t, o)
	dir := foldOf(o)
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{advance: func(int) { cancel() }}
	if _, err := Run(ctx, o, r); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if checkpoint.Exists(dir, checkpoint.Final) || !checkpoint.Exists(dir, "model_final_checkpoint.previous") {
		t.Error("the former final checkpoint was not set aside")
	}
	if !strings.Contains(r.text(), "model_final_checkpoint.previous.safetensors") {
		t.Errorf("nothing said about it:\n%s", r.text())
	}
	runTo(t, o)
	if checkpoint.Exists(dir, "model_final_checkpoint.previous") || !checkpoint.Exists(dir, checkpoint.Final) {
		t.Error("the former checkpoint stays beside the new final one")
	}
}

func TestNothingToContinueAndNothingToValidate(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	validate := o
	o.Continue, validate.ValidationOnly = true, true
	for _, o := range []Options{o, validate} {
		if _, err := Run(t.Context(), o, progress.Discard); !errors.Is(err, checkpoint.ErrNotFound) || !strings.Contains(err.Error(), "is not trained") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := os.Stat(foldOf(o)); err == nil {
		t.Error("a folder was made for a fold that was not trained")
	}
	if err := os.MkdirAll(foldOf(o), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o, progress.Discard); !errors.Is(err, checkpoint.ErrNotFound) || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Unset{Option: remedy.ContinueTraining})) {
		t.Errorf("got %v", err)
	}
	if _, err := Run(t.Context(), validate, progress.Discard); !errors.Is(err, checkpoint.ErrNotFound) || !strings.Contains(err.Error(), "is not trained") {
		t.Errorf("got %v", err)
	}
}

func TestDamagedLatestFallsBackToTheBest(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	runTo(t, o)
	dir := foldOf(o)
	if err := os.WriteFile(checkpoint.Path(dir, checkpoint.Latest), []byte("half a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.Continue, o.Epochs = true, 2
	r := &recorder{}
	if _, err := Run(t.Context(), o, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.text(), "passed over") || !strings.Contains(r.text(), "epochs 1 -> 2") {
		t.Errorf("said:\n%s", r.text())
	}
	if s, _ := finalOf(t, o); len(s.TrainLosses) != 2 {
		t.Errorf("losses %v", s.TrainLosses)
	}
}

// Two trainings of a fold at the same time would overwrite each other: the second one is refused and leaves no trace.
func TestOneTrainingOfAFoldAtATime(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(foldOf(o), "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	tried := false
	r := &recorder{advance: func(int) {
		if tried {
			return
		}
		tried = true
		before := files()
		for _, second := range []Options{o, {Folders: o.Folders, Task: o.Task, Fold: o.Fold, Continue: true}, {Folders: o.Folders, Task: o.Task, Fold: o.Fold, ValidationOnly: true}} {
			_, err := Run(t.Context(), second, progress.Discard)
			if !errors.Is(err, lockfile.ErrHeld) || !strings.Contains(err.Error(), foldOf(o)) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) {
				t.Errorf("beside another training: %v", err)
			}
		}
		if after := files(); !slices.Equal(before, after) {
			t.Errorf("files of the fold before: %v, after: %v", before, after)
		}
		other := o
		other.Fold = "1"
		if _, err := Run(t.Context(), other, progress.Discard); err != nil {
			t.Errorf("another fold at the same time: %v", err)
		}
	}}
	if _, err := Run(t.Context(), o, r); err != nil || !tried {
		t.Fatalf("the first training: %v", err)
	}
	o.ValidationOnly = true
	if _, err := Run(t.Context(), o, progress.Discard); err != nil {
		t.Errorf("after the training: %v", err)
	}
}

// A checkpoint of mixed precision continues with --fp32 and the other way round: the log says so, and nothing else
// changes.
func TestPrecisionMayChangeWithContinue(t *testing.T) {
	whole := toyTaskIn(t, t.TempDir())
	whole.FP32 = true
	wantState, wantWeights := runTo(t, whole)
	if wantState.Precision != "fp32" {
		t.Errorf("the checkpoint says %q", wantState.Precision)
	}

	o := toyTaskIn(t, t.TempDir())
	o.FP32 = true
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Run(ctx, o, &recorder{advance: func(int) { cancel() }}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	c, err := checkpoint.Read(foldOf(o), checkpoint.Latest)
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := c.Training(&s); err != nil {
		t.Fatal(err)
	}
	s.Precision = "bf16"
	if err := checkpoint.Write(foldOf(o), checkpoint.Latest, c, s); err != nil {
		t.Fatal(err)
	}
	o.Continue = true
	r := &recorder{}
	if _, err := Run(t.Context(), o, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.text(), "precision bf16 -> fp32") || !strings.Contains(r.text(), "fp32, as asked for") {
		t.Errorf("said\n%s", r.text())
	}
	if gotState, gotWeights := finalOf(t, o); !reflect.DeepEqual(gotState, wantState) || !reflect.DeepEqual(gotWeights, wantWeights) {
		t.Error("the training went another way")
	}

	// From fp32 to whatever the device has, mixed precision if it can.
	o.FP32, o.Epochs = false, 3
	r = &recorder{}
	if _, err := Run(t.Context(), o, r); err != nil {
		t.Fatal(err)
	}
	got, _ := finalOf(t, o)
	if len(got.TrainLosses) != 3 || (got.Precision != "fp32") != strings.Contains(r.text(), "precision fp32 -> ") {
		t.Errorf("%d epochs, the last in %s; said\n%s", len(got.TrainLosses), got.Precision, r.text())
	}
}

// scaling is a device that scales the loss: every second step overflows and is skipped.
type scaling struct {
	device.Device
	scale float64
	good  int
	steps int
}

func (d *scaling) LossScale() (float64, int)            { return d.scale, d.good }
func (d *scaling) SetLossScale(scale float64, good int) { d.scale, d.good = scale, good }
func (d *scaling) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) float64 {
	if d.steps++; d.steps%2 == 1 {
		d.scale, d.good = d.scale/2, 0
		return -1
	}
	d.good++
	return d.Device.StepAdamW(o, params, grads, momentum, second)
}

// The scale of the loss is part of the checkpoint, and a step that was skipped is not a divergence.
func TestLossScaleContinues(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs = 1
	run := func(before float64, good int) *scaling {
		t.Helper()
		d := &scaling{scale: before, good: good}
		if err := runOn(t.Context(), t, o, progress.Discard, func(dev device.Device) device.Device { d.Device = dev; return d }); err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := run(1024, 0) // three steps: skipped, made, skipped
	if first.scale != 256 || first.good != 0 || first.steps != 3 {
		t.Fatalf("after the first training: %+v", first)
	}
	if s, _ := finalOf(t, o); s.LossScale == nil || *s.LossScale != (lossScale{256, 0}) {
		t.Errorf("the checkpoint holds %+v", s.LossScale)
	}
	o.Continue, o.Epochs = true, 2
	if second := run(1, 77); second.scale != 64 {
		t.Errorf("continued to %+v, want a scale of 256 quartered", second)
	}
}

// lost is a device with memory of its own that fails at its second step.
type lost struct {
	device.Device
	steps int
}

func (d *lost) Memory() (free, total int64) { return 1000, 2000 }
func (d *lost) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) float64 {
	if d.steps++; d.steps == 2 {
		panic(&device.Error{Device: "some card", Err: errors.New("fell off the bus")})
	}
	return d.Device.StepAdamW(o, params, grads, momentum, second)
}

// A device that fails ends the training with one error, in the log too, and the checkpoint before it serves to
// continue.
func TestDeviceThatFails(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	r := &recorder{}
	err := runOn(t.Context(), t, o, r, func(dev device.Device) device.Device { return &lost{Device: dev} })
	var failed *device.Error
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "some card: fell off the bus") {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(r.text(), "warning: about") || !strings.Contains(r.text(), "of the device's memory are needed, 1 KiB are free; not even a batch of 1 would fit") {
		t.Errorf("said\n%s", r.text())
	}
	o.Continue = true
	if s, _ := runTo(t, o); len(s.TrainLosses) != 2 {
		t.Errorf("continued to %+v", s)
	}
}

func TestDivergenceStopsWithAdvice(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	stage := o.Folders.Stage(o.Task, plan.DataIdentifier)
	for i := range 10 {
		writeToyCase(t, stage, i, func(*rand.Rand) float32 { return float32(math.NaN()) })
	}
	_, err := Run(t.Context(), o, progress.Discard)
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "epoch 1, training iteration 1") || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.LearningRate})) {
		t.Fatalf("got %v", err)
	}
	c, err := checkpoint.Read(foldOf(o), checkpoint.Latest)
	if err != nil {
		t.Fatal(err)
	}
	if bad := notFinite(c.Weights); bad != "" {
		t.Errorf("%s of the checkpoint that was kept is not finite", bad)
	}
}

func TestDisableSavingLeavesResultsOnly(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations, o.DisableSaving = 2, 1, 1, true
	if _, err := Run(t.Context(), o, progress.Discard); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(foldOf(o), "*.safetensors")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := evaluate.ReadFold(foldOf(o)); err != nil {
		t.Error(err)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	good := Options{Fold: "0"}
	for name, change := range map[string]func(*Options){
		"fold":       func(o *Options) { o.Fold = "x" },
		"epochs":     func(o *Options) { o.Epochs = -1 },
		"rate":       func(o *Options) { o.LearningRate = -1 },
		"val folder": func(o *Options) { o.ValFolder = "../elsewhere" },
		"val dot":    func(o *Options) { o.ValFolder = "." },
	} {
		o := good
		change(&o)
		if err := o.normalise(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := good.normalise(); err != nil {
		t.Error(err)
	}
}
