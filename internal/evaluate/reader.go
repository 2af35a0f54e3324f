package evaluate

import (
	"fmt"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/task"
)

// ReadTruth reads the classes of cases and, where there is a column for them, their patients, from a table as that of
// AgainstTruth. Cases without a class for every label are in incomplete, and their classes nil.
func ReadTruth(path string, labels []task.Label) (truth map[string][]int, patients map[string]string, incomplete []string, err error) {
	return readTruth(path, labels)
}

// Reading is what a table says of cases for one classification label.
type Reading struct {
	Classes map[string]int       // per case; nil if the table has no column of classes
	Scores  map[string][]float64 // per case, one per class; nil if it has none
	Share   bool                 // the scores are probabilities
}

// scoreSuffix follows a label's name in the column of a reader's scores of class 1.
const scoreSuffix = " score"

// ReadReading reads a reader's table, such as predictions.csv: a column "case" and, per label, one of classes under its
// name or its name and " value"; and columns of the probability of each class, "LABEL P(CLASS)", or for a label of two
// classes one of scores of class 1 of any scale, "LABEL score". Cells may be empty.
func ReadReading(path string, labels []task.Label) ([]Reading, error) {
	t, err := csvfile.Read(path, caseColumn)
	if err != nil {
		return nil, err
	}
	caseAt, err := t.Column(caseColumn)
	if err != nil {
		return nil, err
	}
	if caseAt < 0 {
		return nil, fmt.Errorf("%s: no column \"case\" among %s", path, strings.Join(t.Header, ", "))
	}
	seen := map[string]bool{}
	for i, row := range t.Rows {
		id := row[caseAt]
		if id == "" {
			return nil, fmt.Errorf("%s: line %d names no case", path, t.Lines[i])
		}
		if seen[id] {
			return nil, fmt.Errorf("%s: case %s is there twice", path, id)
		}
		seen[id] = true
	}
	out := make([]Reading, len(labels))
	for k, l := range labels {
		classes, err := labelColumn(t, caseAt, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if classes != nil {
			out[k].Classes = map[string]int{}
			for i, class := range classes {
				out[k].Classes[t.Rows[i][caseAt]] = class
			}
		}
		if err := out[k].readScores(t, caseAt, l); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if out[k].Classes == nil && out[k].Scores == nil {
			return nil, fmt.Errorf("%s: no column %q (classes) or %q (scores) among %s", path, l.Name, l.Name+scoreSuffix, strings.Join(t.Header, ", "))
		}
	}
	return out, nil
}

// readScores reads the columns of probabilities, or of scores.
func (r *Reading) readScores(t *csvfile.Table, caseAt int, l task.Label) error {
	var columns []int
	for _, value := range l.Values {
		at, err := t.Column(fmt.Sprintf("%s P(%s)", l.Name, value))
		if err != nil {
			return err
		}
		if at >= 0 {
			columns = append(columns, at)
		}
	}
	switch {
	case len(columns) == len(l.Values):
		r.Share = true
	case len(columns) > 0:
		return fmt.Errorf("label %s: %d columns of probabilities, but %d classes", l.Name, len(columns), len(l.Values))
	case len(l.Values) != 2:
		return nil
	default:
		at, err := t.Column(l.Name + scoreSuffix)
		if err != nil || at < 0 {
			return err
		}
		columns = []int{at}
	}
	r.Scores = map[string][]float64{}
	for i, row := range t.Rows {
		var scores []float64
		for _, at := range columns {
			if row[at] == "" {
				break
			}
			v, ok := csvfile.Float(row[at])
			if !ok {
				return fmt.Errorf("line %d: column %q: %q is not a number", t.Lines[i], t.Header[at], row[at])
			}
			if r.Share && (v < 0 || v > 1) {
				return fmt.Errorf("line %d: column %q: %v is not a probability", t.Lines[i], t.Header[at], v)
			}
			scores = append(scores, v)
		}
		if len(scores) != len(columns) {
			continue
		}
		if len(columns) == 1 {
			scores = []float64{-scores[0], scores[0]}
		}
		r.Scores[row[caseAt]] = scores
	}
	return nil
}
