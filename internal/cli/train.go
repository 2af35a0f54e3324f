package cli

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

func trainCommand() *cobra.Command {
	var o train.Options
	var dataRoot string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "train NETWORK TRAINER TASK FOLD",
		Short: "Train one fold of the cross-validation and validate it",
		Long: `Trains the network on the preprocessed cases of a task and validates it on the fold's held-out cases.
NETWORK is 3d_fullres. TRAINER is ClassifierTrainer, whose recipe learns on small and large cohorts without tuning and whose length
follows the number of cases, or ClassifierTrainerReference, the recipe of the Python package, number for number.
TASK is an id (4, 004) or a full name (Task004_X), FOLD a number
(0 to 4 of the cross-validation; higher numbers are further random 80:20 splits) or all (trains on every case). With
--split leave-one-site-out there is a fold per site, in the order of their names.
Ctrl-C stops after the current iteration and keeps a checkpoint; -c resumes from there.`,
		Example: `  uc train --data-root /path/to/data 3d_fullres ClassifierTrainer 4 0
  uc train 3d_fullres ClassifierTrainer 4 0 -c
  uc train 3d_fullres ClassifierTrainer Task004_Hippocampus all --epochs 30 --iterations 50
  uc train 3d_fullres ClassifierTrainer 4 0 --validation_only
  uc train 3d_fullres ClassifierTrainer 4 0 --split stratified`,
		Args: exactArgs("NETWORK", "TRAINER", "TASK", "FOLD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m := modelFlags{network: args[0], trainer: args[1], plans: o.Plans}
			if err := cmp.Or(m.check(), checkFold(args[3]), checkTrainNumbers(cmd.Flags()), checkSplit(o.Split)); err != nil {
				return err
			}
			folders, err := foldersOf(dataRoot)
			if err != nil {
				return err
			}
			if o.Task, err = task.FindName(folders, args[2]); err != nil {
				return err
			}
			o.Folders, o.Trainer, o.Fold = folders, args[1], args[3]
			return runTrain(cmd, o, asJSON)
		},
	}
	fs := cmd.Flags()
	referenceTrainFlags(fs, &o)
	dataRootFlag(cmd, &dataRoot)
	splitFlags(cmd, &o.Split, &o.AllowPatientOverlap)
	recipeFlags(fs, &o)
	deviceFlags(cmd, &o.Device, &o.Threads, &o.GPU)
	noWaitFlag(cmd, &o.NoWait)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// referenceTrainFlags are the flags that the reference has, in its spellings.
func referenceTrainFlags(fs *pflag.FlagSet, o *train.Options) {
	fs.BoolVar(&o.ValidationOnly, "validation_only", false, "only validate the trained fold again")
	spell(fs, "validation_only", "-val", "--validation_only")
	fs.BoolVarP(&o.Continue, "continue_training", "c", false, "resume a training that was stopped")
	spell(fs, "continue_training", "-c", "--continue_training")
	fs.StringVarP(&o.Plans, "plans", "p", task.DefaultPlans, "`NAME` of the plans")
	spell(fs, "plans", "-p", "--plans")
	fs.BoolVar(&o.FP32, "fp32", false, "compute in fp32 alone; otherwise activations are bf16 or fp16 where the device has them (mixed precision). Checkpoints hold fp32 in any case, and -c may change this")
	spell(fs, "fp32", "--fp32")
	fs.BoolVar(&o.Deterministic, "deterministic", false, "take seed 12345 unless --seed names another. On the CPU the same seed gives the same result, bit for bit, for any number of threads, with this flag or without: it costs nothing. A GPU gives that with this flag alone, and may be slower")
	spell(fs, "deterministic", "--deterministic")
	fs.BoolVar(&o.CompressedData, "use_compressed_data", false, "read the compressed cases instead of unpacking them to disk first")
	spell(fs, "use_compressed_data", "--use_compressed_data")
	fs.StringVar(&o.ValFolder, "val_folder", train.DefaultValFolder, "`NAME` of the folder of the validation inside the fold's")
	spell(fs, "val_folder", "--val_folder")
	fs.BoolVar(&o.DisableSaving, "disable_saving", false, "keep no checkpoint once the training has ended")
	spell(fs, "disable_saving", "--disable_saving")
	fs.BoolVar(&o.ValBest, "valbest", false, "with -val: validate model_best instead of model_final_checkpoint")
	spell(fs, "valbest", "--valbest")
	fs.BoolVar(&o.KeepValidation, "val_disable_overwrite", false, "keep validation results that exist")
	spell(fs, "val_disable_overwrite", "--val_disable_overwrite")
	fs.StringVar(&o.PretrainedWeights, "pretrained_weights", "", "start from the weights in `FILE`: safetensors, or PyTorch (.pth, .pt, .model), such as the I3D published for Kinetics; ignored with -c")
	spell(fs, "pretrained_weights", "-pretrained_weights")

	for _, f := range []struct{ name, usage, why string }{
		{"npz", "export probabilities of the validation", "they are always written"},
		{"find_lr", "search a learning rate", "use --lr to set it"},
		{"disable_postprocessing_on_folds", "no postprocessing of segmentations", "a classifier has none"},
		{"disable_next_stage_pred", "no prediction for a next stage", "there is no cascade"},
	} {
		fs.Bool(f.name, false, f.usage)
		spell(fs, f.name, "--"+f.name)
		inert(fs, f.name, f.why)
	}
}

// recipeFlags are those that say how to train.
func recipeFlags(fs *pflag.FlagSet, o *train.Options) {
	fs.BoolVar(&o.AllowDuplicates, "allow-duplicates", false, "train and validate on one scan under two names nevertheless")
	fs.IntVar(&o.Epochs, "epochs", 0, "`N` epochs, that is reports, of the training (default 50; reference: 200)")
	fs.IntVar(&o.Iterations, "iterations", 0, "`N` training iterations per epoch (default: by the number of cases; reference: 250)")
	fs.IntVar(&o.ValIterations, "val-iterations", 0, "`N` validation iterations per epoch, on cases drawn at random (default: every validation case once; reference: 50)")
	fs.IntVar(&o.BatchSize, "batch-size", 0, "`N` cases per iteration (default: as planned)")
	fs.Float64Var(&o.LearningRate, "lr", 0, "highest learning `RATE` (default 0.0003; reference: 0.01)")
	fs.Uint64Var(&o.Seed, "seed", 0, "`SEED` of weights, order and augmentation (default: drawn, 12345 with --deterministic)")
	fs.IntVar(&o.Workers, "workers", 0, "`N` workers prepare training samples, which do not depend on it (default: "+env.Workers+" of the environment, else one per processor that the process may use)")
}

// checkFold refuses what is neither a fold's number nor "all".
func checkFold(fold string) error {
	if fold == task.FoldAll {
		return nil
	}
	if _, err := task.ParseFold(fold); err != nil {
		return usagef("unknown fold %q: 0 to 4, higher for further random splits, or %s", fold, task.FoldAll)
	}
	return nil
}

// checkTrainNumbers refuses counts below one and a learning rate that is not positive.
func checkTrainNumbers(fs *pflag.FlagSet) error {
	for _, name := range []string{"epochs", "iterations", "val-iterations", "batch-size", "workers", "threads"} {
		if n, err := fs.GetInt(name); fs.Changed(name) && (err != nil || n < 1) {
			return usagef("flag --%s: %d is less than 1", name, n)
		}
	}
	if lr, err := fs.GetFloat64("lr"); fs.Changed("lr") && (err != nil || !(lr > 0 && lr < 1e6)) {
		return usagef("flag --lr: %v is not a positive number", lr)
	}
	return nil
}

// trained is what uc train --json prints.
type trained struct {
	Task      string            `json:"task"`
	Fold      string            `json:"fold"`
	Folder    string            `json:"folder"`
	Epochs    int               `json:"epochs"`
	TrainLoss []float64         `json:"train_losses"`
	ValLoss   []float64         `json:"val_losses"`
	ValAUC    []evaluate.Number `json:"val_aucs"`
	// ValBalanced is the balanced accuracy.
	ValBalanced []evaluate.Number `json:"val_balanced_accuracies"`
	Validation  *evaluate.Report  `json:"validation"`
}

func runTrain(cmd *cobra.Command, o train.Options, asJSON bool) error {
	d := displayOf(cmd)
	r, err := train.Run(cmd.Context(), o, d)
	d.Close()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if asJSON {
		return printJSON(out, trained{o.Task, o.Fold, r.FoldDir, r.Epochs, r.TrainLosses, r.ValLosses, r.ValAUCs, r.ValBalancedAccuracies, r.Validation})
	}
	if r.Validation != nil {
		fmt.Fprint(out, r.Validation.Table())
	}
	_, err = fmt.Fprintf(out, "\n%s\n", r.FoldDir)
	return err
}
