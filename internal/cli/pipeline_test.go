package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/weights"
)

// Trainings in these tests are as short as they can be: they show that the stages fit together, not that they learn.
var short = []string{"--epochs", "1", "--iterations", "2", "--val-iterations", "1", "--batch-size", "2", "--seed", "5"}

func (c testCohort) trainArgs(fold string, more ...string) []string {
	args := []string{"train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", c.name, fold}
	return append(append(args, short...), more...)
}

func (c testCohort) model() string {
	return filepath.Join(c.root, "trained_models", "nnUNet", "3d_fullres", c.name, "ClassifierTrainer__UniversalClassifierPlansv1.0")
}

// The whole way with masks: every stage leaves the files of the documentation, and what it prints can be read by
// programs.
func TestPipeline(t *testing.T) {
	c := newCohort(t, 10)
	var plans []planned
	decode(t, ok(t, c.planArgs("--verify_dataset_integrity", "--keep_cropped", "--memory", "2G", "--json")...), &plans)
	if len(plans) != 1 || plans[0].Cases != 10 || !plans[0].RealMasks {
		t.Fatalf("plan-and-preprocess --json: %+v", plans)
	}
	stage, err := filepath.Glob(filepath.Join(plans[0].Preprocessed, "*.npz"))
	if err != nil || len(stage) != 10 {
		t.Fatalf("%d preprocessed cases (%v), want 10", len(stage), err)
	}
	if cropped, _ := os.ReadDir(filepath.Join(c.root, "raw", "nnUNet_cropped_data", c.name)); len(cropped) < 10 {
		t.Errorf("%d cropped files, want at least 10", len(cropped))
	}

	var fold0 trained
	decode(t, ok(t, c.trainArgs("0", "--json")...), &fold0)
	if fold0.Epochs != 1 || len(fold0.TrainLoss) != 1 || len(fold0.ValAUC) != 1 || len(fold0.ValBalanced) != 1 || !fold0.ValBalanced[0].Defined() || fold0.Validation == nil || fold0.Validation.Cases != 2 {
		t.Errorf("train --json: %+v", fold0)
	}
	for _, name := range []string{"model_final_checkpoint.safetensors", "model_final_checkpoint.json", "progress.png", "debug.json",
		"validation_raw/cases.json", "validation_raw/summary.json"} {
		if !exists(filepath.Join(fold0.Folder, name)) {
			t.Errorf("the fold has no %s", name)
		}
	}
	if logs, _ := filepath.Glob(filepath.Join(fold0.Folder, "training_log_*.txt")); len(logs) != 1 {
		t.Errorf("training logs: %v", logs)
	}
	ok(t, c.trainArgs("1", "--fp32", "--npz")...)
	if out := ok(t, "train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", "001", "1", "-val", "--valbest", "--val_folder", "validation_best"); !strings.Contains(out, "Lesion") {
		t.Errorf("train -val printed %q", out)
	}
	if !exists(filepath.Join(c.model(), "fold_1", "validation_best", "cases.json")) {
		t.Error("--val_folder was not used")
	}

	out := filepath.Join(c.root, "predictions")
	predictArgs := func(more ...string) []string {
		return append([]string{"predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-s", c.path("labelsTs"), "-o", out, "-t", "1"}, more...)
	}
	var p predicted
	decode(t, ok(t, predictArgs("-f", "0", "1", "-chk", "model_final_checkpoint", "--json")...), &p)
	if p.Predicted != 2 || p.Kept != 0 || !slices.Equal(p.Folds, []string{"0", "1"}) || len(p.Results) == 0 {
		t.Errorf("predict --json: %+v", p)
	}
	checkPredictions(t, out, 2)
	decode(t, ok(t, predictArgs("--json")...), &p)
	if p.Predicted != 0 || p.Kept != 2 {
		t.Errorf("existing results were not kept: %+v", p)
	}
	refused(t, ExitFailed, []string{"mirroring", "--overwrite_existing"}, predictArgs("--disable_tta")...)
	decode(t, ok(t, predictArgs("--disable_tta", "--overwrite_existing", "--disable_mixed_precision", "--json")...), &p)
	var settings struct {
		Precision string `json:"precision"`
	}
	decode(t, string(p.Results), &settings)
	if p.Predicted != 2 || p.Precision != "fp32" || settings.Precision != "fp32" {
		t.Errorf("existing results were not overwritten in fp32: %+v", p)
	}
	checkOneCase(t, c, out)
	var measured evaluate.Report
	decode(t, ok(t, "evaluate", "--predictions", out, "--truth", c.path("truthTs.csv"), "--json"), &measured)
	if measured.Cases != 2 || len(measured.Labels) != 2 || !exists(filepath.Join(out, "evaluation", "report.html")) {
		t.Errorf("evaluate --predictions: %+v", measured)
	}
	refused(t, ExitFailed, []string{c.path("dataset.json")}, "evaluate", "--predictions", out, "--truth", c.path("dataset.json"))
	refused(t, ExitFailed, []string{"-s"}, "predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-o", t.TempDir(), "-t", "1")
	refused(t, ExitFailed, []string{"fold", "3"}, predictArgs("-f", "3")...)
	refused(t, ExitFailed, []string{"model_nonesuch"}, predictArgs("-f", "0", "-chk", "model_nonesuch")...)
	blocked := filepath.Join(c.dir, "dataset.json", "below") // below a file nothing can be written
	refused(t, ExitFailed, []string{c.path("dataset.json")}, "predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-s", c.path("labelsTs"), "-o", blocked, "-t", "1")
	refused(t, ExitFailed, []string{c.path("dataset.json")}, "evaluate", "--data-root", c.root, "1", "-o", blocked)

	var report evaluate.Report
	decode(t, ok(t, "evaluate", "--data-root", c.root, "1", "--json"), &report)
	if report.Cases != 4 || !slices.Equal(report.Folds, []string{"0", "1"}) || len(report.MissingFolds) != 3 {
		t.Errorf("evaluate --json: %d cases, folds %v, missing %v", report.Cases, report.Folds, report.MissingFolds)
	}
	for _, l := range report.Labels {
		if len(l.Baselines) < 4 || l.Baselines[0].Name != evaluate.BaselineFrequency || l.Baselines[0].Values[0].AUC.Value != 0.5 {
			t.Errorf("evaluate --json: baselines of %s: %+v; warnings %q", l.Name, l.Baselines, report.Warnings)
		}
	}
	if table := ok(t, "evaluate", "--data-root", c.root, c.name, "-f", "0"); !strings.Contains(table, "2 cases, folds 0") || !strings.Contains(table, "roc_Lesion.png") {
		t.Errorf("evaluate printed\n%s", table)
	}
	seen := filepath.Join(c.root, "seen")
	for flag, want := range map[string]bool{"--report": true, "--no-heat": false} {
		ok(t, "evaluate", "--data-root", c.root, c.name, "-f", "0", "-o", seen, "--report", flag)
		page, err := os.ReadFile(filepath.Join(seen, "report.html"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page, []byte(`id="scan-1-1"`)) || bytes.Contains(page, []byte(`"kind":"heat"`)) != want {
			t.Errorf("evaluate --report %s: no scans, or heat maps %t", flag, !want)
		}
	}
	refused(t, ExitUsage, []string{"--no-heat belongs to --report"}, "evaluate", "--data-root", c.root, "1", "--no-heat")

	var info systemInfo
	decode(t, ok(t, "info", "--data-root", c.root, "--json"), &info)
	if len(info.Tasks) != 1 || !info.Tasks[0].Preprocessed || !slices.Equal(info.Tasks[0].Models[0].Trained, []string{"0", "1"}) {
		t.Errorf("info --json: %+v", info.Tasks)
	}
	if text := ok(t, "info", "--data-root", c.root); !strings.Contains(text, "trained folds 0 1") {
		t.Errorf("info printed\n%s", text)
	}
	checkReproduction(t, c)
	checkFilesPage(t, c)
}

// One bad case does not lose the others: it is reported, and the exit code is 1.
func TestPredictGoesOnAfterABadCase(t *testing.T) {
	c := newCohort(t, 5)
	ok(t, c.planArgs()...)
	ok(t, c.trainArgs("all")...)
	images, _ := filepath.Glob(c.path("imagesTs", "*.nii.gz"))
	if err := os.WriteFile(images[0], []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	args := []string{"predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-s", c.path("labelsTs"), "-o", out, "-t", "1", "-f", "all", "--disable_tta"}
	refused(t, ExitFailed, []string{"1 of 2 cases", "phantom_test_001"}, args...)
	if r := uc(args...); !strings.Contains(r.stderr, "warning: case phantom_test_001: "+images[0]) {
		t.Errorf("the case, the file and the reason are not told:\n%s", r.stderr)
	}
	checkPredictions(t, out, 1)
	refused(t, ExitFailed, []string{"no validated fold"}, "evaluate", "--data-root", c.root, "1", "-f", "0")
}

// checkPredictions wants the result files of n cases, readable and consistent.
func checkPredictions(t *testing.T, dir string, n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.npz"))
	if err != nil || len(files) != n {
		t.Fatalf("%d result files (%v), want %d", len(files), err, n)
	}
	for _, f := range files {
		arrays, err := npz.Read(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"logits_0", "probabilities_0", "logits_1", "probabilities_1", "categorical"} {
			if _, have := arrays[name]; !have {
				t.Errorf("%s has no array %s", f, name)
			}
		}
		sum := 0.0
		for _, v := range arrays["probabilities_1"].Float64s() {
			sum += v
		}
		if sum < 0.999999 || sum > 1.000001 {
			t.Errorf("%s: probabilities add up to %v", f, sum)
		}
	}
	f, err := os.Open(filepath.Join(dir, "predictions.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != n+1 {
		t.Errorf("predictions.csv: %d rows (%v), want %d", len(rows), err, n+1)
	}
	b, err := os.ReadFile(filepath.Join(dir, "predictions.json"))
	if err != nil || !json.Valid(b) {
		t.Errorf("predictions.json: %v", err)
	}
}

// A task without masks gets masks of the whole image, keeps its dataset.json aside, and refuses masks at prediction.
func TestPipelineWithoutMasks(t *testing.T) {
	c := newCohort(t, 5)
	c.withoutMasks(t)
	before, err := os.ReadFile(c.path("dataset.json"))
	if err != nil {
		t.Fatal(err)
	}
	var plans []planned
	decode(t, ok(t, c.planArgs("--json")...), &plans)
	if plans[0].RealMasks {
		t.Error("generated masks pass for real ones")
	}
	if kept, err := os.ReadFile(c.path("original_dataset.json")); err != nil || string(kept) != string(before) {
		t.Errorf("original_dataset.json is not the original (%v)", err)
	}
	if masks, _ := filepath.Glob(c.path("labelsTr", "*.nii.gz")); len(masks) != 5 {
		t.Errorf("%d masks generated, want 5", len(masks))
	}
	ok(t, c.planArgs()...)
	ok(t, c.trainArgs("0")...)
	out := t.TempDir()
	ok(t, "predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-o", out, "-t", "1", "--disable_tta")
	checkPredictions(t, out, 2)
	refused(t, ExitFailed, []string{"-s"}, "predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-s", c.path("labelsTs"), "-o", t.TempDir(), "-t", "1")
}

// Plans of one task followed by another, for pretrained weights.
func TestFollowedPlans(t *testing.T) {
	c := newCohort(t, 5)
	ok(t, c.planArgs("-no_pp")...)
	plans := filepath.Join(c.root, "preprocessed", c.name, "UniversalClassifierPlansv1.0_plans_3D.json")
	ok(t, c.planArgs("-pl3d", "ExperimentPlanner3D_v21_Pretrained", "-overwrite_plans", plans, "-overwrite_plans_identifier", "MINE")...)
	ok(t, c.trainArgs("0", "-p", "nnUNetPlans_pretrained_MINE")...)
	start := filepath.Join(filepath.Dir(c.model()), "ClassifierTrainer__nnUNetPlans_pretrained_MINE", "fold_0", "model_final_checkpoint.safetensors")
	ok(t, c.trainArgs("1", "-p", "nnUNetPlans_pretrained_MINE", "-pretrained_weights", start)...)
	refused(t, ExitFailed, []string{"nothing.safetensors"}, c.trainArgs("2", "-p", "nnUNetPlans_pretrained_MINE", "-pretrained_weights", "nothing.safetensors")...)
}

// Ctrl-C ends a training with a checkpoint that -c resumes from.
func TestInterruptedTraining(t *testing.T) {
	c := newCohort(t, 5)
	ok(t, c.planArgs()...)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.AfterFunc(4*time.Second, cancel)
	var stdout, stderr strings.Builder
	args := c.trainArgs("0")
	args[slices.Index(args, "--iterations")+1] = "100000"
	if code := execute(ctx, args, &stdout, &stderr); code != ExitFailed || !strings.Contains(stderr.String(), "-c") {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
	if !exists(filepath.Join(c.model(), "fold_0", "model_latest.safetensors")) {
		t.Error("no checkpoint was kept")
	}
	ok(t, c.trainArgs("0", "-c")...)
}

// A training that is killed at any moment continues with -c to the same bits as one that was not.
func TestKilledTrainingContinuesBitForBit(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs kill -9")
	}
	bin := build(t)
	c := newCohort(t, 5)
	ok(t, c.planArgs()...)
	args := func(root string, more ...string) []string {
		return append([]string{"train", "--data-root", root, "3d_fullres", "ClassifierTrainer", "1", "0", "--deterministic",
			"--epochs", "3", "--iterations", "4", "--val-iterations", "1", "--batch-size", "2"}, more...)
	}
	final := func() *weights.StateDict {
		sd, _, err := weights.ReadSafetensors(checkpoint.Path(filepath.Join(c.model(), "fold_0"), checkpoint.Final))
		if err != nil {
			t.Fatal(err)
		}
		return sd
	}
	began := time.Now()
	if out, err := exec.Command(bin, args(c.root)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(began)
	want := final()
	for _, share := range []float64{0.4, 0.8} {
		if err := os.RemoveAll(filepath.Join(c.root, "trained_models")); err != nil {
			t.Fatal(err)
		}
		killed := exec.Command(bin, args(c.root)...)
		if err := killed.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(share * float64(took)))
		_ = killed.Process.Kill() // it may just have ended
		_ = killed.Wait()
		if out, err := exec.Command(bin, args(c.root, "-c")...).CombinedOutput(); err != nil {
			t.Fatalf("-c after a kill at %.1f of the time: %v\n%s", share, err, out)
		}
		got := final()
		for _, name := range want.Names() { // weights, running statistics, momentum
			if a, b := got.Get(name), want.Get(name); a == nil || !slices.Equal(a.F32, b.F32) || !slices.Equal(a.I64, b.I64) {
				t.Fatalf("-c after a kill at %.1f of the time: %s differs", share, name)
			}
		}
	}
}

// The commands of the reference's readme, word for word.
func TestWrapperScripts(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("needs bash")
	}
	bin := build(t)
	c := newCohort(t, 5)
	scripts, err := filepath.Abs("../../scripts")
	if err != nil {
		t.Fatal(err)
	}
	sh := func(code int, script string) string {
		t.Helper()
		cmd := exec.Command(bash, "-c", script)
		cmd.Dir = scripts
		cmd.Env = append(os.Environ(), "UC="+bin, "TASKID=1", "NUMCPUS=2", "FOLD=0", "DATA="+c.root)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != code {
			t.Fatalf("%s\nexit code %d, want %d\n%s", script, cmd.ProcessState.ExitCode(), code, out)
		}
		return string(out)
	}
	sh(0, `bash uc_plan_and_preprocess.sh \
"$DATA" \
-t $TASKID -tf $NUMCPUS -tl $NUMCPUS`)
	sh(0, `bash uc_train.sh \
"$DATA" \
3d_fullres ClassifierTrainer $TASKID $FOLD --epochs 1 --iterations 1 --val-iterations 1 --batch-size 2`)
	sh(0, `bash uc_predict.sh \
"$DATA" \
-i "$DATA/raw/nnUNet_raw_data/Task001_Phantom/imagesTs" \
-s "$DATA/raw/nnUNet_raw_data/Task001_Phantom/labelsTs" \
-o "$DATA/out put" \
-t $TASKID -f 0`)
	checkPredictions(t, filepath.Join(c.root, "out put"), 2)
	if out := sh(2, `bash uc_train.sh`); !strings.Contains(out, "Please pass as first argument") {
		t.Errorf("without arguments: %s", out)
	}
	if out := sh(2, `bash uc_predict.sh /nowhere -t 1`); !strings.Contains(out, "trained_models") {
		t.Errorf("without data: %s", out)
	}
}

// The environment stands for --data-root.
func TestFoldersFromTheEnvironment(t *testing.T) {
	c := newCohort(t, 5)
	t.Setenv("nnUNet_raw_data_base", filepath.Join(c.root, "raw"))
	t.Setenv("nnUNet_preprocessed", filepath.Join(c.root, "elsewhere"))
	t.Setenv("RESULTS_FOLDER", filepath.Join(c.root, "results"))
	ok(t, "plan-and-preprocess", "-t", "1", "-no_pp")
	if !exists(filepath.Join(c.root, "elsewhere", c.name, "UniversalClassifierPlansv1.0_plans_3D.json")) {
		t.Error("nnUNet_preprocessed was not used")
	}
}

func TestBench(t *testing.T) {
	small := []string{"bench", "--shape", "16,16,16", "--batch", "1", "--steps", "1", "--threads", "1"}
	var r map[string]any
	decode(t, ok(t, append(small, "--json")...), &r)
	for _, key := range []string{"tool", "shape", "batch", "threads", "dtype", "device", "train_step_s", "inference_s", "fma_ceiling_gflops", "train_fraction_of_ceiling"} {
		if _, have := r[key]; !have {
			t.Errorf("no %s in %v", key, r)
		}
	}
	if _, have := r["layers"]; have {
		t.Error("layers without --layers")
	}
	decode(t, ok(t, append(small, "--layers", "--json")...), &r)
	for _, step := range []string{"training", "inference"} {
		rows := r["layers"].(map[string]any)[step].(map[string]any)["rows"].([]any)
		if first := rows[1].(map[string]any); len(rows) < 50 || first["layer"] != "conv3d_1a_7x7" || first["channels"] != "2->64" || first["direction"] != "forward" {
			t.Errorf("%s: %d rows, the second %v", step, len(rows), first)
		}
	}
	decode(t, ok(t, append(small, "--pipeline", "--workers", "2", "--json")...), &r)
	if p, _ := r["pipeline"].(map[string]any); p["workers"] != 2. || !(p["images_per_s"].(float64) > 0) || r["pipeline_limit"] == "" {
		t.Errorf("pipeline %v, limit %v", r["pipeline"], r["pipeline_limit"])
	}
	for flag, bad := range map[string][]string{"--workers": {"--workers", "2"}, "0 is less than 1": {"--pipeline", "--workers", "0"}, "--channels": {"--pipeline", "--channels", "1"}} {
		refused(t, ExitUsage, []string{flag}, append(small, bad...)...)
	}
	text := ok(t, append(small, "--layers")...)
	for _, want := range []string{
		`(?m)^training step, the fastest, every call timed: \d`, `(?m)^inference, the fastest, every call timed: \d`, `(?m)^SGD step +backward +1 `, `(?m)^between the calls `,
		`(?m)^mixed_3b +conv 1x1x1 192->176 +backward weights +1 +\d+\.\d+ +\d+\.\d% +\d+\.\d +\d+% +\d+\.\d+ +\d+\.\d\s*$`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("nothing like %s in\n%s", want, text)
		}
	}
}

func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	out := ok(t, "demo", dir, "--cases", "3", "--test-cases", "0")
	if !strings.Contains(out, "3 cases, 0 held out") || strings.Count(out, "  uc ") != 4 {
		t.Errorf("got\n%s", out)
	}
	ok(t, "plan-and-preprocess", "--data-root", dir, "-t", "900", "-no_pp")
}

// programs is the folder of the compiled program.
var programs string

// compile makes the program once, for tests that need a process they can kill.
var compile = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(programs, "uc")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/uc").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return bin, err
})

func build(t *testing.T) string {
	t.Helper()
	bin, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "uc-test"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

func decode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("not the JSON expected: %v\n%s", err, text)
	}
}

// Ctrl-C in any stage ends with one line, not with an error from deep inside.
func TestInterruptedPlanning(t *testing.T) {
	c := newCohort(t, 5)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr strings.Builder
	if code := execute(ctx, c.planArgs(), &stdout, &stderr); code != ExitFailed ||
		!strings.Contains(stderr.String(), "interrupted") || strings.Contains(stderr.String(), "context") {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
}
