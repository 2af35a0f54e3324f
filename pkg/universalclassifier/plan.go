package universalclassifier

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/defaults"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
)

// PreprocessOptions say how a task is preprocessed; the zero value is the default.
type PreprocessOptions struct {
	Workers  int   // cases worked on at a time, default 8
	Memory   int64 // bytes that all workers together may take, default 70 % of what is free
	Verify   bool  // first read every file to the end and check its voxels
	Progress Progress
	Logger   *slog.Logger

	// AllowOutliers are cases to plan with although their spacing or extent is ten times the cohort's median, or their
	// header contradicts itself about the spacing; "all" stands for every case.
	AllowOutliers []string
}

// Plan is how a task is preprocessed and trained, by the look of its cohort.
type Plan struct {
	Task       string // full name
	Cases      int
	Labels     []Label
	Modalities []Modality
	RealMasks  bool // the region of interest was drawn; otherwise it is the whole image

	ImageSize [3]int     // voxels that the network sees; axes as in Axes
	Spacing   [3]float64 // mm that cases are resampled to; axes as in Axes
	Axes      [3]int     // axis d of a preprocessed case is axis Axes[d] (0 is z, 1 is y, 2 is x) of the image
	BatchSize int        // cases per iteration of the training

	File string // the plans in full
	Dir  string // folder of the preprocessed cases; Plan makes none
}

// Modality is how the images of a modality are normalised.
type Modality struct {
	Name string
	// Normalization is "CT" (clipped to the cohort's 0.5 and 99.5 percentiles, the cohort's mean and standard deviation),
	// "nonCT" (z-score of each case) or "noNorm" (as it is).
	Normalization string
	MaskOnly      bool // only voxels inside the mask take part in the z-score, and the others become 0
}

// Plan reads the raw task (by id or full name), takes its fingerprint and writes the plans, but preprocesses no case.
func (w *Workspace) Plan(ctx context.Context, taskName string, o PreprocessOptions) (*Plan, error) {
	return w.preprocess(ctx, taskName, o, true)
}

// Preprocess plans the raw task (by id or full name) and preprocesses its cases. Those that are preprocessed already,
// from the same files with the same plans, are left alone. If no case has a mask of the region of interest, masks of
// the whole image are written and the task's dataset.json is extended accordingly.
func (w *Workspace) Preprocess(ctx context.Context, taskName string, o PreprocessOptions) (*Plan, error) {
	return w.preprocess(ctx, taskName, o, false)
}

func (w *Workspace) preprocess(ctx context.Context, taskName string, o PreprocessOptions, planOnly bool) (*Plan, error) {
	t, err := task.Load(w.folders, taskName)
	if err != nil {
		return nil, err
	}
	if o.Workers == 0 {
		o.Workers = defaults.PlanWorkers
	}
	r := reporter(o.Progress, o.Logger, "task", t.Name)
	for _, warning := range t.Dataset.Warnings {
		r.Warn("%s", warning)
	}
	p, err := cohort.Preprocess(ctx, t, cohort.Options{
		Workers: o.Workers, Memory: o.Memory, NoPreprocess: planOnly, Verify: o.Verify, AllowOutliers: o.AllowOutliers,
	}, r)
	if err != nil {
		return nil, public(err)
	}
	return w.plan(t, p), nil
}

func (w *Workspace) plan(t *task.Task, p *plan.Plans) *Plan {
	stage := p.Stage()
	out := &Plan{
		Task: t.Name, Cases: len(t.Dataset.Cases), Labels: labels(p.Labels), RealMasks: p.RealMasks,
		ImageSize: stage.ImageSize, Spacing: stage.CurrentSpacing, Axes: p.TransposeForward, BatchSize: stage.BatchSize,
		File: filepath.Join(w.folders.PreprocessedTask(t.Name), plan.File(plan.Identifier)),
		Dir:  w.folders.Stage(t.Name, p.DataIdentifier),
	}
	for i, name := range p.Modalities {
		out.Modalities = append(out.Modalities, Modality{name, p.NormalizationSchemes[i], p.UseMaskForNorm[i]})
	}
	return out
}

// Label is a classification label with the names of its values; value i is class i.
type Label struct {
	Name   string
	Values []string
}

func labels(of []task.Label) []Label {
	var out []Label
	for _, l := range of {
		out = append(out, Label{l.Name, l.Values})
	}
	return out
}
