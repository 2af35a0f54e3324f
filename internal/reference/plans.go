// Package reference reads and writes the files of the Python package universalclassifier: plans, checkpoints, splits
// and case properties, as data. Nothing in them is run.
package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/torch"
)

// PlansFile is the plans in a model folder.
const PlansFile = "plans.pkl"

// PreprocessedPlans is the name of the plans in a preprocessed folder.
func PreprocessedPlans(identifier string) string { return identifier + "_plans_3D.pkl" }

// ReadPlans reads a pickle of plans. The reference keeps neither the names of labels nor the origin of the masks in
// them: labels get made-up names (label_0 with the values 0, 1, ...) and Plans.MasksUnknown is set; see Name. The name
// of the task is that of the preprocessed folder that the plans mention, if there is one.
func ReadPlans(file string) (*plan.Plans, error) {
	v, err := torch.ReadPickle(file)
	if err != nil {
		return nil, err
	}
	p, err := plansOf(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// LoadPlans reads plans in either form: JSON of this program or a pickle of the reference.
func LoadPlans(file string) (*plan.Plans, error) {
	pickled, err := torch.IsPickle(file)
	if err != nil {
		return nil, err
	}
	if pickled {
		return ReadPlans(file)
	}
	return plan.Load(file)
}

func plansOf(v any) (*plan.Plans, error) {
	d, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not plans: a dictionary was expected")
	}
	for _, key := range []string{"plans_per_stage", "modalities", "num_classification_classes", "normalization_schemes"} {
		if _, ok := d[key]; !ok {
			return nil, fmt.Errorf("not plans of universalclassifier: %s is missing", key)
		}
	}
	dropUndefinedIntensities(d)
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("the plans hold a value that is not finite where a number is needed: %w", err)
	}
	p := new(plan.Plans)
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, fmt.Errorf("not plans of universalclassifier: %w", err)
	}
	p.ListOfNpzFiles = baseNames(p.ListOfNpzFiles)
	if name := path.Base(strings.ReplaceAll(p.PreprocessedDataFolder, `\`, "/")); isTask(name) {
		p.TaskName = name
	}
	p.PreprocessedDataFolder = ""
	p.RealMasks, p.MasksUnknown = false, true
	p.Labels = nil
	for i, n := range p.NumClassificationClasses {
		if n < 1 || n > 1<<14 {
			return nil, fmt.Errorf("label %d has %d classes", i, n)
		}
		label := task.Label{Name: madeUpName(i)}
		for class := range n {
			label.Values = append(label.Values, fmt.Sprint(class))
		}
		p.Labels = append(p.Labels, label)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return p, nil
}

func isTask(name string) bool {
	_, ok := task.ParseName(name)
	return ok
}

// baseNames cuts the folders of another machine off.
func baseNames(files []string) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = path.Base(strings.ReplaceAll(f, `\`, "/"))
	}
	return out
}

// dropUndefinedIntensities removes intensity statistics that are not finite (JSON has no such numbers), if no modality
// is normalised by them.
func dropUndefinedIntensities(d map[string]any) {
	properties, ok := d["dataset_properties"].(map[string]any)
	if !ok || finite(properties["intensityproperties"]) {
		return
	}
	schemes, _ := d["normalization_schemes"].(map[string]any)
	for _, s := range schemes {
		if s == plan.NormCT {
			return
		}
	}
	properties["intensityproperties"] = nil
}

func finite(v any) bool {
	switch v := v.(type) {
	case float64:
		return numeric.Finite(v)
	case map[string]any:
		for _, item := range v {
			if !finite(item) {
				return false
			}
		}
	case []any:
		for _, item := range v {
			if !finite(item) {
				return false
			}
		}
	}
	return true
}

func madeUpName(label int) string { return fmt.Sprintf("label_%d", label) }

// MadeUpNames reports whether the labels of p have the names that ReadPlans made up.
func MadeUpNames(p *plan.Plans) bool { return len(p.Labels) > 0 && p.Labels[0].Name == madeUpName(0) }

// Name gives the labels of p the names and values of a dataset.json, and records the origin of the masks as far as it
// is known there.
func Name(p *plan.Plans, l *task.Listing) error {
	if len(l.Labels) != len(p.NumClassificationClasses) {
		return fmt.Errorf("%d classification labels, but the plans have %d", len(l.Labels), len(p.NumClassificationClasses))
	}
	for i, label := range l.Labels {
		if n := p.NumClassificationClasses[i]; len(label.Values) != n {
			return fmt.Errorf("label %q has %d values, but label %d of the plans has %d", label.Name, len(label.Values), i, n)
		}
	}
	p.Labels = l.Labels
	SetMasks(p, l.Masks)
	return nil
}

// SetMasks records where the masks of the training came from.
func SetMasks(p *plan.Plans, origin task.MaskOrigin) {
	p.RealMasks, p.MasksUnknown = origin == task.MasksReal, origin == task.MasksUnknown
}
