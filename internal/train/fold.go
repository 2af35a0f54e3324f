package train

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// fold is what a job works on: the plans of its task, its preprocessed cases and how they are split.
type fold struct {
	*job
	plans    *plan.Plans
	config   i3d.Config
	data     *dataset.Dataset
	split    *split.ChosenSplit
	patients map[string]string // by case, where they are declared
	members  [2][]int          // indices into data of the training and the validation cases
	origin   *provenance.Fold  // what a network trained on it now is made from, but for the recipe
}

// openFold opens the preprocessed cases and splits them.
func (j *job) openFold(ctx context.Context) (*fold, error) {
	lock, err := j.lockCases(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	f := &fold{job: j}
	if f.plans, err = j.readPlans(); err != nil { // those of a planning that has ended meanwhile
		return nil, err
	}
	f.config = i3d.Config{InChannels: f.plans.InputChannels(), Outputs: f.plans.Outputs()}
	if err := f.openCases(); err != nil {
		return nil, err
	}
	err = errors.Join(f.checkCases(), lock.Release())
	if err == nil {
		err = f.recordOrigin(ctx)
	}
	if err == nil && !j.o.CompressedData {
		err = f.data.Map(ctx, f.log)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// openCases splits the preprocessed cases and opens those of this fold.
func (f *fold) openCases() error {
	dir := f.o.Folders.PreprocessedTask(f.o.Task)
	stage := f.o.Folders.Stage(f.o.Task, f.plans.DataIdentifier)
	ids, err := dataset.Cases(stage)
	if err != nil {
		return err
	}
	if missing := f.notPreprocessed(ids); len(missing) > 0 {
		return task.NotPreprocessed(remedy.With(fmt.Errorf("%s: %d of %d planned cases are not preprocessed (%s); preprocess the task",
			stage, len(missing), len(f.plans.ListOfNpzFiles), words.Some(missing)), f.replan()))
	}
	drawing, err := split.DrawingFor(f.o.Folders, f.o.Task, f.o.Split)
	if err != nil {
		return err
	}
	drawing.AllowPatientOverlap = f.o.AllowPatientOverlap
	except := f.foldDir // a fold that is retrained may be split differently
	if f.o.Continue || f.o.ValidationOnly {
		except = ""
	}
	drawing.Trained = split.TrainedFolds(f.o.Folders, f.o.Task, except)
	if f.split, err = split.ChooseSplit(dir, f.o.Fold, ids, drawing); err != nil {
		return err
	}
	f.patients = drawing.Patients()
	used := slices.Compact(slices.Sorted(slices.Values(slices.Concat(f.split.Train, f.split.Val))))
	f.data, err = dataset.Open(stage, used)
	return err
}

func (f *fold) close() {
	if f.data != nil {
		f.data.Close()
	}
}

// notPreprocessed are the planned cases that are not among ids.
func (f *fold) notPreprocessed(ids []string) []string {
	var missing []string
	for _, file := range f.plans.ListOfNpzFiles {
		id := strings.TrimSuffix(path.Base(file), ".npz")
		if !slices.Contains(ids, id) {
			missing = append(missing, id)
		}
	}
	return missing
}

// checkCases compares the stored cases with the plans.
func (f *fold) checkCases() error {
	size := f.plans.Stage().ImageSize
	if got, want := f.data.Shape(), [4]int{f.config.InChannels, size[0], size[1], size[2]}; got != want {
		return remedy.With(fmt.Errorf("the cases are stored with shape %v, the plans want %v; preprocess the task again", got, want), f.replan())
	}
	index := map[string]int{}
	for i := range f.data.Len() {
		id, targets := f.data.ID(i), f.data.Targets(i)
		index[id] = i
		if len(targets) != len(f.config.Outputs) {
			return remedy.With(task.CaseErrorf(id, "stored with %d labels, the plans want %d; preprocess the task again", len(targets), len(f.config.Outputs)), f.replan())
		}
		for k, class := range targets {
			if class < 0 || class >= f.config.Outputs[k] {
				return remedy.With(task.CaseErrorf(id, "class %d of label %q, expected 0 to %d; preprocess the task again", class, f.plans.Labels[k].Name, f.config.Outputs[k]-1), f.replan())
			}
		}
	}
	for half, ids := range [][]string{f.split.Train, f.split.Val} {
		for _, id := range ids {
			f.members[half] = append(f.members[half], index[id])
		}
	}
	return nil
}

// count returns how many cases of a part have each class of label k.
func (f *fold) count(half feed.Phase, k int) []int {
	counts := make([]int, len(f.plans.Labels[k].Values))
	for _, i := range f.members[half] {
		counts[f.data.Targets(i)[k]]++
	}
	return counts
}

// classTable lists per label and class the cases of both parts.
func (f *fold) classTable() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "label\tclass\ttraining\tvalidation\n")
	for k, label := range f.plans.Labels {
		train, val := f.count(feed.Training, k), f.count(feed.Validating, k)
		for v, value := range label.Values {
			fmt.Fprintf(w, "%s\t%d %s\t%d\t%d\n", label.Name, v, value, train[v], val[v])
		}
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}

// missingClasses reports every class that a part of the fold lacks.
func (f *fold) missingClasses() []string {
	var missing []string
	for k, label := range f.plans.Labels {
		for half, name := range []string{"training", "validation"} {
			for v, n := range f.count(feed.Phase(half), k) {
				if n == 0 {
					missing = append(missing, missingClass(label, v, name, f.o.Fold))
				}
			}
		}
	}
	return missing
}

func missingClass(label task.Label, class int, part, fold string) string {
	consequence := "the network cannot learn it"
	if part == "validation" {
		consequence = "its AUC is not defined there"
	}
	return fmt.Sprintf("the %s part of fold %s has no case of label %q with class %d (%s): %s; %s in the preprocessed folder may be edited",
		part, fold, label.Name, class, label.Values[class], consequence, split.SplitsFile)
}
