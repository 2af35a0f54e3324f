package doubt

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/outlier"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/task"
)

// Files in the folder of a model, next to its plans.
const (
	File         = "calibration.json"
	FeaturesFile = "calibration_features.npz"
)

// version of the files; others are not read.
const version = 1

// MaxBytes bounds each file: features of more folds than there are, of outlier.MaxReference cases each.
const MaxBytes = 1 << 30

// maxFeatures bounds the numbers in FeaturesFile.
const maxFeatures = MaxBytes / 4

// ErrOther is wrapped where the files are of other networks than those at hand.
var ErrOther = errors.New("it was made from other networks")

func arrayName(fold string) string { return "features_" + fold }

// Write writes the model to dir: the features first, so that what names them never lies there alone.
func (m *Model) Write(dir string) error {
	if m.Features != nil {
		var arrays []npz.Array
		for _, f := range m.Features.Folds {
			arrays = append(arrays, npz.Array{Name: arrayName(f.Fold), Shape: []int{len(f.rows), len(f.rows[0])}, Data: slices.Concat(f.rows...)})
		}
		b, err := npz.Encode(arrays, "")
		if err != nil {
			return err
		}
		if err := atomicfile.WriteIfNew(filepath.Join(dir, FeaturesFile), b); err != nil {
			return err
		}
		m.Features.File = provenance.Digest(b)
	}
	return jsonfile.WriteIfNew(filepath.Join(dir, File), m, jsonfile.Indent)
}

// Open reads what the model in dir knows, for networks given by the digest of each fold. The error is fs.ErrNotExist
// where nothing is kept, and ErrOther where it was learned from other networks: it must not be applied to these.
func Open(dir string, labels []task.Label, networks map[string]string) (*Model, error) {
	path := filepath.Join(dir, File)
	m := &Model{}
	if err := jsonfile.Read(path, m); err != nil {
		return nil, err
	}
	if err := m.check(labels); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var others []string
	for fold, digest := range networks {
		if m.MadeFrom[foldKey(fold)] != digest {
			others = append(others, fold)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		return nil, fmt.Errorf("%s: %w than those of folds %s", path, ErrOther, strings.Join(others, ", "))
	}
	if m.Features != nil {
		if err := m.readFeatures(dir); err != nil {
			m.Features = nil
			m.Missing = append(m.Missing, fmt.Sprintf("whether a case is unusual by the features of the network is not known: %v", err))
		}
	}
	return m, nil
}

// check refuses what does not fit the labels, or was damaged.
func (m *Model) check(labels []task.Label) error {
	if m.Version != version {
		return fmt.Errorf("version %d, expected %d", m.Version, version)
	}
	if len(m.Labels) != len(labels) {
		return fmt.Errorf("%d labels, but the model has %d", len(m.Labels), len(labels))
	}
	for i, l := range m.Labels {
		if l.Name != labels[i].Name || !slices.Equal(l.Values, labels[i].Values) {
			return fmt.Errorf("label %s with classes %s, but the model has %s with %s", l.Name, strings.Join(l.Values, ", "), labels[i].Name, strings.Join(labels[i].Values, ", "))
		}
		if l.Temperature != nil && !(float64(*l.Temperature) > 0 && !math.IsInf(float64(*l.Temperature), 0)) {
			return fmt.Errorf("label %s: temperature %v", l.Name, *l.Temperature)
		}
		for _, p := range l.Parts {
			if len(p.Scores) != len(l.Values) || len(p.Folds) == 0 {
				return fmt.Errorf("label %s: scores of %d classes, expected %d", l.Name, len(p.Scores), len(l.Values))
			}
			for _, of := range p.Scores {
				if !slices.IsSorted(of) {
					return fmt.Errorf("label %s: its scores are not sorted", l.Name)
				}
			}
		}
	}
	if r := m.Measures; r != nil {
		for _, of := range r.Measures {
			if !(of.Spread > 0) {
				return fmt.Errorf("%s: spread %v", of.Name, of.Spread)
			}
		}
		if !slices.IsSorted(r.Scores) || len(r.Scores) == 0 {
			return errors.New("the scores of the measures are not sorted")
		}
	}
	if f := m.Features; f != nil {
		if !slices.IsSorted(f.Distances) {
			return errors.New("the distances of the features are not sorted")
		}
		for _, of := range f.Folds {
			if !(of.Median > 0) {
				return fmt.Errorf("features of fold %s: median distance %v", of.Fold, of.Median)
			}
		}
	}
	return nil
}

// readFeatures reads the features that the model was learned from.
func (m *Model) readFeatures(dir string) error {
	path := filepath.Join(dir, FeaturesFile)
	b, err := infile.ReadFile(path, MaxBytes)
	if err != nil {
		return err
	}
	if provenance.Digest(b) != m.Features.File {
		return fmt.Errorf("%s is not that of the %s beside it", path, File)
	}
	arrays, _, err := npz.Decode(b, maxFeatures)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for i := range m.Features.Folds {
		f := &m.Features.Folds[i]
		a := arrays[arrayName(f.Fold)]
		values, ok := a.Data.([]float32)
		if !ok || len(a.Shape) != 2 || a.Shape[0] != f.Cases || f.Cases > outlier.MaxReference || a.Shape[1] < 1 || len(values) != a.Shape[0]*a.Shape[1] {
			return fmt.Errorf("%s: no features of fold %s", path, f.Fold)
		}
		for first := 0; first < len(values); first += a.Shape[1] {
			f.rows = append(f.rows, values[first:first+a.Shape[1]])
		}
	}
	return nil
}
