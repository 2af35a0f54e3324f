package paper

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/chart"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/reproduce"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
	"github.com/universal-classifier/uc/internal/words"
)

// Facts are what the program knows of a study.
type Facts struct {
	Report    *evaluate.Report // of the cross-validation
	Lock      *reproduce.Lock
	Plans     *plan.Plans
	Listing   *task.Snapshot // of dataset.json; nil where it is not there
	Trainings []chart.Training

	recipe train.Recipe // of the first fold
}

// Gather reads what the files of the model say next to report and lock. listing may be nil.
func Gather(modelDir string, r *evaluate.Report, l *reproduce.Lock, listing *task.Snapshot) (*Facts, error) {
	f := &Facts{Report: r, Lock: l, Listing: listing}
	if len(l.Folds) == 0 {
		return nil, fmt.Errorf("%s: no folds", modelDir)
	}
	if err := json.Unmarshal(l.Folds[0].Recipe, &f.recipe); err != nil {
		return nil, fmt.Errorf("fold %s: recipe: %w", l.Folds[0].Fold, err)
	}
	for _, fold := range l.Folds {
		dir := filepath.Join(modelDir, task.FoldDir(fold.Fold))
		if f.Plans == nil {
			p, err := plan.Load(filepath.Join(dir, checkpoint.PlansFile))
			if err != nil {
				return nil, err
			}
			f.Plans = p
		}
		h, err := train.ReadHistory(dir)
		if err != nil {
			return nil, err
		}
		if h != nil {
			f.Trainings = append(f.Trainings, chart.Training{Fold: fold.Fold, TrainLoss: h.TrainLosses, ValLoss: h.ValLosses, AUC: h.AUC()})
		}
	}
	return f, nil
}

// cohort says how many cases there are, and of how many patients where that is known.
func (f *Facts) cohort() string {
	text := words.CountOf(f.Report.Cases, "case", "cases")
	if f.Report.Patients > 0 {
		text += " of " + words.CountOf(f.Report.Patients, "patient", "patients")
	}
	return text
}

// classes lists the classes of a label with their cases: "absent (24), present (24)".
func classes(l evaluate.LabelReport) string {
	parts := make([]string, len(l.ClassNames))
	for i, name := range l.ClassNames {
		n := 0
		for _, predicted := range l.Confusion[i] {
			n += predicted
		}
		parts[i] = fmt.Sprintf("%s (%d)", quoted(name), n)
	}
	return strings.Join(parts, ", ")
}

// seeds names the seeds of the folds.
func (f *Facts) seeds() string {
	var seeds []string
	for _, fold := range f.Lock.Folds {
		var r struct {
			Seed uint64 `json:"seed"`
		}
		if json.Unmarshal(fold.Recipe, &r) == nil {
			if text := strconv.FormatUint(r.Seed, 10); !slices.Contains(seeds, text) {
				seeds = append(seeds, text)
			}
		}
	}
	if len(seeds) == 1 {
		return "seed " + seeds[0]
	}
	return "seeds " + list(seeds) + ", by fold"
}

// each names a property of the folds once.
func (f *Facts) each(of func(reproduce.Fold) string) string {
	var values []string
	for _, fold := range f.Lock.Folds {
		if v := of(fold); v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return list(values)
}

// list joins names: "a", "a and b", "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// missing are the folds that have no results.
func (f *Facts) missing() string {
	if len(f.Report.MissingFolds) == 0 {
		return ""
	}
	return "folds without results: " + strings.Join(f.Report.MissingFolds, ", ")
}

// has reports whether any label satisfies the condition.
func (f *Facts) has(of func(evaluate.LabelReport) bool) bool {
	return slices.ContainsFunc(f.Report.Labels, of)
}

func (f *Facts) calibrated() bool {
	return f.has(func(l evaluate.LabelReport) bool { return l.Calibration != nil && l.Calibration.After != nil })
}

func (f *Facts) calibration() bool {
	return f.has(func(l evaluate.LabelReport) bool { return l.Calibration != nil })
}

func (f *Facts) subgroups() bool {
	return f.has(func(l evaluate.LabelReport) bool { return len(l.Subgroups) > 0 })
}

func (f *Facts) decision() bool {
	return f.has(func(l evaluate.LabelReport) bool {
		return slices.ContainsFunc(l.Values, func(v evaluate.ValueReport) bool { return v.DecisionCurve != nil })
	})
}

func (f *Facts) thresholds() bool { return len(f.rules()) > 0 }

// rules are those that thresholds were chosen by.
func (f *Facts) rules() []string {
	var rules []string
	for _, l := range f.Report.Labels {
		for _, v := range l.Values {
			for _, t := range v.Thresholds {
				if rule := quoted(t.Rule); !slices.Contains(rules, rule) {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules
}

// calibrationMethod is the method of the intervals of calibration.
func (f *Facts) calibrationMethod() string {
	for _, l := range f.Report.Labels {
		if l.Calibration != nil && l.Calibration.Method != "" {
			return l.Calibration.Method
		}
	}
	return ""
}

func (f *Facts) baselines() bool {
	return f.has(func(l evaluate.LabelReport) bool { return len(l.Baselines) > 0 })
}

// methodsOfAUC are the methods of the intervals of the areas.
func (f *Facts) methodsOfAUC() []string {
	var methods []string
	for _, l := range f.Report.Labels {
		for _, v := range l.Values {
			if m := v.AUC.Method; m != "" && !slices.Contains(methods, m) {
				methods = append(methods, m)
			}
		}
	}
	return methods
}

// modalities are those of the plans.
func (f *Facts) modalities() string {
	names := make([]string, len(f.Plans.Modalities))
	for i, m := range f.Plans.Modalities {
		names[i] = quoted(m)
	}
	return list(names)
}
