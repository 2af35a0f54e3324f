package evaluate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

const (
	// ValidationFolder is where the trainer leaves the validation of a fold, in the fold's folder, as nnU-Net names it.
	ValidationFolder = "validation_raw"
	casesFile        = "cases.json"
)

// maxResult is more numbers than the result of a case holds: logits and probabilities of a quarter of a million
// classes.
const maxResult = 1 << 19

// maxResultBytes bounds the file that holds them.
const maxResultBytes = 16 * maxResult

// ErrNotValidated says that a folder holds no predictions of WriteFold.
var ErrNotValidated = errors.New("not validated")

// ErrMixed says that a result was written by another validation than the list next to it.
var ErrMixed = errors.New("the file is of another validation than")

// Fold is the validation of a fold: the predictions of one network.
type Fold struct {
	Labels      []task.Label
	Predictions []Prediction
	Origin      *Origin // nil in the files of earlier versions
}

// Origin is what the predictions of a fold were made from.
type Origin struct {
	Checkpoint string           `json:"checkpoint"` // name
	Weights    string           `json:"weights"`    // digest of the network, as checkpoint.Digest
	Network    *provenance.Fold `json:"network"`    // what the network was made from; null if its checkpoint does not say
}

// caseList is cases.json: what the .npz files next to it are. Files that it does not list do not count.
type caseList struct {
	Labels   []ListedLabel `json:"classification_labels"`
	MadeFrom *Origin       `json:"made_from,omitempty"`
	Cases    []listedCase  `json:"cases"`
}

type listedCase struct {
	Case    string `json:"case"`
	Fold    string `json:"fold"`
	Targets []int  `json:"targets"`
	Files   string `json:"files,omitempty"`  // digest of images and mask
	Result  string `json:"result,omitempty"` // digest of the .npz
}

// WriteFold writes predictions with their targets to dir: <case>.npz (Arrays) and, once those are on disk, cases.json.
// dir is made if it is not there. What is there already is not written again.
func WriteFold(dir string, f *Fold) error {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	list := caseList{Labels: ListLabels(f.Labels), MadeFrom: f.Origin, Cases: []listedCase{}}
	for _, p := range f.Predictions {
		b, err := npz.Encode(p.Arrays(), "")
		if err == nil {
			err = atomicfile.WriteIfNew(filepath.Join(dir, p.Case+".npz"), b)
		}
		if err != nil {
			return fmt.Errorf("case %s: %w", p.Case, err)
		}
		list.Cases = append(list.Cases, listedCase{Case: p.Case, Fold: p.Fold, Targets: p.Targets, Files: p.Files, Result: provenance.Digest(b)})
	}
	return jsonfile.WriteIfNew(filepath.Join(dir, casesFile), list, jsonfile.Indent)
}

// Validations are the folders in a fold's folder that hold validations.
func Validations(foldDir string) ([]string, error) {
	entries, err := os.ReadDir(foldDir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(foldDir, e.Name(), casesFile)); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Arrays are the arrays of a case's result file: logits_<i> and probabilities_<i> (classes) per classification label i,
// categorical (labels) the class of the highest probability and, where known, target (labels), members_<i> (folds,
// mirror images, classes; float32), the logits that logits_<i> are the mean of, and features (folds, features;
// float32).
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
	out = append(out, p.Members.arrays()...)
	if len(p.Features) > 0 {
		out = append(out, npz.Array{Name: featuresArray, Shape: []int{len(p.Features), len(p.Features[0])}, Data: slices.Concat(p.Features...)})
	}
	return out
}

// ReadFold reads what WriteFold wrote. dir is the folder it wrote to, or the fold's folder above it. The error is
// ErrNotValidated if nothing was written there, and ErrMixed if a file is not of the validation that cases.json lists.
func ReadFold(dir string) (*Fold, error) {
	var list caseList
	err := jsonfile.Read(filepath.Join(dir, casesFile), &list)
	if errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Join(dir, ValidationFolder)
		err = jsonfile.Read(filepath.Join(dir, casesFile), &list)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", ErrNotValidated, err)
	case jsonfile.Damaged(err):
		return nil, fmt.Errorf("not the case list of a validation: %w", err)
	case err != nil:
		return nil, err
	}
	f := &Fold{Labels: labelsOf(list.Labels), Predictions: make([]Prediction, 0, len(list.Cases)), Origin: list.MadeFrom}
	for _, c := range list.Cases {
		path := filepath.Join(dir, c.Case+".npz")
		if !filepath.IsLocal(c.Case) {
			return nil, fmt.Errorf("%s: case %q leaves the folder", filepath.Join(dir, casesFile), c.Case)
		}
		p, err := readCase(path, len(f.Labels), c.Result)
		if err == nil {
			p.Case, p.Fold, p.Targets, p.Files = c.Case, c.Fold, c.Targets, c.Files
			err = p.check(f.Labels)
		}
		if err != nil {
			return nil, remedy.With(fmt.Errorf("case %s: %s: %w; validate the fold again", c.Case, path, err), remedy.Train{Fold: c.Fold, Mode: remedy.Validate})
		}
		f.Predictions = append(f.Predictions, p)
	}
	return f, nil
}

// readCase reads the file of a case, which must have the given digest unless that is empty.
func readCase(path string, labels int, digest string) (Prediction, error) {
	b, err := infile.ReadFile(path, maxResultBytes)
	if err != nil {
		return Prediction{}, err
	}
	if digest != "" && provenance.Digest(b) != digest {
		return Prediction{}, fmt.Errorf("%w %s", ErrMixed, casesFile)
	}
	arrays, _, err := npz.Decode(b, maxResult)
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
	p.ReadMembers(arrays)
	return p, nil
}
