package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/task"
)

type importFlags struct {
	results    string
	task       string
	dataset    string
	masks      string
	folds      []string
	checkpoint string
	json       bool
}

// Values of --masks.
const (
	masksReal      = "real"
	masksGenerated = "generated"
)

func importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import-model DIR -o RESULTS",
		Short: "Bring a model of the Python reference into a folder of results",
		Long: `Turns a model folder of the Python package universalclassifier (plans.pkl, fold_*/model_final_checkpoint.model) into one of
uc: plans as JSON, weights as safetensors. DIR may also be an artifact or a folder of results with one model. The files are read
as data; nothing in them is run. The reference records neither the names of labels nor whether masks of the region of interest
were real: --dataset-json and --masks tell.`,
		Example: `  uc import-model artifact -o /path/to/data/trained_models --dataset-json /path/to/dataset.json
  uc import-model /python/trained_models/nnUNet/3d_fullres/Task004_X/ClassifierTrainer__UniversalClassifierPlansv1.0 -o trained_models --masks real`,
		Args: exactArgs("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return runImport(cmd, args[0], &f) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.results, "output", "o", "", "`RESULTS`, the folder of trained models (RESULTS_FOLDER, or trained_models of a data root); required")
	fs.StringVarP(&f.task, "task_name", "t", "", "full `NAME` of the task, Task004_X (default: that of the model's folder)")
	fs.StringVar(&f.dataset, "dataset-json", "", "`FILE` with the names of labels and values: dataset.json of the task")
	fs.StringVar(&f.masks, "masks", "", "`ORIGIN` of the masks in training: real (cases need one) or generated (cases have none)")
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` to import, numbers or all (default: the trained ones)")
	list(fs, "folds")
	fs.StringVar(&f.checkpoint, "chk", checkpoint.Final, "`NAME` of the checkpoint")
	jsonFlag(cmd, &f.json)
	return cmd
}

// imported is what uc import-model --json prints.
type imported struct {
	Task   string   `json:"task"`
	Folder string   `json:"folder"`
	Folds  []string `json:"folds"`
	Labels []string `json:"labels"`
	Masks  string   `json:"masks"` // real, generated or unknown
}

func runImport(cmd *cobra.Command, dir string, f *importFlags) error {
	if f.results == "" {
		return usagef("missing -o RESULTS")
	}
	if f.masks != "" && f.masks != masksReal && f.masks != masksGenerated {
		return usagef("flag --masks: %q is neither %s nor %s", f.masks, masksReal, masksGenerated)
	}
	if _, ok := task.ParseName(f.task); f.task != "" && !ok {
		return usagef("flag -t: %q is not a full name such as Task004_X", f.task)
	}
	if err := checkFolds(f.folds); err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	m, err := model.Open(dir, model.Options{Folds: f.folds, Checkpoint: f.checkpoint, Tell: f.tell}, d)
	if err != nil {
		return err
	}
	if m.Plans.TaskName == "" {
		return fmt.Errorf("%s does not say which task the model is of; name it with -t TaskXXX_Name", m.Dir)
	}
	to := task.Folders{Results: f.results}.Model(m.Plans.TaskName, task.DefaultTrainer, task.DefaultPlans)
	if err := m.Convert(cmd.Context(), to, d); err != nil {
		return err
	}
	d.Close()
	r := imported{Task: m.Plans.TaskName, Folder: to, Folds: m.Names(), Masks: "unknown"}
	for _, l := range m.Plans.Labels {
		r.Labels = append(r.Labels, l.Name)
	}
	switch {
	case m.Plans.MasksUnknown:
	case m.Plans.RealMasks:
		r.Masks = masksReal
	default:
		r.Masks = masksGenerated
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), r)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: folds %s, labels %s, masks %s\n%s\n", r.Task, strings.Join(r.Folds, " "), strings.Join(r.Labels, ", "), r.Masks, r.Folder)
	return err
}

// tell gives the model what the flags say and its files do not.
func (f *importFlags) tell(p *plan.Plans) error {
	if f.task != "" {
		p.TaskName = f.task
	}
	if f.dataset != "" {
		listing, err := task.ReadListing(f.dataset, "")
		if err != nil {
			return err
		}
		if err := reference.Name(p, listing); err != nil {
			return fmt.Errorf("%s does not belong to the model: %w", f.dataset, err)
		}
	}
	switch f.masks {
	case masksReal:
		reference.SetMasks(p, task.MasksReal)
	case masksGenerated:
		reference.SetMasks(p, task.MasksGenerated)
	}
	return nil
}
