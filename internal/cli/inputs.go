package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/task"
)

// inputFlags say which cases a trained model is applied to, with which of its networks, and on what: what predicting
// and explaining have in common.
type inputFlags struct {
	dataRoot   string
	images     []string
	masks      string
	out        string
	task       string
	model      modelFlags
	folds      []string
	checkpoint string
	noTTA      bool
	overwrite  bool
	noWait     bool
	memory     string
	device     string
	gpu        open.GPU
	threads    int
	json       bool
}

// withoutResult is what both commands answer about what they found, but have no result of.
type withoutResult struct {
	Failed []task.FailedCase `json:"failed"`
	Unused []task.UnusedFile `json:"unused"` // images that belong to no case
}

// newWithoutResult adds to each case and file what there is to type about it.
func newWithoutResult(h hints, failed []task.FailedCase, unused []task.UnusedFile) withoutResult {
	r := withoutResult{slices.Clone(failed), slices.Clone(unused)}
	for i, c := range failed {
		r.Failed[i].Error = h.add(c.Error, c.For)
	}
	for i, u := range unused {
		r.Unused[i].Reason = h.add(u.Reason, u.For)
	}
	return r
}

// text is the end of the line that counts cases.
func (r *withoutResult) text() string {
	text := ""
	if len(r.Failed) > 0 {
		text = fmt.Sprintf(", %d failed", len(r.Failed))
	}
	if len(r.Unused) > 0 {
		text += fmt.Sprintf(", %d images not used", len(r.Unused))
	}
	return text
}

// join adds the failed cases to broken, the error about the inputs, which tells of those among found.
func (r *withoutResult) join(broken error, found []task.Problem, cases int, done string) error {
	var names []string
	for _, c := range r.Failed {
		if !slices.ContainsFunc(found, func(p task.Problem) bool { return p.Case == c.Case }) {
			names = append(names, c.Case)
		}
	}
	if len(names) == 0 {
		return broken
	}
	return errors.Join(broken, fmt.Errorf("%d of %d cases could not be %s, see the warnings above: %s", len(names), cases, done, strings.Join(names, ", ")))
}

// inputWords are what the flags say differently in each command.
type inputWords struct {
	more      string // further kinds of input
	out       string // what is written
	noTTA     string
	overwrite string // the command's verb
	done      string // its participle
}

// add adds the flags to a command.
func (f *inputFlags) add(cmd *cobra.Command, w inputWords) {
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.images, "input_folder", "i", nil, "`DIR` with the images (.nii, .nii.gz, .mha, .mhd), named CASE_0000.nii.gz, CASE_0001.nii.gz, ... by modality; "+
		"one such image for that case alone; or the files of one case, of any name, one per modality in order; "+w.more+"required")
	spell(fs, "input_folder", "-i", "--input_folder")
	list(fs, "input_folder")
	fs.StringVarP(&f.masks, "seg_folder", "s", "", "`DIR` with the masks of the region of interest, named CASE.nii.gz; or the mask of the one case")
	spell(fs, "seg_folder", "-s", "--seg_folder")
	fs.StringVarP(&f.out, "output_folder", "o", "", "`DIR` for the "+w.out+"; required")
	spell(fs, "output_folder", "-o", "--output_folder")
	fs.StringVarP(&f.task, "task_name", "t", "", "`TASK`, an id (4, 004) or a full name (Task004_X); required unless --model names a folder")
	spell(fs, "task_name", "-t", "--task_name")
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` to average, numbers or all (default: the trained ones)")
	spell(fs, "folds", "-f", "--folds")
	list(fs, "folds")
	f.model.addFolder(cmd)
	fs.StringVar(&f.checkpoint, "chk", checkpoint.Final, "`NAME` of the checkpoint")
	spell(fs, "chk", "-chk")
	fs.BoolVar(&f.noTTA, "disable_tta", false, w.noTTA)
	spell(fs, "disable_tta", "--disable_tta")
	fs.BoolVar(&f.overwrite, "overwrite_existing", false, w.overwrite+" again what already has a result")
	spell(fs, "overwrite_existing", "--overwrite_existing")
	dataRootFlag(cmd, &f.dataRoot)
	fs.StringVar(&f.memory, "memory", "", "cases that need more than `SIZE` (8G, 500M; default 70% of the free memory) are reported and not "+w.done)
	deviceFlags(cmd, &f.device, &f.threads, &f.gpu)
	noWaitFlag(cmd, &f.noWait)
	jsonFlag(cmd, &f.json)
}

// check finds mistakes that need no look at the data.
func (f *inputFlags) check() error {
	switch {
	case len(f.images) == 0 || slices.Contains(f.images, ""):
		return usagef("missing -i IMAGES")
	case f.out == "":
		return usagef("missing -o OUT")
	}
	if err := f.model.checkFolder(f.task); err != nil {
		return err
	}
	return checkFolds(f.folds)
}

// namedCases are the cases of the folders by the names of their files, what was found wrong, and the error about that,
// which concerns all where nothing is found.
func (f *inputFlags) namedCases(modalities int, wantMasks bool) ([]task.Case, []task.Problem, error) {
	cases, err := task.PredictionInputs(f.images, f.masks, modalities, wantMasks, f.out)
	var invalid *task.ValidationError
	if errors.As(err, &invalid) {
		return cases, invalid.Problems, err
	}
	return cases, nil, err
}

// budget is --memory in bytes, 0 if it is not given.
func (f *inputFlags) budget() (int64, error) {
	if f.memory == "" {
		return 0, nil
	}
	budget, err := memory.Parse(f.memory)
	if err != nil {
		return 0, usagef("flag --memory: %v", err)
	}
	return budget, nil
}
