package cli

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/defaults"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// Names of planners that the reference's -pl3d knows.
const (
	planner           = "ClassificationExperimentPlanner3D"
	plannerPretrained = "ExperimentPlanner3D_v21_Pretrained" // what the reference demands together with -overwrite_plans
)

type planFlags struct {
	dataRoot            string
	tasks               []string
	threads             int
	noPreprocessing     bool
	verify              bool
	planner             string
	overwritePlans      string
	overwriteIdentifier string
	keepCropped         bool
	noWait              bool
	report              bool
	memory              string
	allowOutliers       []string
	exclude             string
	json                bool

	shard string
	merge bool

	mapping             string
	split               string
	allowPatientOverlap bool
}

func planCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan-and-preprocess -t TASK [TASK ...]",
		Short: "Plan the preprocessing from the data and preprocess all cases",
		Long: `Reads the raw cases of a task, crops them to what is not zero and to the region of interest, measures the cohort
(sizes, spacings, intensities), plans the common spacing, size and batch size, and writes every case resampled,
normalised and padded. Where the task has no masks, masks of the whole image are written and dataset.json is completed
(the original is kept as original_dataset.json).

With --shard I/N, several processes on one file system divide the cases, in two rounds. Run every shard once: each measures its
cases. Then run --merge once, which makes the plans, as one process alone would. Then run every shard again: each preprocesses its
cases. Shards may run at the same time, in any order and again; what is done is known from the files, and a run without --shard does
what none has done.`,
		Example: `  uc plan-and-preprocess --data-root /path/to/data -t 1 -tf 4 -tl 4 --verify_dataset_integrity
  uc plan-and-preprocess -t 1 2 3 --memory 8G
  uc plan-and-preprocess -t 4 -no_pp
  uc plan-and-preprocess -t 4 --split leave-one-site-out
  uc plan-and-preprocess -t 4 --shard 2/7
  uc plan-and-preprocess -t 4 --merge`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPlan(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.StringSliceVarP(&f.tasks, "tasks", "t", nil, "`TASKS`, each an id (1, 001) or a full name (Task001_X); required")
	spell(fs, "tasks", "-t", "--task_ids", "--tasks")
	list(fs, "tasks")
	fs.IntVar(&f.threads, "tf", defaults.PlanWorkers, "at most `N` cases are worked on at the same time")
	spell(fs, "tf", "-tf")
	fs.BoolVar(&f.noPreprocessing, "no_pp", false, "plan only, do not preprocess")
	spell(fs, "no_pp", "-no_pp")
	fs.BoolVar(&f.verify, "verify_dataset_integrity", false, "first read every file to the end: images that are not zero "+
		"everywhere, masks that are not empty and hold declared values, no stray images. Headers and what is read while planning are always checked. "+
		"Also warns of scans that are there twice, also with another window, grid or position, and of labels that the headers predict")
	spell(fs, "verify_dataset_integrity", "--verify_dataset_integrity")
	fs.StringVar(&f.planner, "planner3d", planner, "`NAME` of the planner: the default, or "+plannerPretrained+
		" with -overwrite_plans")
	spell(fs, "planner3d", "-pl3d", "--planner3d")
	fs.StringVar(&f.overwritePlans, "overwrite_plans", "", "use the plans in `FILE` instead of planning, for pretrained weights")
	spell(fs, "overwrite_plans", "-overwrite_plans")
	fs.StringVar(&f.overwriteIdentifier, "overwrite_plans_identifier", "", "`ID` under which -overwrite_plans is stored; "+
		"train then takes -p nnUNetPlans_pretrained_ID")
	spell(fs, "overwrite_plans_identifier", "-overwrite_plans_identifier")

	fs.Int("tl", 8, "`N` threads for a low-resolution stage")
	spell(fs, "tl", "-tl")
	inert(fs, "tl", "there is one stage, at full resolution; -tf sets the number of workers")
	fs.String("planner2d", "None", "`NAME` of a 2D planner")
	spell(fs, "planner2d", "-pl2d", "--planner2d")
	inert(fs, "planner2d", "there is no 2D planning")
	fs.String("train", "False", "`BOOL`: training mode")
	spell(fs, "train", "--train")
	inert(fs, "train", "uc train trains")

	dataRootFlag(cmd, &f.dataRoot)
	fs.StringVar(&f.memory, "memory", "", "workers wait rather than use more than `SIZE` (8G, 500M; default 70% of the free memory)")
	fs.StringSliceVar(&f.allowOutliers, "allow-outliers", nil, "`CASES` (or all) to plan with although their spacing or extent is ten times the "+
		"cohort's median, or their header contradicts itself about the spacing")
	list(fs, "allow-outliers")
	fs.BoolVar(&f.keepCropped, "keep_cropped", false, "also write the cropped cases to nnUNet_cropped_data")
	fs.StringVar(&f.mapping, "mapping", "", "with --verify_dataset_integrity: table `FILE` (CSV) with the columns case and patient_id, as uc convert dicom writes it. Warns of patients "+
		"that have two names in dataset.json, and of labels that its columns on the scanner predict")
	fs.StringVar(&f.shard, "shard", "", "do part `I/N` of the cases only, while other processes do the others: first measure them, and when the plans are made preprocess them")
	fs.BoolVar(&f.merge, "merge", false, "make the plans from what the shards have measured, and stop")
	excludeFlag(cmd, &f.exclude)
	splitFlags(cmd, &f.split, &f.allowPatientOverlap)
	reportFlag(cmd, &f.report)
	noWaitFlag(cmd, &f.noWait)
	jsonFlag(cmd, &f.json)
	return cmd
}

// check finds mistakes that need no look at the data.
func (f *planFlags) check() error {
	if err := f.checkShard(); err != nil {
		return err
	}
	if err := checkSplit(f.split); err != nil {
		return err
	}
	if f.mapping != "" && !f.verify {
		return usagef("--mapping needs --verify_dataset_integrity, which compares it with the task")
	}
	if len(f.tasks) == 0 {
		return usagef("missing -t TASK")
	}
	if f.exclude != "" && len(f.tasks) > 1 {
		return usagef("--exclude names cases of one task, but -t names %d", len(f.tasks))
	}
	if f.threads < 1 {
		return usagef("flag -tf: %d is less than 1", f.threads)
	}
	switch {
	case f.planner != planner && f.planner != plannerPretrained:
		return usagef("unknown planner %q: only %s exists", f.planner, planner)
	case f.overwritePlans != "" && f.overwriteIdentifier == "":
		return usagef("-overwrite_plans needs -overwrite_plans_identifier")
	case f.overwritePlans == "" && (f.overwriteIdentifier != "" || f.planner == plannerPretrained):
		return usagef("missing -overwrite_plans FILE")
	}
	return nil
}

// checkShard refuses what a shard cannot do, since it sees a part of the cohort.
func (f *planFlags) checkShard() error {
	if f.shard == "" {
		return nil
	}
	if _, err := shard.Parse(f.shard); err != nil {
		return usagef("flag --shard: %v", err)
	}
	for _, other := range []struct {
		name  string
		given bool
	}{{"--merge", f.merge}, {"--verify_dataset_integrity", f.verify}, {"--report", f.report}, {"--split", f.split != ""}} {
		if other.given {
			return usagef("%s concerns all cases, and does not go with --shard; give it in the run with --merge or in a run without both", other.name)
		}
	}
	return nil
}

// planned is what one task's planning brought.
type planned struct {
	Task         string         `json:"task"`
	Cases        int            `json:"cases"`
	Labels       []string       `json:"classification_labels"`
	RealMasks    bool           `json:"real_masks"`
	PlansFile    string         `json:"plans_file"`
	Stage        plan.StagePlan `json:"stage"`
	Modalities   []modality     `json:"modalities"`
	Preprocessed string         `json:"preprocessed,omitempty"` // folder of the cases
	Report       string         `json:"report,omitempty"`       // page of the cohort
	Seconds      float64        `json:"seconds"`
}

// modality is how one modality is normalised.
type modality struct {
	Name          string `json:"name"`
	Normalisation string `json:"normalization"`     // as in the plans
	MaskOnly      bool   `json:"use_mask_for_norm"` // only voxels inside the mask take part
}

// normalisation says in words how a modality is normalised.
func (m modality) normalisation() string {
	switch m.Normalisation {
	case plan.NormCT:
		return "CT (clipped to the cohort's 0.5 and 99.5 percentiles, the cohort's mean and sd)"
	case plan.NormNone:
		return "none (voxels stay as they are)"
	}
	if m.MaskOnly {
		return "z-score of each case, within the mask"
	}
	return "z-score of each case"
}

func runPlan(cmd *cobra.Command, f *planFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	var budget int64
	if f.memory != "" {
		var err error
		if budget, err = memory.Parse(f.memory); err != nil {
			return usagef("flag --memory: %v", err)
		}
	}
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return err
	}
	var tasks []*task.Task
	for _, id := range f.tasks { // look at every dataset.json before the work begins
		t, err := task.Load(folders, id)
		if err != nil {
			return err
		}
		tasks = append(tasks, t)
	}
	if err := checkOutliers(f.allowOutliers, tasks); err != nil {
		return err
	}
	results := []planned{}
	for _, t := range tasks {
		began := time.Now()
		p, err := planTask(cmd, t, f, budget)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if p == nil {
			if !f.json {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: shard %s has measured its cases; when all shards have, run uc plan-and-preprocess -t %s --merge, then the shards again\n", t.Name, f.shard, t.Name)
			}
			continue
		}
		r := planned{
			Task: t.Name, Cases: len(t.Dataset.Cases) - len(p.ExcludedCases), RealMasks: p.RealMasks, Stage: p.Stage(),
			PlansFile: filepath.Join(folders.PreprocessedTask(t.Name), plan.File(plansIdentifier(f))),
			Seconds:   time.Since(began).Round(time.Millisecond).Seconds(),
		}
		for i, name := range p.Modalities {
			r.Modalities = append(r.Modalities, modality{name, p.NormalizationSchemes[i], p.UseMaskForNorm[i]})
		}
		for _, l := range p.Labels {
			r.Labels = append(r.Labels, l.Name)
		}
		if !f.noPreprocessing && !f.merge {
			r.Preprocessed = folders.Stage(t.Name, p.DataIdentifier)
		}
		if f.report {
			planned, err := task.Load(folders, t.Name) // with the masks that planning may have made
			if err != nil {
				return err
			}
			if r.Report, err = writeCohortPage(cmd, planned.Without(p.ExcludedCases)); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		results = append(results, r)
		if !f.json {
			r.print(cmd.OutOrStdout())
		}
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), results)
	}
	return nil
}

// checkOutliers refuses names of --allow-outliers that no task has a case of.
func checkOutliers(names []string, tasks []*task.Task) error {
	known := map[string]bool{task.AllowAll: true}
	for _, t := range tasks {
		for _, c := range t.Dataset.Cases {
			known[c.ID] = true
		}
	}
	for _, name := range names {
		if !known[name] {
			return usagef("flag --allow-outliers: no case %q in dataset.json", name)
		}
	}
	return nil
}

// planTask takes one task through masks, checks, plans and preprocessing.
func planTask(cmd *cobra.Command, t *task.Task, f *planFlags, budget int64) (*plan.Plans, error) {
	d := displayOf(cmd)
	defer d.Close()
	d.Note("%s: %d cases", t.Name, len(t.Dataset.Cases))
	for _, w := range t.Dataset.Warnings {
		d.Warn("%s", w)
	}
	left, err := excluded(f.exclude, t, d)
	if err != nil {
		return nil, err
	}
	leaks, err := newLeakSearch(f)
	if err != nil {
		return nil, err
	}
	budget = cmp.Or(budget, memory.Default())
	defer limitHeap(budget)()
	o := cohort.Options{
		Workers: f.threads, Memory: budget, NoPreprocess: f.noPreprocessing || f.merge, KeepCropped: f.keepCropped, NoWait: f.noWait,
		OverwritePlans: f.overwritePlans, OverwriteIdentifier: f.overwriteIdentifier,
		Verify: f.verify, Watch: leaks.watcher.Watch, AllowOutliers: f.allowOutliers, Exclude: left,
	}
	if f.shard != "" {
		part, err := shard.Parse(f.shard)
		if err != nil {
			return nil, err
		}
		return cohort.PreprocessShard(cmd.Context(), t, part, o, d)
	}
	p, err := cohort.Preprocess(cmd.Context(), t, o, d)
	if err != nil {
		return nil, err
	}
	t = t.Without(left)
	if err := leaks.report(cmd.Context(), t, f, d); err != nil {
		return nil, err
	}
	return p, drawSplits(cmd.Context(), t, f, d)
}

// plansIdentifier is the name under which plans are stored, as uc train -p takes it.
func plansIdentifier(f *planFlags) string {
	if f.overwritePlans != "" {
		return plan.PretrainedIdentifier(f.overwriteIdentifier)
	}
	return plan.Identifier
}

func (r *planned) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %d cases, labels %s\n", r.Task, r.Cases, strings.Join(r.Labels, ", "))
	fmt.Fprintf(w, "  image size %s at %.4g x %.4g x %.4g mm, batch size %d\n",
		volume.ShapeText(r.Stage.ImageSize),
		r.Stage.CurrentSpacing[0], r.Stage.CurrentSpacing[1], r.Stage.CurrentSpacing[2], r.Stage.BatchSize)
	for i, m := range r.Modalities {
		fmt.Fprintf(w, "  normalisation of modality %d (%s): %s\n", i, m.Name, m.normalisation())
	}
	fmt.Fprintf(w, "  plans: %s\n", r.PlansFile)
	if r.Preprocessed != "" {
		fmt.Fprintf(w, "  cases: %s\n", r.Preprocessed)
	}
	if r.Report != "" {
		fmt.Fprintf(w, "  report: %s\n", r.Report)
	}
}
