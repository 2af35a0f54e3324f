// Package plan turns the fingerprint of a cohort into the plans that preprocessing, training and prediction follow.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// Names that the reference fixes in its planner.
const (
	Identifier         = task.DefaultPlans
	DataIdentifier     = task.DefaultDataIdentifier
	preprocessorName   = "UniversalClassifierPreprocessor"
	fileSuffix         = "_plans_3D.json"
	pretrainedPlans    = "nnUNetPlans_pretrained_"
	pretrainedDataName = "nnUNetData_pretrained_"
)

// Normalisation schemes.
const (
	NormCT    = "CT"     // clip to the cohort's percentiles, the cohort's mean and sd
	NormNone  = "noNorm" // left as it is
	NormNonCT = "nonCT"  // z-score of the case
)

// File is the name of the plans in the folder of a preprocessed task.
func File(identifier string) string { return identifier + fileSuffix }

// PretrainedIdentifier names the plans that follow another task's plans under the given identifier.
func PretrainedIdentifier(identifier string) string { return pretrainedPlans + identifier }

// Plans say how a task is preprocessed and trained. JSON field names are those of the reference; fields the reference
// lacks come last.
type Plans struct {
	NumStages                int                      `json:"num_stages"`
	NumModalities            int                      `json:"num_modalities"`
	Modalities               indexed.List[string]     `json:"modalities"`
	NormalizationSchemes     indexed.List[string]     `json:"normalization_schemes"`
	DatasetProperties        *fingerprint.Fingerprint `json:"dataset_properties"`
	ListOfNpzFiles           []string                 `json:"list_of_npz_files"` // relative to PreprocessedDataFolder
	OriginalSpacings         [][3]float64             `json:"original_spacings"`
	OriginalSizes            [][3]int                 `json:"original_sizes"` // after cropping
	PreprocessedDataFolder   string                   `json:"preprocessed_data_folder"`
	NumClasses               int                      `json:"num_classes"` // ROI labels without the background
	AllClasses               []int                    `json:"all_classes"`
	NumClassificationClasses []int                    `json:"num_classification_classes"`
	AllClassificationLabels  [][]int                  `json:"all_classification_labels"`
	UseMaskForNorm           indexed.List[bool]       `json:"use_mask_for_norm"`
	TransposeForward         [3]int                   `json:"transpose_forward"`
	TransposeBackward        [3]int                   `json:"transpose_backward"`
	DataIdentifier           string                   `json:"data_identifier"`
	PlansPerStage            indexed.List[StagePlan]  `json:"plans_per_stage"`
	PreprocessorName         string                   `json:"preprocessor_name"`

	TaskName             string       `json:"task_name"`
	OriginalOrientations []string     `json:"original_orientations"` // per case: directions in which x, y and z run, such as RAS
	Labels               []task.Label `json:"-"`                     // written as classification_labels, in the form of dataset.json
	RealMasks            bool         `json:"real_masks"`            // false if the masks were generated and say foreground everywhere
	// MasksUnknown is set for plans of the reference, which do not record RealMasks: cases are taken with and without a
	// mask.
	MasksUnknown bool `json:"masks_unknown,omitempty"`
	// ExcludedCases are cases of dataset.json that were left out of the plans and are not trained on.
	ExcludedCases []string `json:"excluded_cases,omitempty"`
}

// StagePlan is the one stage of the plans. Axes are in the order after TransposeForward.
type StagePlan struct {
	BatchSize       int        `json:"batch_size"`
	ImageSize       [3]int     `json:"image_size"`
	CurrentSpacing  [3]float64 `json:"current_spacing"`  // mm, that cases are resampled to
	OriginalSpacing [3]float64 `json:"original_spacing"` // mm, before the voxel budget
	DoDummy2D       bool       `json:"do_dummy_2D_data_aug"`
}

// Stage is the plans' only stage.
func (p *Plans) Stage() StagePlan { return p.PlansPerStage[0] }

// InputChannels is the number of channels that the network sees: the modalities and the mask.
func (p *Plans) InputChannels() int { return len(p.Modalities) + 1 }

// Outputs is the number of classes of each classification label.
func (p *Plans) Outputs() []int {
	out := make([]int, len(p.Labels))
	for i, l := range p.Labels {
		out[i] = len(l.Values)
	}
	return out
}

// label is a classification label as dataset.json spells it.
type label struct {
	Name    string               `json:"name"`
	Ordinal bool                 `json:"ordinal"`
	Values  indexed.List[string] `json:"values"`
}

// plainPlans is Plans without its own JSON methods.
type plainPlans Plans

// MarshalJSON writes the fields and classification_labels.
func (p *Plans) MarshalJSON() ([]byte, error) {
	labels := make([]label, len(p.Labels))
	for i, l := range p.Labels {
		labels[i] = label{l.Name, l.Ordinal, l.Values}
	}
	return json.Marshal(struct {
		*plainPlans
		Labels []label `json:"classification_labels"`
	}{(*plainPlans)(p), labels})
}

// UnmarshalJSON reads what MarshalJSON writes, unchecked.
func (p *Plans) UnmarshalJSON(b []byte) error {
	var labels struct {
		Labels []label `json:"classification_labels"`
	}
	if err := json.Unmarshal(b, (*plainPlans)(p)); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &labels); err != nil {
		return err
	}
	p.Labels = nil
	for _, l := range labels.Labels {
		p.Labels = append(p.Labels, task.Label{Name: l.Name, Ordinal: l.Ordinal, Values: l.Values})
	}
	return nil
}

// Save writes the plans as JSON, whole or not at all.
func (p *Plans) Save(path string) error { return jsonfile.Write(path, p, jsonfile.LikeNNUNet) }

// Load reads plans and checks every number that later code relies on.
func Load(path string) (*Plans, error) {
	p := new(Plans)
	if err := loadJSON(path, p); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, remedy.With(fmt.Errorf("%s: %w; the file is damaged or not a plans file of this program: plan the task again", path, err), remedy.Plan{})
	}
	if err := p.fits(memory.Available()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func loadJSON(path string, v any) error {
	err := jsonfile.Read(path, v)
	switch {
	case errors.Is(err, infile.ErrTooLarge):
		return fmt.Errorf("%w; this is not a plans file", err)
	case jsonfile.Damaged(err):
		return fmt.Errorf("%w; plans are JSON (a pickle of the Python package is not read: its settings must be written as JSON first)", err)
	}
	return err
}
