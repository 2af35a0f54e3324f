package cli

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/compare"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
)

// measuredTask writes a task whose folds are validated: 80 cases of 40 patients in two folds, by two trainers, the
// second of which guesses for women. Its dataset.json gives sex and site.
func measuredTask(t *testing.T) (root string, folders task.Folders, name string) {
	t.Helper()
	root, name = t.TempDir(), "Task001_Measured"
	folders, err := task.ResolveFolders(root)
	if err != nil {
		t.Fatal(err)
	}
	label := task.Label{Name: "Lesion", Values: []string{"0", "1"}}
	rng := rand.New(rand.NewPCG(5, 6))
	var training []map[string]any
	folds := map[string]map[string][]evaluate.Prediction{}
	for i := range 80 {
		id, class, sex := fmt.Sprintf("case_%03d", i), rng.IntN(2), i/2%2
		training = append(training, map[string]any{"image": "./imagesTr/" + id + ".nii.gz", "Lesion": class, "patient": fmt.Sprint("P", i/2),
			"site": string(rune('A' + i/2%3)), "covariates": map[string]any{"sex": []string{"f", "m"}[sex], "age": 40 + i/2}})
		for at, trainer := range []string{"ClassifierTrainer", "ClassifierTrainerReference"} {
			skill := 2.5
			if at == 1 && sex == 0 {
				skill = 0
			}
			logits := []float64{0, skill*(float64(class)-0.5) + 0.7*rng.NormFloat64()}
			if folds[trainer] == nil {
				folds[trainer] = map[string][]evaluate.Prediction{}
			}
			fold := fmt.Sprint(i / 40)
			folds[trainer][fold] = append(folds[trainer][fold], evaluate.Prediction{Case: id, Fold: fold, Targets: []int{class},
				Logits: [][]float64{logits}, Probabilities: [][]float64{evaluate.Softmax(logits)}})
		}
	}
	b, err := json.Marshal(map[string]any{"name": "Measured", "modality": map[string]string{"0": "CT"}, "training": training, "numTraining": len(training), "numTest": 0, "test": []string{},
		"classification_labels": []any{map[string]any{"name": "Lesion", "ordinal": false, "values": map[string]string{"0": "0", "1": "1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := folders.RawTask(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dataset.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	for trainer, of := range folds {
		for fold, predictions := range of {
			out := filepath.Join(folders.Model(name, trainer, task.DefaultPlans), task.FoldDir(fold), evaluate.ValidationFolder)
			if err := evaluate.WriteFold(out, &evaluate.Fold{Labels: []task.Label{label}, Predictions: predictions}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, folders, name
}

// Sites and covariates of dataset.json, and those of a table in their place, make subgroups; the trainer that fails for
// women is found out.
func TestEvaluateBySubgroup(t *testing.T) {
	root, _, _ := measuredTask(t)
	out := filepath.Join(t.TempDir(), "evaluation")
	args := []string{"evaluate", "--data-root", root, "1", "-tr", "ClassifierTrainerReference", "-o", out}
	text := ok(t, args...)
	for _, want := range []string{"Lesion by site (one group for each category)", "Lesion by sex", "Lesion by age (cut into thirds)", "Lesion: AUC of 1 differs by sex", "clustered by patient", "subgroups.csv"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var r evaluate.Report
	if err := json.Unmarshal([]byte(ok(t, append(args, "--json")...)), &r); err != nil {
		t.Fatal(err)
	}
	if groups := r.Labels[0].Subgroups; len(groups) != 3 || groups[0].Name != "site" || groups[2].Groups[0].Patients != 20 {
		t.Errorf("%+v", groups)
	}
	table := filepath.Join(t.TempDir(), "patients.csv")
	lines := "Patient;Age;BMI\n"
	for i := range 40 {
		lines += fmt.Sprintf("P%d;%d,5;%d,%d\n", i, 30+i, 20+i%9, i%10)
	}
	if err := os.WriteFile(table, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	got := uc(append(args, "--covariates", table, "--groups", "age:40,60", "bmi:q2")...)
	if got.code != ExitOK || !strings.Contains(got.stderr, `covariate BMI: a number, known for 80 cases; "20,0" is read as 20`) || !strings.Contains(got.stderr, "the table replaces the values of dataset.json") ||
		!strings.Contains(got.stdout, "40 to < 60") || !strings.Contains(got.stdout, "Lesion by BMI (cut at the median)") {
		t.Errorf("exit code %d\n%s\n%s", got.code, got.stderr, got.stdout)
	}
	refused(t, ExitUsage, []string{"flag --groups", `"high" is not a number`}, append(args, "--groups", "age:high")...)
	refused(t, ExitFailed, []string{`no covariate "weight" among "site", "age", "sex"`}, append(args, "--groups", "weight:50")...)
	refused(t, ExitFailed, []string{"nowhere.csv"}, append(args, "--covariates", "nowhere.csv")...)
}

func TestCompareTrainers(t *testing.T) {
	root, folders, name := measuredTask(t)
	out := filepath.Join(t.TempDir(), "comparison")
	args := []string{"compare", "--data-root", root, "-o", out}
	text := ok(t, append(args, "-t", "1", "ClassifierTrainer", "ClassifierTrainerReference")...)
	for _, want := range []string{"80 cases of 40 patients are in both", "clustered by patient", "Obuchowski's paired test", "exact sign-flip test by patient", "ClassifierTrainer is better", "compare.csv"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// A model's folder finds the patients by itself, and a reader's table the classes in it.
	model := folders.Model(name, "ClassifierTrainerReference", task.DefaultPlans)
	reader := filepath.Join(t.TempDir(), "reader.csv")
	lines := "case;Lesion\n"
	for i := range 70 {
		lines += fmt.Sprintf("case_%03d;%d\n", i, i%2)
	}
	if err := os.WriteFile(reader, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	var r compare.Report
	if err := json.Unmarshal([]byte(ok(t, append(args, model, reader, "--json")...)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Cases != 70 || r.Patients != 35 || len(r.First.Only) != 10 || r.Second.Kind != compare.Reader {
		t.Errorf("%+v", r)
	}
	if fold := ok(t, append(args, filepath.Join(model, "fold_0"), reader)...); !strings.Contains(fold, "40 cases are in both") {
		t.Error(fold)
	}
	refused(t, ExitUsage, []string{"name the task with -t TASK"}, append(args, reader, reader)...)
	refused(t, ExitFailed, []string{"the true classes of the cases are not known", "--truth FILE"}, "compare", "-o", out, predictionsOf(t, "a"), predictionsOf(t, "b"))
	refused(t, ExitFailed, []string{"Nobody", "trained are: ClassifierTrainerReference__"}, append(args, "-t", "1", "ClassifierTrainer", "Nobody")...)
	refused(t, ExitFailed, []string{"no such file or folder"}, append(args, "ClassifierTrainer", reader)...)
	refused(t, ExitUsage, []string{"missing argument RUN_B"}, append(args, reader)...)
}

// predictionsOf is a folder of predictions of two cases.
func predictionsOf(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	table := evaluate.Table{Labels: []evaluate.ListedLabel{{Name: "Lesion", Values: []string{"0", "1"}}}}
	for _, id := range []string{"x", "y"} {
		table.Cases = append(table.Cases, evaluate.PredictedCase{Case: id, Labels: []evaluate.PredictedLabel{{Name: "Lesion", Class: 1, Value: "1", Probabilities: []float64{0.4, 0.6}, Logits: []float64{0, 0.4}}}})
	}
	b, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, evaluate.TableFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
