package universalclassifier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/cli"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/pkg/nifti"
	"github.com/universal-classifier/uc/pkg/universalclassifier"
)

// counts is a Progress that counts.
type counts struct {
	mu     sync.Mutex
	stages []string
	items  int
}

func (c *counts) Stage(name string, _ int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stages = append(c.stages, name)
}

func (c *counts) Advance(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items++
}

func open(t *testing.T, root string) *universalclassifier.Workspace {
	t.Helper()
	w, err := universalclassifier.OpenWorkspace(root)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func openModel(t *testing.T, root string) *universalclassifier.Model {
	t.Helper()
	m, err := open(t, root).OpenModel("900", universalclassifier.ModelOptions{Device: "cpu", DisableTTA: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// wants fails unless err wraps all of these.
func wants(t *testing.T, what string, err error, kinds ...error) {
	t.Helper()
	for _, kind := range kinds {
		if !errors.Is(err, kind) {
			t.Errorf("%s: error %v, want one that wraps %q", what, err, kind)
		}
	}
}

// What is asked for too early says what is lacking, and the plan is what the files say.
func TestPlanning(t *testing.T) {
	w := open(t, phantomCohort())
	if tasks, err := w.Tasks(); err != nil || !reflect.DeepEqual(tasks, []string{"Task900_Phantom"}) {
		t.Fatalf("tasks %v (%v)", tasks, err)
	}
	_, err := w.OpenModel("900", universalclassifier.ModelOptions{})
	wants(t, "model of an untrained task", err, universalclassifier.ErrNotTrained)
	_, err = w.Evaluate(t.Context(), "900", universalclassifier.EvaluateOptions{})
	wants(t, "evaluation of an untrained task", err, universalclassifier.ErrNotTrained)
	_, err = w.Train(t.Context(), "900", 0, short())
	wants(t, "training of a task without plans", err, universalclassifier.ErrNotPreprocessed)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Plan(ended, "900", universalclassifier.PreprocessOptions{})
	wants(t, "interrupted planning", err, universalclassifier.ErrInterrupted, context.Canceled)

	var log bytes.Buffer
	var progress counts
	p, err := w.Plan(t.Context(), "900", universalclassifier.PreprocessOptions{
		Workers: 1, Progress: &progress, Logger: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	plans, err := plan.Load(p.File)
	if err != nil {
		t.Fatal(err)
	}
	stage := plans.Stage()
	if p.Task != "Task900_Phantom" || p.Cases != 6 || p.ImageSize != stage.ImageSize || p.Spacing != stage.CurrentSpacing || p.BatchSize != stage.BatchSize ||
		p.Axes != plans.TransposeForward || len(p.Labels) != 2 || p.Labels[1].Name != "Size" || len(p.Modalities) != 1 ||
		p.Modalities[0].Normalization != plans.NormalizationSchemes[0] || !p.RealMasks {
		t.Errorf("plan %+v, file %+v", p, stage)
	}
	if _, err := os.Stat(p.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Plan preprocessed cases (%v)", err)
	}
	if progress.items < 6 || len(progress.stages) == 0 {
		t.Errorf("progress %+v", &progress)
	}
	for line := range strings.Lines(log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["task"] != "Task900_Phantom" {
			t.Errorf("log record %s (%v)", line, err)
		}
	}

	_, err = w.Train(t.Context(), "900", 0, short())
	wants(t, "training without cases", err, universalclassifier.ErrNotPreprocessed)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = w.Preprocess(ctx, "900", universalclassifier.PreprocessOptions{Workers: 1, Progress: &stopIn{stage: "preprocessing", stop: cancel}})
	wants(t, "interrupted preprocessing", err, universalclassifier.ErrInterrupted, context.Canceled)
	_, err = w.Train(t.Context(), "900", 0, short())
	wants(t, "training with some cases", err, universalclassifier.ErrNotPreprocessed)
}

func TestTraining(t *testing.T) {
	w := open(t, trainedCohort())
	_, err := w.OpenModel("900", universalclassifier.ModelOptions{Folds: []universalclassifier.Fold{4}})
	wants(t, "model of an untrained fold", err, universalclassifier.ErrNotTrained)
	o := short()
	o.Continue = true
	_, err = w.Train(t.Context(), "900", 3, o)
	wants(t, "continuing an untrained fold", err, universalclassifier.ErrNotTrained)
	_, err = w.Evaluate(t.Context(), "900", universalclassifier.EvaluateOptions{Folds: []universalclassifier.Fold{4}})
	wants(t, "evaluation of an untrained fold", err, universalclassifier.ErrNotTrained)
	o = short()
	o.Device = "cuda:99"
	_, err = w.Train(t.Context(), "900", 3, o)
	wants(t, "training on a card that is not there", err, universalclassifier.ErrNoGPU)
	_, err = w.OpenModel("900", universalclassifier.ModelOptions{Device: "cuda:99"})
	wants(t, "model on a card that is not there", err, universalclassifier.ErrNoGPU)
	if _, err := w.Train(t.Context(), "900", -2, short()); err == nil || !strings.Contains(err.Error(), `"-2"`) {
		t.Errorf("fold -2: %v", err)
	}

	deadline, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	timed, stop := context.WithTimeout(deadline, 0)
	defer stop()
	_, err = w.Train(timed, "900", 2, short())
	wants(t, "training past its deadline", err, universalclassifier.ErrInterrupted, context.DeadlineExceeded)

	ctx, cancelled := context.WithCancel(t.Context())
	o = short()
	o.Progress = &stopIn{stage: "validation", stop: cancelled}
	_, err = w.Train(ctx, "900", universalclassifier.AllCases, o)
	wants(t, "interrupted validation", err, universalclassifier.ErrInterrupted, context.Canceled)
	o = short()
	o.Continue = true
	training, err := w.Train(t.Context(), "900", universalclassifier.AllCases, o)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(training.Dir) != "all" || training.Fold != universalclassifier.AllCases || training.Epochs != 1 || len(training.TrainLosses) != 1 ||
		training.Validation.Cases != 6 || len(training.Validation.Labels[1].Values) != 3 || !reflect.DeepEqual(training.Validation.Folds, []universalclassifier.Fold{universalclassifier.AllCases}) {
		t.Errorf("training %+v", training)
	}
}

// Evaluate returns what the command prints.
func TestEvaluateAsTheCommand(t *testing.T) {
	root := trainedCohort()
	e, err := open(t, root).Evaluate(t.Context(), "900", universalclassifier.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := cli.Execute([]string{"evaluate", "--data-root", root, "900", "--json", "-o", t.TempDir()}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	type number = *float64
	type interval struct{ Value, Low, High number }
	type value struct {
		Name             string
		AUC              interval
		Sensitivity      interval
		AveragePrecision number `json:"average_precision"`
		Difference       interval
	}
	type label struct {
		Name             string
		Accuracy         interval
		BalancedAccuracy number `json:"balanced_accuracy"`
		Confusion        [][]int
		Values           []value
		Baselines        []struct {
			Name   string
			Values []struct {
				AUC        interval
				Difference interval `json:"network_minus_baseline"`
				P          number
			}
		}
	}
	var want struct {
		Cases    int
		Folds    []string
		Missing  []string `json:"missing_folds"`
		Warnings []string
		Labels   []label
		PerFold  []struct {
			Fold   string
			Labels []label
		} `json:"per_fold"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	same := func(what string, got float64, want number) {
		t.Helper()
		if want == nil && !math.IsNaN(got) || want != nil && got != *want {
			t.Errorf("%s: %v, the command says %v", what, got, want)
		}
	}
	sameInterval := func(what string, got universalclassifier.Estimate, want interval) {
		t.Helper()
		same(what, got.Value, want.Value)
		same(what, got.Low, want.Low)
		same(what, got.High, want.High)
	}
	sameLabels := func(where string, got []universalclassifier.LabelEvaluation, want []label) {
		if len(got) != len(want) {
			t.Fatalf("%s: %d labels, want %d", where, len(got), len(want))
		}
		for i, l := range got {
			w := want[i]
			sameInterval(where+" accuracy", l.Accuracy, w.Accuracy)
			same(where+" balanced accuracy", l.BalancedAccuracy, w.BalancedAccuracy)
			if l.Name != w.Name || !reflect.DeepEqual(l.Confusion, w.Confusion) || len(l.Values) != len(w.Values) || len(l.Baselines) != len(w.Baselines) {
				t.Fatalf("%s: label %+v, the command says %+v", where, l, w)
			}
			for k, v := range l.Values {
				sameInterval(where+" AUC", v.AUC, w.Values[k].AUC)
				sameInterval(where+" sensitivity", v.Sensitivity, w.Values[k].Sensitivity)
				same(where+" average precision", v.AveragePrecision, w.Values[k].AveragePrecision)
			}
			for k, b := range l.Baselines {
				for n, v := range b.Values {
					sameInterval(b.Name, v.AUC, w.Baselines[k].Values[n].AUC)
					sameInterval(b.Name+" difference", v.Difference, w.Baselines[k].Values[n].Difference)
					same(b.Name+" p", v.P, w.Baselines[k].Values[n].P)
				}
			}
		}
	}
	sameLabels("pooled", e.Labels, want.Labels)
	if e.Cases != want.Cases || len(e.Folds) != len(want.Folds) || len(e.MissingFolds) != len(want.Missing) || !reflect.DeepEqual(e.Warnings, want.Warnings) || len(e.PerFold) != len(want.PerFold) {
		t.Errorf("evaluation %+v, the command says %+v", e, want)
	}
	for i, f := range e.PerFold {
		if f.Fold.String() != want.PerFold[i].Fold {
			t.Errorf("fold %v, the command says %s", f.Fold, want.PerFold[i].Fold)
		}
		sameLabels("fold "+f.Fold.String(), f.Labels, want.PerFold[i].Labels)
	}
	if len(e.Labels[0].Baselines) == 0 {
		t.Error("no baselines were measured")
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = open(t, root).Evaluate(ended, "900", universalclassifier.EvaluateOptions{})
	wants(t, "interrupted evaluation", err, universalclassifier.ErrInterrupted, context.Canceled)
}

// Subgroups are those of the command, in every number.
func TestSubgroupsAsTheCommand(t *testing.T) {
	root, ages := measuredCohort()
	e, err := open(t, root).Evaluate(t.Context(), "1", universalclassifier.EvaluateOptions{Covariates: ages, Groups: []string{"age:50,65", "site:category"}})
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := []string{"evaluate", "--data-root", root, "1", "--covariates", ages, "--groups", "age:50,65", "--groups", "site:category", "--json", "-o", t.TempDir()}
	if code := cli.Execute(args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	var want evaluate.Report
	if err := json.Unmarshal(stdout.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	got, all := e.Labels[0].Groupings, want.Labels[0].Subgroups
	if len(got) != 3 || len(all) != 3 {
		t.Fatalf("%d groupings, the command has %d, want 3", len(got), len(all))
	}
	numbers := 0
	same := func(what string, got universalclassifier.Estimate, want evaluate.Estimate) {
		t.Helper()
		for i, v := range []float64{got.Value, got.Low, got.High} {
			w := float64([]evaluate.Number{want.Value, want.Low, want.High}[i])
			numbers++
			if v != w && !(math.IsNaN(v) && math.IsNaN(w)) {
				t.Errorf("%s: %g, the command says %g", what, v, w)
			}
		}
		if got.Method != want.Method || got.Why != want.Why {
			t.Errorf("%s: %q, %q, the command says %q, %q", what, got.Method, got.Why, want.Method, want.Why)
		}
	}
	for i, g := range got {
		w := all[i]
		if g.Name != w.Name || g.Kind != w.Kind || g.Rule != w.Rule || !slices.Equal(g.Cuts, w.Cuts) || len(g.Groups) != len(w.Groups) || len(g.Tests) != len(w.Tests) || len(g.Tests) == 0 {
			t.Fatalf("%+v, the command says %+v", g, w)
		}
		for k, s := range g.Groups {
			x := w.Groups[k]
			if s.Name != x.Name || s.Cases != x.Cases || s.Patients != x.Patients || s.TooFew != x.TooFew || len(s.Values) != len(x.Values) {
				t.Fatalf("%+v, the command says %+v", s, x)
			}
			same("accuracy", s.Accuracy, x.Accuracy)
			same("balanced accuracy", s.BalancedAccuracy, x.BalancedAccuracy)
			for n, v := range s.Values {
				y := x.Values[n]
				if v.Class != y.Value || v.Name != y.Name || v.Positives != y.Positives || v.Negatives != y.Negatives {
					t.Errorf("%+v, the command says %+v", v, y)
				}
				same("AUC", v.AUC, y.AUC)
				same("average precision", v.AveragePrecision, y.AveragePrecision)
				same("sensitivity", v.Sensitivity, y.Sensitivity)
				same("specificity", v.Specificity, y.Specificity)
				same("accuracy of a class", v.Accuracy, y.Accuracy)
				same("balanced accuracy of a class", v.BalancedAccuracy, y.BalancedAccuracy)
				same("Brier score", v.Brier, y.Brier)
				same("ECE", v.ECE, y.ECE)
			}
		}
		for k, s := range g.Tests {
			x := w.Tests[k]
			if s.Measure != x.Measure || s.Class != x.Class || !slices.Equal(s.Groups, x.Groups) || s.Method != x.Method || s.DF != x.DF || s.Lowest != x.Lowest || s.Highest != x.Highest {
				t.Errorf("%+v, the command says %+v", s, x)
			}
			same("difference", s.Difference, x.Difference)
			same("test", universalclassifier.Estimate{Value: s.Statistic, Low: s.P, High: s.PHolm}, evaluate.Estimate{Value: x.Statistic, Low: x.P, High: x.PHolm})
		}
	}
	if numbers < 200 {
		t.Errorf("only %d numbers were compared", numbers)
	}
	if !slices.Equal(e.Warnings, want.Warnings) {
		t.Errorf("warnings %q, the command says %q", e.Warnings, want.Warnings)
	}
	for _, wrong := range []universalclassifier.EvaluateOptions{{Groups: []string{"age"}}, {Groups: []string{"weight:50"}}, {Covariates: filepath.Join(root, "none.csv")}} {
		if _, err := open(t, root).Evaluate(t.Context(), "1", wrong); err == nil {
			t.Errorf("%+v: no error", wrong)
		}
	}
}

// Cases in memory, several at a time, get the bits of those in files.
func TestPredicting(t *testing.T) {
	root := trainedCohort()
	model := openModel(t, root)
	if labels := model.Labels(); labels[0].Name != "Lesion" || len(labels[1].Values) != 3 || !model.WantMasks() || model.Modalities() != 1 {
		t.Errorf("labels %v, masks %v, %d modalities", labels, model.WantMasks(), model.Modalities())
	}
	if folds := model.Folds(); !reflect.DeepEqual(folds, []universalclassifier.Fold{0, 1}) {
		t.Errorf("folds %v", folds)
	}
	var group sync.WaitGroup
	for _, c := range heldOut(root) {
		group.Go(func() {
			p, err := model.Predict(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			if p.Case != c.ID || len(p.Classes) != 2 || len(p.Probabilities[1]) != 3 {
				t.Errorf("%+v", p)
			}
			for _, of := range p.Probabilities {
				sum := 0.0
				for _, v := range of {
					sum += v
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Errorf("probabilities %v", of)
				}
			}
			image, err := nifti.ReadImage(c.Images[0])
			if err != nil {
				t.Error(err)
				return
			}
			mask, err := nifti.ReadMask(c.Mask)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := model.PredictImages(t.Context(), universalclassifier.Images{ID: c.ID, Images: []*nifti.Image{image}, Mask: mask})
			if err != nil || !reflect.DeepEqual(got, p) {
				t.Errorf("in memory %+v (%v), from files %+v", got, err, p)
			}
		})
	}
	group.Wait()

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := model.Predict(ended, heldOut(root)[0])
	wants(t, "interrupted prediction", err, universalclassifier.ErrInterrupted, context.Canceled)
}

// Close waits for the predictions under way; those that come later are told.
func TestClose(t *testing.T) {
	root := trainedCohort()
	model, err := open(t, root).OpenModel("900", universalclassifier.ModelOptions{Device: "cpu", DisableTTA: true})
	if err != nil {
		t.Fatal(err)
	}
	c := heldOut(root)[0]
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if p, err := model.Predict(t.Context(), c); (p == nil) != errors.Is(err, universalclassifier.ErrClosed) {
				t.Errorf("a prediction beside Close: %v", err)
			}
		})
	}
	for range 2 {
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
	_, err = model.Predict(t.Context(), c)
	wants(t, "prediction after Close", err, universalclassifier.ErrClosed)
	_, err = model.PredictImages(t.Context(), universalclassifier.Images{})
	wants(t, "prediction after Close", err, universalclassifier.ErrClosed)
	if len(model.Labels()) != 2 || len(model.Folds()) != 2 {
		t.Error("a closed model does not know its labels and folds")
	}
}

// Heat maps are those that the command writes, voxel by voxel, and so are the numbers about them.
func TestExplainAsTheCommand(t *testing.T) {
	root, out := trainedCohort(), t.TempDir()
	c := heldOut(root)[0]
	var stdout, stderr bytes.Buffer
	args := []string{"explain", "--data-root", root, "-t", "900", "-i", c.Images[0], "-s", c.Mask, "-o", out, "-f", "0", "--disable_tta", "--curve-steps", "2",
		"--class", "all", "--device", "cpu", "--json"}
	if code := cli.Execute(args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	var want struct {
		Results struct {
			Cases []struct {
				Maps []struct {
					Class       int
					Predicted   bool
					Probability float64
					Layer, Heat string
					Peak        [3]int  `json:"peak_voxel"`
					Share       float64 `json:"roi_share"`
					Volume      float64 `json:"roi_volume"`
					Deletion    universalclassifier.Curve
					Insertion   universalclassifier.Curve
				}
			}
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	options := universalclassifier.ExplainOptions{Folds: []universalclassifier.Fold{0}, Device: "cpu", DisableTTA: true, AllClasses: true, CurveSteps: 2}
	explainer, err := open(t, root).OpenExplainer("900", options)
	if err != nil {
		t.Fatal(err)
	}
	e, err := explainer.Explain(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	maps := want.Results.Cases[0].Maps
	if e.Case != c.ID || len(e.Maps) != 5 || len(maps) != 5 {
		t.Fatalf("%d maps of case %s, the command has %d; want 5", len(e.Maps), e.Case, len(maps))
	}
	for i, h := range e.Maps {
		w := maps[i]
		heat, err := nifti.ReadImage(filepath.Join(out, w.Heat))
		if err != nil {
			t.Fatal(err)
		}
		if heat.Size != h.Heat.Size || !slices.Equal(heat.Data, h.Heat.Data) || slices.Max(h.Heat.Data) <= 0 {
			t.Errorf("map %d: the heat is not that of the command", i)
		}
		if h.Class != w.Class || h.Predicted != w.Predicted || h.Layer != w.Layer || h.Peak != [3]int{w.Peak[2], w.Peak[1], w.Peak[0]} || h.ROIShare != w.Share || h.ROIVolume != w.Volume ||
			!reflect.DeepEqual(*h.Deletion, w.Deletion) || !reflect.DeepEqual(*h.Insertion, w.Insertion) || e.Probabilities[h.Label][h.Class] != w.Probability ||
			!math.IsNaN(h.ScoreDifference) || !math.IsNaN(h.AttributionSum) {
			t.Errorf("map %d: %+v, the command says %+v", i, h, w)
		}
	}
	if _, err := explainer.Explain(t.Context(), universalclassifier.Case{ID: "bare", Images: c.Images}); err == nil || !strings.Contains(err.Error(), "case bare: no mask") {
		t.Errorf("a case without a mask: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = explainer.Explain(ended, c)
	wants(t, "interrupted explanation", err, universalclassifier.ErrInterrupted, context.Canceled)
	for range 2 {
		if err := explainer.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err = explainer.Explain(t.Context(), c)
	wants(t, "explanation after Close", err, universalclassifier.ErrClosed)
	if len(explainer.Labels()) != 2 || len(explainer.Folds()) != 1 {
		t.Error("a closed explainer does not know its labels and folds")
	}
	_, err = open(t, root).OpenExplainer("900", universalclassifier.ExplainOptions{Folds: []universalclassifier.Fold{3}})
	wants(t, "a fold that is not trained", err, universalclassifier.ErrNotTrained)
	for _, wrong := range []universalclassifier.ExplainOptions{{Method: "magic"}, {Layer: "mixed_9z"}, {Classes: []universalclassifier.LabelClass{{0, 2}}}} {
		if _, err := open(t, root).OpenExplainer("900", wrong); err == nil {
			t.Errorf("%+v: no error", wrong)
		}
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]universalclassifier.Fold{"0": 0, "17": 17, "all": universalclassifier.AllCases} {
		if f, err := universalclassifier.ParseFold(text); err != nil || f != want || f.String() != text {
			t.Errorf("fold %q: %v (%v)", text, f, err)
		}
	}
	for _, text := range []string{"-1", "", "fold_0", "All"} {
		if f, err := universalclassifier.ParseFold(text); err == nil {
			t.Errorf("fold %q was taken for %v", text, f)
		}
	}
}
