package reference

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/torch"
	"github.com/universal-classifier/uc/internal/weights"
)

// finalCheckpoint is the one that the reference predicts with.
const finalCheckpoint = "model_final_checkpoint"

// Fold is a trained fold to be written.
type Fold struct {
	Name    string
	Weights *weights.StateDict // with the reference's unused layer
	// TrainLosses and ValLosses are the means of each epoch of its training; empty if unknown.
	TrainLosses, ValLosses []float64
}

// WriteModel writes the folds as a model folder of the reference (dir is .../TaskXXX_Name/ClassifierTrainer__PLANS):
// plans.pkl and per fold model_final_checkpoint.model and .model.pkl. The momenta of the optimiser are not among them.
func WriteModel(ctx context.Context, dir string, p *plan.Plans, folds []Fold, r progress.Reporter) error {
	plans := pickledPlans(p)
	for _, fold := range folds {
		if err := ctx.Err(); err != nil {
			return err
		}
		foldDir := filepath.Join(dir, task.FoldDir(fold.Name))
		if err := os.MkdirAll(foldDir, 0o755); err != nil {
			return err
		}
		file := CheckpointFile(foldDir, finalCheckpoint)
		if err := torch.Write(file, checkpointOf(fold)); err != nil {
			return err
		}
		var number any = fold.Name
		if n, ok := foldNumber(fold.Name); ok {
			number = n
		}
		// The arguments of the trainer: plans, fold, output folder, preprocessed folder, unpack, deterministic, mixed
		// precision. The paths say where a training would look; prediction does not go there.
		preprocessed := "preprocessed/" + p.TaskName
		init := torch.Tuple{preprocessed + "/" + PreprocessedPlans(task.DefaultPlans), number,
			"trained_models/nnUNet/" + task.DefaultNetwork + "/" + p.TaskName + "/" + filepath.Base(dir), preprocessed, true, false, true}
		err := torch.WritePickle(file+".pkl", torch.OrderedDict{
			{Key: "init", Value: init},
			{Key: "name", Value: task.DefaultTrainer},
			{Key: "class", Value: "<class 'universalclassifier.training.network_training.ClassifierTrainer.ClassifierTrainer'>"},
			{Key: "plans", Value: plans},
		})
		if err != nil {
			return err
		}
		r.Advance(fold.Name)
	}
	return torch.WritePickle(filepath.Join(dir, PlansFile), plans) // last: with it the folder is a model
}

func foldNumber(name string) (n int, ok bool) {
	_, err := fmt.Sscanf(name, "%d", &n)
	return n, err == nil
}

// checkpointOf is what the reference's trainer saves.
func checkpointOf(f Fold) torch.Dict {
	parameters := []any{}
	for _, name := range f.Weights.Names() {
		if !strings.HasSuffix(name, "running_mean") && !strings.HasSuffix(name, "running_var") && !strings.HasSuffix(name, "num_batches_tracked") {
			parameters = append(parameters, len(parameters))
		}
	}
	group := torch.Dict{{Key: "lr", Value: i3d.ReferenceLR}, {Key: "momentum", Value: i3d.ReferenceMomentum}, {Key: "dampening", Value: 0}, {Key: "weight_decay", Value: i3d.ReferenceWeightDecay},
		{Key: "nesterov", Value: true}, {Key: "maximize", Value: false}, {Key: "foreach", Value: nil}, {Key: "differentiable", Value: false}, {Key: "params", Value: parameters}}
	return torch.Dict{
		{Key: "epoch", Value: len(f.TrainLosses)},
		{Key: "state_dict", Value: torch.StateDict(f.Weights)},
		{Key: "optimizer_state_dict", Value: torch.Dict{{Key: "state", Value: torch.Dict{}}, {Key: "param_groups", Value: []any{group}}}},
		{Key: "lr_scheduler_state_dict", Value: nil},
		{Key: "plot_stuff", Value: torch.Tuple{list(f.TrainLosses), list(f.ValLosses), []any{}, []any{}}},
		{Key: "best_stuff", Value: torch.Tuple{nil, nil, nil}},
	}
}

// pickledPlans are p with the types that the reference's planner gives them.
func pickledPlans(p *plan.Plans) torch.Dict {
	stage := p.Stage()
	var labels, counts []any
	for _, n := range p.Outputs() {
		var of []int
		for c := range n {
			of = append(of, c)
		}
		counts, labels = append(counts, n), append(labels, list(of))
	}
	files := []any{}
	for _, f := range p.ListOfNpzFiles {
		files = append(files, path.Join("preprocessed", p.TaskName, path.Base(f)))
	}
	var properties torch.Dict
	if f := p.DatasetProperties; f != nil {
		reductions := torch.OrderedDict{}
		for _, id := range sortedKeys(f.SizeReductions) {
			reductions = append(reductions, torch.Item{Key: id, Value: f.SizeReductions[id]})
		}
		properties = torch.Dict{
			{Key: "all_sizes", Value: sizes(f.AllSizes)},
			{Key: "all_spacings", Value: spacings(f.AllSpacings)},
			{Key: "all_classes", Value: list(f.AllClasses)},
			{Key: "all_classification_labels", Value: classes(f.AllClassificationLabels)},
			{Key: "modalities", Value: torch.Dict(keyed(f.Modalities))},
			{Key: "intensityproperties", Value: intensities(f.IntensityProperties)},
			{Key: "size_reductions", Value: reductions},
			{Key: "max_dimensions", Value: list(f.MaxDimensions[:])},
		}
	} else {
		properties = torch.Dict{{Key: "intensityproperties", Value: nil}}
	}
	return torch.Dict{
		{Key: "num_stages", Value: 1},
		{Key: "num_modalities", Value: len(p.Modalities)},
		{Key: "modalities", Value: torch.Dict(keyed(p.Modalities))},
		{Key: "normalization_schemes", Value: torch.OrderedDict(keyed(p.NormalizationSchemes))},
		{Key: "dataset_properties", Value: properties},
		{Key: "list_of_npz_files", Value: files},
		{Key: "original_spacings", Value: spacings(p.OriginalSpacings)},
		{Key: "original_sizes", Value: sizes(p.OriginalSizes)},
		{Key: "preprocessed_data_folder", Value: "preprocessed/" + p.TaskName},
		{Key: "num_classes", Value: p.NumClasses},
		{Key: "all_classes", Value: list(p.AllClasses)},
		{Key: "num_classification_classes", Value: counts},
		{Key: "all_classification_labels", Value: labels},
		{Key: "use_mask_for_norm", Value: torch.OrderedDict(keyed(p.UseMaskForNorm))},
		{Key: "transpose_forward", Value: list(p.TransposeForward[:])},
		{Key: "transpose_backward", Value: list(p.TransposeBackward[:])},
		{Key: "data_identifier", Value: p.DataIdentifier},
		{Key: "plans_per_stage", Value: torch.Dict{{Key: 0, Value: torch.Dict{
			{Key: "batch_size", Value: stage.BatchSize},
			{Key: "image_size", Value: list(stage.ImageSize[:])},
			{Key: "current_spacing", Value: torch.Array(stage.CurrentSpacing[:])},
			{Key: "original_spacing", Value: torch.Array(stage.OriginalSpacing[:])},
			{Key: "do_dummy_2D_data_aug", Value: stage.DoDummy2D},
		}}}},
		{Key: "preprocessor_name", Value: p.PreprocessorName},
	}
}

func list[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// keyed gives values the keys 0, 1, ...
func keyed[T any](values []T) []torch.Item {
	out := make([]torch.Item, len(values))
	for i, v := range values {
		out[i] = torch.Item{Key: i, Value: v}
	}
	return out
}

func classes(labels [][]int) []any {
	out := make([]any, len(labels))
	for i, l := range labels {
		out[i] = list(l)
	}
	return out
}

func sizes(all [][3]int) []any {
	out := make([]any, len(all))
	for i, s := range all {
		out[i] = torch.Tuple(list(s[:]))
	}
	return out
}

func spacings(all [][3]float64) []any {
	out := make([]any, len(all))
	for i, s := range all {
		out[i] = torch.Array(s[:])
	}
	return out
}

// intensities are the statistics per modality and case, nil if there are none.
func intensities(all indexed.List[*fingerprint.Intensity]) any {
	if len(all) == 0 {
		return nil
	}
	out := torch.OrderedDict{}
	for i, m := range all {
		local := torch.OrderedDict{}
		for _, id := range sortedKeys(m.LocalProps) {
			local = append(local, torch.Item{Key: id, Value: statistics(m.LocalProps[id])})
		}
		of := append(torch.OrderedDict{{Key: "local_props", Value: local}}, statistics(m.Statistics)...)
		out = append(out, torch.Item{Key: i, Value: of})
	}
	return out
}

func statistics(s fingerprint.Statistics) torch.OrderedDict {
	return torch.OrderedDict{
		{Key: "median", Value: s.Median}, {Key: "mean", Value: s.Mean}, {Key: "sd", Value: s.SD}, {Key: "mn", Value: s.Min}, {Key: "mx", Value: s.Max},
		{Key: "percentile_99_5", Value: s.Percentile99}, {Key: "percentile_00_5", Value: s.Percentile00},
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
