package jobgraph

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

const second = "ClassifierTrainerReference"

// withRecipes is the work on two recipes, two seeds and two folds of a task.
func withRecipes(f task.Folders) *Graph {
	return New(Options{
		Folders: f, Task: cohorttest.Task, Folds: []string{"0", "3"}, Seeds: 2, Trainers: []string{task.DefaultTrainer, second},
		Plans: task.DefaultPlans, Extra: []string{"--epochs", "2"}, Estimate: Estimate{Training: Needs{CPUs: 3}},
	})
}

func names(s *Step) (all []string) {
	for _, c := range s.Commands {
		all = append(all, c.Name)
	}
	return all
}

// Every recipe is trained with every seed on every fold, evaluated by itself, and compared with the first recipe of the
// same seed; results of other seeds than the first lie in folders of their own.
func TestRecipes(t *testing.T) {
	results := t.TempDir()
	g := withRecipes(task.Folders{Raw: "raw", Preprocessed: "preprocessed", Results: results})
	after := map[string]string{Train: Preprocess, Evaluate: Train, Compare: Evaluate}
	for _, s := range g.Steps {
		if s.Name != Preprocess && !slices.Equal(s.After, []string{after[s.Name]}) {
			t.Errorf("%s waits for %q, want %s", s.Name, s.After, after[s.Name])
		}
	}
	for step, want := range map[string][]string{
		Train: {"train-recipe1-seed1-fold0", "train-recipe1-seed1-fold3", "train-recipe1-seed2-fold0", "train-recipe1-seed2-fold3",
			"train-recipe2-seed1-fold0", "train-recipe2-seed1-fold3", "train-recipe2-seed2-fold0", "train-recipe2-seed2-fold3"},
		Evaluate: {"evaluate-recipe1-seed1", "evaluate-recipe1-seed2", "evaluate-recipe2-seed1", "evaluate-recipe2-seed2"},
		Compare:  {"compare-recipe2-seed1", "compare-recipe2-seed2"},
	} {
		if got := names(g.Step(step)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", step, got, want)
		}
	}
	training := g.Step(Train).Commands[7] // recipe 2, seed 2, fold 3
	if got, want := strings.Join(training.Args, " "), "train 3d_fullres "+second+" "+cohorttest.Task+" 3 -p "+task.DefaultPlans+" --seed 2 --threads 3 --workers 3 --epochs 2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	other := task.Folders{Results: filepath.Join(results, "seed_2")}
	if want := other.Fold(cohorttest.Task, second, task.DefaultPlans, "3"); training.Resumes != want || training.Env[env.Results] != other.Results {
		t.Errorf("resumes %s, environment %v, want %s in %s", training.Resumes, training.Env, want, other.Results)
	}
	if e := g.Step(Train).Commands[4].Env; len(e) != 0 {
		t.Errorf("environment %v of the first seed", e)
	}
	evaluation := g.Step(Evaluate).Commands[3]
	if got, want := strings.Join(evaluation.Args, " "), "evaluate "+cohorttest.Task+" -tr "+second+" -p "+task.DefaultPlans+" -f 0 3"; got != want || evaluation.Env[env.Results] != other.Results {
		t.Errorf("%s in %v, want %s", got, evaluation.Env, want)
	}
	model := func(trainer string) string { return other.Model(cohorttest.Task, trainer, task.DefaultPlans) }
	if got, want := g.Step(Compare).Commands[1].Args, []string{"compare", model(task.DefaultTrainer), model(second), "-o", filepath.Join(model(second), "comparison")}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	o := g.Options
	o.Trainers, o.Seeds = o.Trainers[:1], 1
	if g := New(o); g.Step(Compare) != nil || g.Step(Train).Commands[0].Name != "train-fold0" || g.Step(Evaluate).Commands[0].Name != Evaluate {
		t.Errorf("one recipe and seed: %+v", g.Steps)
	}
}

// What was laid out is found again, with the folders of today.
func TestRecipesAreKept(t *testing.T) {
	dir := t.TempDir()
	g := withRecipes(task.Folders{Raw: "raw", Preprocessed: dir, Results: "results"})
	if err := g.Save(); err != nil {
		t.Fatal(err)
	}
	today := task.Folders{Raw: "elsewhere", Preprocessed: dir, Results: "moved"}
	got, err := Load(today, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	if want := withRecipes(today); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A comparison is done if both of its models are evaluated as they are trained now, and neither was evaluated since.
func TestComparisonsStand(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(4))
	f.Results = t.TempDir()
	g := withRecipes(f)
	labels := []task.Label{{Name: "L", Values: []string{"a", "b"}}}
	validated := func(r run, weights string) {
		t.Helper()
		for _, fold := range g.Options.Folds {
			of := &evaluate.Fold{Labels: labels, Origin: &evaluate.Origin{Weights: weights + fold},
				Predictions: []evaluate.Prediction{{Case: "c" + fold, Fold: fold, Targets: []int{0}, Logits: [][]float64{{0, 1}}, Probabilities: [][]float64{{0.4, 0.6}}}}}
			if err := evaluate.WriteFold(r.folders.Fold(g.Options.Task, r.trainer, g.Options.Plans, fold), of); err != nil {
				t.Fatal(err)
			}
		}
	}
	began := time.Now().Add(-time.Hour)
	written := func(path string, minute int, v any) {
		t.Helper()
		if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if err := jsonfile.Write(path, v, jsonfile.Indent); err != nil {
			t.Fatal(err)
		}
		at := began.Add(time.Duration(minute) * time.Minute)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	evaluated := func(r run, weights string, minute int) {
		t.Helper()
		path := filepath.Join(r.folders.Model(g.Options.Task, r.trainer, g.Options.Plans), "evaluation", "evaluation.json")
		written(path, minute, evaluate.Report{MadeFrom: map[string]string{"fold 0": weights + "0", "fold 3": weights + "3"}})
	}
	stand := func(want map[string]bool) {
		t.Helper()
		all, err := g.Standing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{Evaluate, Compare} {
			for _, name := range names(g.Step(step)) {
				if got, known := all[name]; !known || got.Done != want[name] {
					t.Errorf("%s: %+v, want done %v", name, got, want[name])
				}
			}
		}
	}
	stand(nil)
	runs := g.Options.runs()
	for _, r := range runs {
		validated(r, r.name)
		evaluated(r, r.name, 1)
	}
	done := map[string]bool{"evaluate-recipe1-seed1": true, "evaluate-recipe1-seed2": true, "evaluate-recipe2-seed1": true, "evaluate-recipe2-seed2": true}
	stand(done)
	for i, c := range g.Step(Compare).Commands {
		written(filepath.Join(c.Args[4], "compare.json"), 2, i)
		done[c.Name] = true
	}
	stand(done)

	// Evaluated again, one comparison is of an earlier evaluation.
	evaluated(runs[1], runs[1].name, 3)
	done["compare-recipe2-seed2"] = false
	stand(done)

	// Trained again, the evaluation is of an earlier training; no comparison is begun before all are evaluated.
	validated(runs[2], "again")
	done["evaluate-recipe2-seed1"], done["compare-recipe2-seed1"] = false, false
	stand(done)
}

// A training asks for what the hungriest and the longest of the recipes take.
func TestEstimateOfRecipes(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(12))
	of, err := task.Load(f, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	judge := func(all ...train.Options) Needs {
		t.Helper()
		e, err := Judge(of, nil, all, 1, Resources{CPUs: 2})
		if err != nil {
			t.Fatal(err)
		}
		return e.Training
	}
	long := train.Options{Trainer: second, Epochs: 100000, BatchSize: 2}
	large := train.Options{Trainer: task.DefaultTrainer, Epochs: 1, BatchSize: 12}
	a, b, both := judge(long), judge(large), judge(long, large)
	if a.Time <= b.Time || b.Memory <= a.Memory {
		t.Fatalf("%+v and %+v do not differ as they should", a, b)
	}
	if both.Time != a.Time || both.Memory != b.Memory || both != judge(large, long) {
		t.Errorf("%+v, want the time of %+v and the memory of %+v", both, a, b)
	}
}
