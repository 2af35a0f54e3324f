package evaluate

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/universal-classifier/uc/internal/numeric"
)

// ErrOneClass says that a curve or its area is not defined because every case is positive, or none is.
var ErrOneClass = errors.New("only one class among the cases: the area under the ROC curve is not defined")

// Curve is a receiver operating characteristic: point i is reached when every score >= Thresholds[i] counts as
// positive. FPR or TPR hold NaN where there are no negative or no positive cases.
type Curve struct {
	FPR        []float64 `json:"fpr"`
	TPR        []float64 `json:"tpr"`
	Thresholds []float64 `json:"thresholds"`
}

// ROC returns the curve of scores against truth (true: positive), from (0, 0) on, as scikit-learn 1.2's roc_curve:
// tied scores make one point, the first threshold is the highest score + 1, and dropIntermediate leaves out points
// on a straight line between their neighbours.
func ROC(truth []bool, scores []float64, dropIntermediate bool) (Curve, error) {
	fps, tps, thresholds, err := cumulative(truth, scores)
	if err != nil {
		return Curve{}, err
	}
	positives, negatives := tps[len(tps)-1], fps[len(fps)-1]
	c := Curve{
		FPR:        []float64{fraction(0, negatives)},
		TPR:        []float64{fraction(0, positives)},
		Thresholds: []float64{thresholds[0] + 1},
	}
	for i := range fps {
		inner := i > 0 && i+1 < len(fps)
		if dropIntermediate && inner && straight(fps, i) && straight(tps, i) {
			continue
		}
		c.FPR = append(c.FPR, fraction(fps[i], negatives))
		c.TPR = append(c.TPR, fraction(tps[i], positives))
		c.Thresholds = append(c.Thresholds, thresholds[i])
	}
	return c, nil
}

// ROCAUC is the area under the ROC curve: the chance that a positive case scores above a negative one, ties counting
// half (Mann-Whitney). It is ErrOneClass if there is no such pair.
func ROCAUC(truth []bool, scores []float64) (float64, error) {
	d, err := components(truth, scores)
	if err != nil {
		return math.NaN(), err
	}
	return d.auc, nil
}

// AveragePrecision is the sum over thresholds of precision times the gain in recall, without interpolation, as
// scikit-learn's average_precision_score. Without positive cases it is 0.
func AveragePrecision(truth []bool, scores []float64) (float64, error) {
	fps, tps, _, err := cumulative(truth, scores)
	if err != nil {
		return math.NaN(), err
	}
	positives := tps[len(tps)-1]
	if positives == 0 {
		return 0, nil
	}
	var sum float64
	before := 0
	for i, tp := range tps {
		sum += float64(tp-before) / float64(positives) * float64(tp) / float64(tp+fps[i])
		before = tp
	}
	return sum, nil
}

// MacroAUC is the unweighted mean over classes of the one-versus-rest area. targets holds the class of each case and
// probabilities (cases, classes). It is ErrOneClass as soon as one class is absent or the only one.
func MacroAUC(targets []int, probabilities [][]float64, classes int) (float64, error) {
	if classes == 0 {
		return math.NaN(), errors.New("no classes")
	}
	var sum float64
	for class := range classes {
		auc, err := ROCAUC(isClass(targets, class), column(probabilities, class))
		if err != nil {
			return math.NaN(), fmt.Errorf("class %d: %w", class, err)
		}
		sum += auc
	}
	return sum / float64(classes), nil
}

// cumulative counts false and true positives at each distinct score, from the highest down.
func cumulative(truth []bool, scores []float64) (fps, tps []int, thresholds []float64, err error) {
	order, err := descending(truth, scores)
	if err != nil {
		return nil, nil, nil, err
	}
	fp, tp := 0, 0
	for i, at := range order {
		if truth[at] {
			tp++
		} else {
			fp++
		}
		if i+1 == len(order) || scores[order[i+1]] != scores[at] {
			fps, tps, thresholds = append(fps, fp), append(tps, tp), append(thresholds, scores[at])
		}
	}
	return fps, tps, thresholds, nil
}

func descending(truth []bool, scores []float64) ([]int, error) {
	if len(truth) != len(scores) {
		return nil, fmt.Errorf("%d targets, but %d scores", len(truth), len(scores))
	}
	if len(scores) == 0 {
		return nil, errors.New("no cases")
	}
	order := make([]int, len(scores))
	for i, s := range scores {
		if !numeric.Finite(s) {
			return nil, fmt.Errorf("score %d of %d is %v; scores must be finite", i+1, len(scores), s)
		}
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return scores[order[a]] > scores[order[b]] })
	return order, nil
}

func straight(counts []int, i int) bool {
	return counts[i+1]-counts[i] == counts[i]-counts[i-1]
}

// fraction is part/whole, NaN for an empty whole.
func fraction(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return float64(part) / float64(whole)
}

func isClass(targets []int, class int) []bool {
	out := make([]bool, len(targets))
	for i, t := range targets {
		out[i] = t == class
	}
	return out
}

func column(rows [][]float64, at int) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		out[i] = r[at]
	}
	return out
}
