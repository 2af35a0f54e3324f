// Package task is the nnU-Net raw layout: where a task's folders lie, what its dataset.json says and whether it is
// true.
package task

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/remedy"
)

// The names that the reference gives its only trainer, plans and network.
const (
	DefaultTrainer        = "ClassifierTrainer"
	ReferenceTrainer      = "ClassifierTrainerReference" // the reference's recipe, number for number, under a name of its own
	DefaultPlans          = "UniversalClassifierPlansv1.0"
	DefaultNetwork        = "3d_fullres"
	DefaultDataIdentifier = "universal_classifier_plans_v1.0"
)

// Names of files within a task's folder.
const (
	DatasetFile  = "dataset.json"
	OriginalFile = "original_dataset.json" // dataset.json as it was before masks were generated
	ImagesDir    = "imagesTr"
	LabelsDir    = "labelsTr"
)

// Folders are the three roots that everything lies under.
type Folders struct {
	Raw          string // holds nnUNet_raw_data and nnUNet_cropped_data
	Preprocessed string
	Results      string // holds nnUNet/3d_fullres
}

// ResolveFolders returns D/raw, D/preprocessed and D/trained_models for the data root D, or, if dataRoot is empty, what
// the three environment variables of nnU-Net say. The folders need not exist.
func ResolveFolders(dataRoot string) (Folders, error) {
	if dataRoot != "" {
		root, err := filepath.Abs(dataRoot)
		if err != nil {
			return Folders{}, err
		}
		return Folders{filepath.Join(root, "raw"), filepath.Join(root, "preprocessed"), filepath.Join(root, "trained_models")}, nil
	}
	var f Folders
	var missing []string
	for _, v := range []struct {
		name string
		to   *string
	}{{env.RawData, &f.Raw}, {env.Preprocessed, &f.Preprocessed}, {env.Results, &f.Results}} {
		value := env.Get(v.name)
		if value == "" {
			missing = append(missing, v.name)
			continue
		}
		abs, err := filepath.Abs(value)
		if err != nil {
			return Folders{}, fmt.Errorf("%s: %w", v.name, err)
		}
		*v.to = abs
	}
	if len(missing) > 0 {
		return Folders{}, remedy.With(fmt.Errorf("no data root: name one, or set %s (not set: %s)",
			strings.Join([]string{env.RawData, env.Preprocessed, env.Results}, ", "), strings.Join(missing, ", ")), remedy.Set{Option: remedy.DataRoot})
	}
	return f, nil
}

// RawTasks is the folder of all raw tasks.
func (f Folders) RawTasks() string { return filepath.Join(f.Raw, "nnUNet_raw_data") }

// RawTask is the folder with the task's images and dataset.json.
func (f Folders) RawTask(name string) string { return filepath.Join(f.RawTasks(), name) }

// CroppedTask is the folder of the task's cropped cases (written with --keep_cropped only).
func (f Folders) CroppedTask(name string) string {
	return filepath.Join(f.Raw, "nnUNet_cropped_data", name)
}

// PreprocessedTask is the folder with the task's plans, fingerprint and splits.
func (f Folders) PreprocessedTask(name string) string { return filepath.Join(f.Preprocessed, name) }

// Stage is the folder of the task's preprocessed cases. dataIdentifier comes from the plans.
func (f Folders) Stage(name, dataIdentifier string) string {
	return filepath.Join(f.PreprocessedTask(name), dataIdentifier+"_stage0")
}

// Models is the folder of the trained tasks.
func (f Folders) Models() string { return filepath.Join(f.Results, "nnUNet", DefaultNetwork) }

// Model is the folder of a trained task: plans.json and one folder per fold.
func (f Folders) Model(name, trainer, plansID string) string {
	return filepath.Join(f.Models(), name, trainer+"__"+plansID)
}

// Fold is the folder of one trained fold: "0" is fold_0, "all" is all.
func (f Folders) Fold(name, trainer, plansID, fold string) string {
	return filepath.Join(f.Model(name, trainer, plansID), FoldDir(fold))
}
