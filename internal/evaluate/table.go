package evaluate

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// TableFile is the table of all predictions in the folder that uc predict writes.
const TableFile = "predictions.json"

// Table is predictions.json.
type Table struct {
	Settings
	MadeFrom provenance.Sources `json:"made_from,omitempty"` // of all cases but for their files; nil in the tables of earlier versions
	Labels   []ListedLabel      `json:"classification_labels"`
	Cases    []PredictedCase    `json:"cases"`
	Failed   []task.FailedCase  `json:"failed"`
	Unused   []task.UnusedFile  `json:"unused"`
}

// Settings are how predictions came about.
type Settings struct {
	Task       string   `json:"task"`
	Model      string   `json:"model"`
	Folds      []string `json:"folds"`
	Checkpoint string   `json:"checkpoint"`
	TTA        bool     `json:"mirroring"`
	Precision  string   `json:"precision"` // of the network's activations in the last run; results that were kept may have been computed in another
}

// ListedLabel is a classification label in a JSON file.
type ListedLabel struct {
	Name    string   `json:"name"`
	Ordinal bool     `json:"ordinal"`
	Values  []string `json:"values"`
}

// PredictedCase is a case in a Table.
type PredictedCase struct {
	Case     string           `json:"case"`
	Labels   []PredictedLabel `json:"labels"`
	Files    string           `json:"files,omitempty"`  // digest of images and mask
	Result   string           `json:"result,omitempty"` // digest of the case's .npz
	Warnings []string         `json:"warnings"`         // in what the case is unlike the training cases

	Outlier *Outlier `json:"out_of_distribution,omitempty"`
}

// PredictedLabel is what was predicted of a case for one classification label.
type PredictedLabel struct {
	Name          string    `json:"name"`
	Class         int       `json:"class"`
	Value         string    `json:"value"`
	Probabilities []float64 `json:"probabilities"` // per class
	Logits        []float64 `json:"logits"`        // mean over networks and mirror images

	Calibrated []float64   `json:"calibrated,omitempty"` // probabilities after the temperature of the model
	Doubt      *LabelDoubt `json:"doubt,omitempty"`
}

// addDoubt takes calibrated probabilities and doubt over to a prediction.
func (c *PredictedCase) addDoubt(p *Prediction) {
	d := &Doubt{Outlier: c.Outlier}
	for at, l := range c.Labels {
		if len(l.Calibrated) == len(l.Probabilities) {
			if p.Calibrated == nil {
				p.Calibrated = make([][]float64, len(c.Labels))
			}
			p.Calibrated[at] = l.Calibrated
		}
		if l.Doubt != nil {
			d.Labels = append(d.Labels, *l.Doubt)
		}
	}
	if len(d.Labels) == len(c.Labels) {
		p.Doubt = d
	}
}

// check compares the table with the results next to it; results that were moved away are not missed.
func (t *Table) check(dir string) error {
	var other []string
	for _, c := range t.Cases {
		if c.Result == "" || !filepath.IsLocal(c.Case) {
			continue
		}
		b, err := infile.ReadFile(filepath.Join(dir, c.Case+".npz"), maxResultBytes)
		if err == nil && provenance.Digest(b) != c.Result {
			other = append(other, c.Case)
		}
	}
	if len(other) > 0 {
		return remedy.With(fmt.Errorf("%s is not of the results beside it: %d of its cases were predicted again since (%s); predict into this folder again, which keeps what is valid",
			filepath.Join(dir, TableFile), len(other), shortened(other)), remedy.Predict)
	}
	return nil
}

// ListLabels turns labels into what JSON files hold.
func ListLabels(labels []task.Label) []ListedLabel {
	listed := make([]ListedLabel, len(labels))
	for i, l := range labels {
		listed[i] = ListedLabel(l)
	}
	return listed
}

func labelsOf(listed []ListedLabel) []task.Label {
	labels := make([]task.Label, len(listed))
	for i, l := range listed {
		labels[i] = task.Label(l)
	}
	return labels
}

// ReadTable reads the predictions.json of a folder.
func ReadTable(dir string) (*Table, error) {
	path := filepath.Join(dir, TableFile)
	t := &Table{}
	switch err := jsonfile.Read(path, t); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, remedy.With(fmt.Errorf("no predictions: %w; give the folder that predictions were written to", err), remedy.Predict)
	case jsonfile.Damaged(err):
		return nil, fmt.Errorf("not a table of predictions: %w", err)
	case err != nil:
		return nil, err
	}
	if len(t.Labels) == 0 {
		return nil, remedy.With(fmt.Errorf("%s: names no classification labels; predict into this folder again, which keeps its results", path), remedy.Predict)
	}
	return t, nil
}

// TaskLabels are the classification labels of the table.
func (t *Table) TaskLabels() []task.Label { return labelsOf(t.Labels) }
