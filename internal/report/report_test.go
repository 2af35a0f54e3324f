package report

import (
	"bytes"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/evaluate/evaluatetest"
	"github.com/universal-classifier/uc/internal/task"
)

// cohort is n cases of a two-class and a three-class label with a model that is right more often than not.
func cohort(n int) ([]task.Label, []evaluate.Prediction) {
	labels := []task.Label{{Name: "Lesion", Values: []string{"absent", "present"}}, {Name: "Grade/size", Values: []string{"low", "middle", "high"}}}
	return labels, evaluatetest.Predictions(labels, n, 5)
}

func TestWriteMakesEveryFile(t *testing.T) {
	dir := filepath.Join(outDir(t), "evaluation")
	labels, predictions := cohort(90)
	r := evaluate.Evaluate(labels, predictions)
	constant := make([][][]float64, len(predictions))
	for i := range constant {
		constant[i] = [][]float64{{0.5, 0.5}, {0.2, 0.3, 0.5}}
	}
	if err := r.AddBaseline(evaluate.BaselineFrequency, nil, constant); err != nil {
		t.Fatal(err)
	}
	paths, err := Write(dir, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"evaluation.json", "evaluation.csv", "roc_Lesion.png", "confusion_Lesion.png", "calibration_Lesion.png",
		"roc_Grade_size.png", "confusion_Grade_size.png", "calibration_Grade_size.png", "report.html"}
	if len(paths) != len(want) {
		t.Fatalf("got %v", paths)
	}
	for i, path := range paths {
		if filepath.Base(path) != want[i] {
			t.Errorf("file %d is %s, want %s", i, path, want[i])
		}
		if strings.HasSuffix(path, ".png") {
			checkPicture(t, path)
		}
	}
	html, err := os.ReadFile(paths[len(paths)-1])
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(html, []byte(`class="figure"`)); got != 4 {
		t.Errorf("the page holds %d figures, want 4", got)
	}
	if got := bytes.Count(html, []byte(">class frequency</t")); got != 2+1+3 { // per label, and per class as the best
		t.Errorf("the page names the baseline %d times", got)
	}
	checkPage(t, html)
}

func TestWriteWithOneClassAndNoCases(t *testing.T) {
	labels, predictions := cohort(6)
	for i := range predictions {
		predictions[i].Targets = []int{0, 0}
	}
	for name, cases := range map[string][]evaluate.Prediction{"one class": predictions, "no cases": nil} {
		paths, err := Write(t.TempDir(), evaluate.Evaluate(labels, cases), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, ".png") {
				checkPicture(t, path)
			}
		}
	}
}

func TestLabelNamesBecomeDistinctFiles(t *testing.T) {
	got := fileNames([]evaluate.LabelReport{{Name: "a/b"}, {Name: "A b"}, {Name: ""}, {Name: "../x"}})
	want := []string{"a_b", "A_b_1", "_2", "___x"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("name %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestProgressPlot(t *testing.T) {
	var training, validation, auc, balanced []float64
	rng := rand.New(rand.NewPCG(3, 4))
	for epoch := range 120 {
		x := float64(epoch)
		training = append(training, 0.3+1.1*math.Exp(-x/30)+0.03*rng.NormFloat64())
		validation = append(validation, 0.45+0.9*math.Exp(-x/25)+0.002*x+0.06*rng.NormFloat64())
		auc = append(auc, 0.93-0.45*math.Exp(-x/20)+0.03*rng.NormFloat64())
		balanced = append(balanced, 0.82-0.32*math.Exp(-x/20)+0.04*rng.NormFloat64())
	}
	nan := math.NaN()
	for name, c := range map[string]Progress{
		"progress":        {training, validation, auc, balanced},
		"progress_losses": {TrainLoss: training, ValLoss: validation},
		"first_epoch":     {[]float64{0.7}, []float64{0.8}, []float64{0.55}, []float64{0.5}},
		"gaps":            {[]float64{0.7, 0.6, nan, 0.5, math.Inf(1)}, []float64{nan, nan, nan, nan, nan}, []float64{nan, 0.3, nan, 0.1, nan}, nil},
		"constant":        {[]float64{0, 0, 0}, nil, []float64{1, 1, 1}, []float64{0.5, 0.5, 0.5}},
		"nothing_yet":     {},
		"only_not_real":   {[]float64{nan}, []float64{nan}, []float64{nan}, []float64{nan}},
	} {
		path := filepath.Join(outDir(t), name+".png")
		if err := ProgressPlot(path, c); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkPicture(t, path)
	}
}

func TestMovingAverageFollowsTheTrainer(t *testing.T) {
	values := []float64{1, math.NaN(), 0.5, 0.2, 3}
	average, best := movingAverage(values, false)
	for i, want := range []float64{1, 1, 0.95, 0.875, 1.0875} {
		if math.Abs(average[i]-want) > 1e-12 {
			t.Errorf("epoch %d: %g, want %g", i, average[i], want)
		}
	}
	if best != 3 {
		t.Errorf("lowest at %d, want 3", best)
	}
	if _, best = movingAverage(values, true); best != 4 {
		t.Errorf("highest at %d, want 4", best)
	}
}

// outDir is where pictures go: a folder that is thrown away, or UC_KEEP_PICTURES for looking at them.
func outDir(t *testing.T) string {
	if dir := os.Getenv("UC_KEEP_PICTURES"); dir != "" {
		return dir
	}
	return t.TempDir()
}

// checkPicture wants a PNG of the usual size with something drawn on it.
func checkPicture(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if size := img.Bounds().Size(); size.X != 1200 || size.Y != 900 {
		t.Errorf("%s: %v, want 1200 x 900", path, size)
	}
	seen := map[any]bool{}
	for y := 0; y < 900; y += 3 {
		for x := 0; x < 1200; x += 3 {
			seen[img.At(x, y)] = true
		}
	}
	if len(seen) < 3 {
		t.Errorf("%s: nothing drawn", path)
	}
}
