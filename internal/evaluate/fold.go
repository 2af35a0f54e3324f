package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/task"
)

const (
	// ValidationFolder is where the trainer leaves the validation of a fold, in the fold's folder, as nnU-Net names it.
	ValidationFolder = "validation_raw"
	casesFile        = "cases.json"
)

// maxResult is more numbers than the result of a case holds: logits and probabilities of a quarter of a million classes.
const maxResult = 1 << 19

// ErrNotValidated says that a folder holds no predictions of WriteFold.
var ErrNotValidated = errors.New("not validated")

// caseList is cases.json: what the .npz files beside it are. Files that it does not list do not count.
type caseList struct {
	Labels []ListedLabel `json:"classification_labels"`
	Cases  []listedCase  `json:"cases"`
}

type listedCase struct {
	Case    string `json:"case"`
	Fold    string `json:"fold"`
	Targets []int  `json:"targets"`
}

// WriteFold writes predictions with their targets to dir: <case>.npz (Arrays) and, once those are on disk, cases.json.
// dir is made if it is not there.
func WriteFold(dir string, labels []task.Label, predictions []Prediction) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	list := caseList{Labels: ListLabels(labels), Cases: []listedCase{}}
	for _, p := range predictions {
		if err := npz.Write(filepath.Join(dir, p.Case+".npz"), p.Arrays(), false); err != nil {
			return fmt.Errorf("case %s: %w", p.Case, err)
		}
		list.Cases = append(list.Cases, listedCase{Case: p.Case, Fold: p.Fold, Targets: p.Targets})
	}
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, casesFile), append(b, '\n'))
}

// Arrays are the arrays of a case's result file: logits_<i> and probabilities_<i> (classes) per classification label i,
// categorical (labels) the class of the highest probability and, where known, target (labels).
func (p Prediction) Arrays() []npz.Array {
	var out []npz.Array
	for i, v := range p.Logits {
		out = append(out, npz.Array{Name: fmt.Sprintf("logits_%d", i), Shape: []int{len(v)}, Data: v})
	}
	categorical := make([]int64, len(p.Probabilities))
	for i, v := range p.Probabilities {
		out = append(out, npz.Array{Name: fmt.Sprintf("probabilities_%d", i), Shape: []int{len(v)}, Data: v})
		categorical[i] = int64(Argmax(v))
	}
	out = append(out, npz.Array{Name: "categorical", Shape: []int{len(categorical)}, Data: categorical})
	if p.Targets != nil {
		targets := make([]int64, len(p.Targets))
		for i, t := range p.Targets {
			targets[i] = int64(t)
		}
		out = append(out, npz.Array{Name: "target", Shape: []int{len(targets)}, Data: targets})
	}
	return out
}

// ReadFold reads what WriteFold wrote. dir is the folder it wrote to, or the fold's folder above it.
// The error is ErrNotValidated if nothing was written there.
func ReadFold(dir string) ([]Prediction, error) {
	_, predictions, err := readFold(dir)
	return predictions, err
}

func readFold(dir string) ([]task.Label, []Prediction, error) {
	b, err := infile.ReadFile(filepath.Join(dir, casesFile), infile.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Join(dir, ValidationFolder)
		b, err = infile.ReadFile(filepath.Join(dir, casesFile), infile.MaxText)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: %w", ErrNotValidated, err)
	}
	if err != nil {
		return nil, nil, err
	}
	var list caseList
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, nil, fmt.Errorf("%s: not the case list of a validation: %w", filepath.Join(dir, casesFile), err)
	}
	labels := labelsOf(list.Labels)
	predictions := make([]Prediction, 0, len(list.Cases))
	for _, c := range list.Cases {
		path := filepath.Join(dir, c.Case+".npz")
		if !filepath.IsLocal(c.Case) {
			return nil, nil, fmt.Errorf("%s: case %q leaves the folder", filepath.Join(dir, casesFile), c.Case)
		}
		p, err := readCase(path, len(labels))
		if err != nil {
			return nil, nil, fmt.Errorf("case %s: %s: %w; validate the fold again (uc train ... -val)", c.Case, path, err)
		}
		p.Case, p.Fold, p.Targets = c.Case, c.Fold, c.Targets
		if err := p.check(labels); err != nil {
			return nil, nil, fmt.Errorf("case %s: %s: %w; validate the fold again (uc train ... -val)", c.Case, path, err)
		}
		predictions = append(predictions, p)
	}
	return labels, predictions, nil
}

func readCase(path string, labels int) (Prediction, error) {
	arrays, err := npz.ReadAtMost(path, maxResult)
	if err != nil {
		return Prediction{}, err
	}
	var p Prediction
	for i := range labels {
		logits, ok := arrays[fmt.Sprintf("logits_%d", i)]
		if !ok {
			return Prediction{}, fmt.Errorf("no array logits_%d", i)
		}
		probabilities, ok := arrays[fmt.Sprintf("probabilities_%d", i)]
		if !ok {
			return Prediction{}, fmt.Errorf("no array probabilities_%d", i)
		}
		p.Logits = append(p.Logits, logits.Float64s())
		p.Probabilities = append(p.Probabilities, probabilities.Float64s())
	}
	return p, nil
}
