package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
)

// looseNumber also reads "NaN".
type looseNumber float64

func (n *looseNumber) UnmarshalJSON(b []byte) error {
	if string(b) == `"NaN"` {
		*n = looseNumber(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

type curveVector struct{ FPR, TPR, Thresholds []looseNumber }

type metricVectors struct {
	Binary []struct {
		YTrue            []int       `json:"y_true"`
		YScore           []float64   `json:"y_score"`
		AUC              float64     `json:"auc"`
		AveragePrecision float64     `json:"average_precision"`
		Curve            curveVector `json:"roc_curve"`
		FullCurve        curveVector `json:"roc_curve_full"`
		Accuracy         float64     `json:"accuracy"`
		BalancedAccuracy float64     `json:"balanced_accuracy"`
		Sensitivity      float64     `json:"sensitivity"`
		Specificity      float64     `json:"specificity"`
		Confusion        [][]int     `json:"confusion"`
	} `json:"binary"`
	Multiclass []struct {
		YTrue            []int       `json:"y_true"`
		Prob             [][]float64 `json:"prob"`
		AUC              []float64   `json:"auc_ovr"`
		AveragePrecision []float64   `json:"average_precision_ovr"`
		MacroAUC         float64     `json:"auc_macro"`
		Accuracy         float64     `json:"accuracy"`
		BalancedAccuracy float64     `json:"balanced_accuracy"`
	} `json:"multiclass"`
	Degenerate []struct {
		YTrue            []int       `json:"y_true"`
		YScore           []float64   `json:"y_score"`
		AveragePrecision float64     `json:"average_precision"`
		Curve            curveVector `json:"roc_curve"`
		Accuracy         float64     `json:"accuracy"`
		BalancedAccuracy float64     `json:"balanced_accuracy"`
	} `json:"degenerate"`
	Validate []struct {
		Heads   []int         `json:"heads"`
		Target  [][]int       `json:"target"`
		Logits  [][][]float64 `json:"logits"`
		Results []struct {
			Label int     `json:"label"`
			Value int     `json:"value"`
			Acc   float64 `json:"acc"`
			AUC   float64 `json:"auc"`
		} `json:"results"`
	} `json:"reference_validate"`
}

func TestMetricsEqualScikitLearn(t *testing.T) {
	t.Run("small", func(t *testing.T) { checkVectors(t, filepath.Join("..", "..", "testdata", "metrics", "metrics.json")) })
	t.Run("all", func(t *testing.T) { checkVectors(t, testutil.Shared(t, "reference", "metrics", "metrics.json")) })
}

func checkVectors(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v metricVectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Binary) == 0 || len(v.Multiclass) == 0 || len(v.Degenerate) == 0 || len(v.Validate) == 0 {
		t.Fatalf("%s lacks vectors", path)
	}
	for i, c := range v.Binary {
		at := fmt.Sprintf("binary %d", i)
		truth := isClass(c.YTrue, 1)
		auc, err := ROCAUC(truth, c.YScore)
		near(t, at+" auc", auc, c.AUC, err)
		ap, err := AveragePrecision(truth, c.YScore)
		near(t, at+" average precision", ap, c.AveragePrecision, err)
		sameCurve(t, at, truth, c.YScore, true, c.Curve)
		sameCurve(t, at+" full", truth, c.YScore, false, c.FullCurve)
		confusion := Confusion(c.YTrue, thresholded(c.YScore), 2)
		if fmt.Sprint(confusion) != fmt.Sprint(c.Confusion) {
			t.Errorf("%s: confusion %v, want %v", at, confusion, c.Confusion)
		}
		measured := evaluateClass(1, c.YTrue, thresholded(c.YScore), c.YScore, make([]string, len(c.YTrue)))
		near(t, at+" accuracy", float64(measured.Accuracy.Value), c.Accuracy, nil)
		near(t, at+" balanced accuracy", BalancedAccuracy(confusion), c.BalancedAccuracy, nil)
		near(t, at+" sensitivity", float64(measured.Sensitivity.Value), c.Sensitivity, nil)
		near(t, at+" specificity", float64(measured.Specificity.Value), c.Specificity, nil)
	}
	for i, c := range v.Multiclass {
		at := fmt.Sprintf("multiclass %d", i)
		classes := len(c.Prob[0])
		predicted := make([]int, len(c.Prob))
		for k, p := range c.Prob {
			predicted[k] = Argmax(p)
		}
		for class := range classes {
			auc, err := ROCAUC(isClass(c.YTrue, class), column(c.Prob, class))
			near(t, fmt.Sprintf("%s auc of %d", at, class), auc, c.AUC[class], err)
			ap, err := AveragePrecision(isClass(c.YTrue, class), column(c.Prob, class))
			near(t, fmt.Sprintf("%s average precision of %d", at, class), ap, c.AveragePrecision[class], err)
		}
		macro, err := MacroAUC(c.YTrue, c.Prob, classes)
		near(t, at+" macro auc", macro, c.MacroAUC, err)
		confusion := Confusion(c.YTrue, predicted, classes)
		near(t, at+" accuracy", float64(shareRight(c.YTrue, predicted, make([]string, len(predicted))).Value), c.Accuracy, nil)
		near(t, at+" balanced accuracy", BalancedAccuracy(confusion), c.BalancedAccuracy, nil)
	}
	for i, c := range v.Degenerate {
		at := fmt.Sprintf("degenerate %d", i)
		truth := isClass(c.YTrue, 1)
		if _, err := ROCAUC(truth, c.YScore); !errors.Is(err, ErrOneClass) {
			t.Errorf("%s: auc gives %v, want %v", at, err, ErrOneClass)
		}
		ap, err := AveragePrecision(truth, c.YScore)
		near(t, at+" average precision", ap, c.AveragePrecision, err)
		sameCurve(t, at, truth, c.YScore, true, c.Curve)
		confusion := Confusion(c.YTrue, thresholded(c.YScore), 2)
		near(t, at+" accuracy", float64(shareRight(c.YTrue, thresholded(c.YScore), make([]string, len(c.YTrue))).Value), c.Accuracy, nil)
		near(t, at+" balanced accuracy", BalancedAccuracy(confusion), c.BalancedAccuracy, nil)
	}
	for i, c := range v.Validate {
		var labels []task.Label
		for k, n := range c.Heads {
			l := task.Label{Name: fmt.Sprintf("label %d", k)}
			for value := range n {
				l.Values = append(l.Values, fmt.Sprint(value))
			}
			labels = append(labels, l)
		}
		var predictions []Prediction
		for k, target := range c.Target {
			p := Prediction{Case: fmt.Sprintf("case_%02d", k), Targets: target}
			for label := range c.Heads {
				p.Logits = append(p.Logits, c.Logits[label][k])
			}
			predictions = append(predictions, p)
		}
		r := Evaluate(labels, predictions)
		compared := 0
		for _, l := range r.Labels {
			compared += len(l.Values)
		}
		if compared != len(c.Results) {
			t.Errorf("validate %d: %d results, want %d", i, compared, len(c.Results))
		}
		for _, want := range c.Results {
			for _, got := range r.Labels[want.Label].Values {
				if got.Value == want.Value {
					at := fmt.Sprintf("validate %d label %d value %d", i, want.Label, want.Value)
					near(t, at+" accuracy", float64(got.Accuracy.Value), want.Acc, nil)
					near(t, at+" auc", float64(got.AUC.Value), want.AUC, nil)
				}
			}
		}
	}
}

func thresholded(scores []float64) []int {
	out := make([]int, len(scores))
	for i, s := range scores {
		out[i] = index(s >= 0.5)
	}
	return out
}

func sameCurve(t *testing.T, at string, truth []bool, scores []float64, drop bool, want curveVector) {
	t.Helper()
	got, err := ROC(truth, scores, drop)
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return
	}
	for _, axis := range []struct {
		name string
		got  []float64
		want []looseNumber
	}{{"fpr", got.FPR, want.FPR}, {"tpr", got.TPR, want.TPR}, {"thresholds", got.Thresholds, want.Thresholds}} {
		if len(axis.got) != len(axis.want) {
			t.Errorf("%s: %d values of %s, want %d", at, len(axis.got), axis.name, len(axis.want))
			continue
		}
		for i, w := range axis.want {
			near(t, fmt.Sprintf("%s %s[%d]", at, axis.name, i), axis.got[i], float64(w), nil)
		}
	}
}

func near(t *testing.T, what string, got, want float64, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > 1e-12 {
		t.Errorf("%s: %.17g, want %.17g", what, got, want)
	}
}
