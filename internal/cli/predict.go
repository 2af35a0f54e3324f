package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

type predictFlags struct {
	inputFlags
	fp32  bool
	shard string
}

func predictCommand() *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict -i IMAGES [-s MASKS] -o OUT -t TASK",
		Short: "Predict new cases with the trained folds of a task",
		Long: `Preprocesses new cases exactly as in training, runs every fold's network on them (mirrored along all axes unless
--disable_tta) and averages the probabilities. Writes <case>.npz for every case, and predictions.csv and
predictions.json for all of them. A case that cannot be predicted does not stop the others; then the exit code is 1.
A task that was trained with masks of the region of interest needs them here too (-s), one without refuses them.
--model DIR predicts with a model folder in place of a task's, also one of the Python reference (plans.pkl).`,
		Example: `  uc predict --data-root /path/to/data -i images -s masks -o predictions -t 4 -f 0 1 2 3 4
  uc predict -i images -o predictions -t Task010_PancreaticCancer --disable_tta
  uc predict -i images -o predictions -t 10 -f all -chk model_best --json
  uc predict -i images -o predictions --model artifact --disable_tta --disable_mixed_precision`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPredict(cmd, &f) },
	}
	f.add(cmd, inputWords{
		more: "or a folder of DICOM series, each of which becomes a case (see uc convert dicom); ", out: "predictions",
		noTTA: "no test-time augmentation: one pass instead of eight mirrored ones", overwrite: "predict", done: "predicted",
	})
	fs := cmd.Flags()
	fs.BoolVar(&f.fp32, "disable_mixed_precision", false, "compute in fp32 alone; otherwise activations are bf16 or fp16 where the device has them")
	spell(fs, "disable_mixed_precision", "--disable_mixed_precision")

	fs.StringVar(&f.shard, "shard", "", "predict part `I/N` of the cases only, while other processes predict the others into the same folder; the last of them writes the tables")
	return cmd
}

// check finds mistakes that need no look at the data.
func (f *predictFlags) check() error {
	if f.shard != "" {
		if _, err := shard.Parse(f.shard); err != nil {
			return usagef("flag --shard: %v", err)
		}
		if areDICOM(f.images) {
			return usagef("--shard does not go with DICOM series; uc convert dicom makes files of them")
		}
	}
	return f.inputFlags.check()
}

// checkFolds rejects what is not a fold, and all together with others.
func checkFolds(folds []string) error {
	for _, fold := range folds {
		if err := checkFold(fold); err != nil {
			return err
		}
	}
	return nil
}

// predicted is what uc predict --json prints.
type predicted struct {
	Folds     []string `json:"folds"`
	Precision string   `json:"precision"`
	Predicted int      `json:"predicted"`
	Kept      int      `json:"kept"`
	withoutResult
	CSV     string          `json:"csv"`
	JSON    string          `json:"json"`
	Results json.RawMessage `json:"results,omitempty"` // predictions.json
}

// newPredicted is the answer about a folder, with what there is to type about each failure.
func newPredicted(h hints, s *predict.Summary) *predicted {
	return &predicted{Predicted: s.Predicted, Kept: s.Kept, withoutResult: newWithoutResult(h, s.Failed, s.Unused), CSV: s.CSV, JSON: s.JSON}
}

func runPredict(cmd *cobra.Command, f *predictFlags) error {
	if err := cmp.Or(f.check(), checkThreads(cmd, f.threads)); err != nil {
		return err
	}
	budget, err := f.budget()
	if err != nil {
		return err
	}
	dir, err := f.model.folder(f.dataRoot, f.task)
	if err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	limit := cmp.Or(budget, memory.Default())
	model, err := predict.Open(dir, predict.Options{
		Folds: f.folds, Checkpoint: f.checkpoint, Device: f.device, Threads: f.threads, GPU: f.gpu, FP32: f.fp32, DisableTTA: f.noTTA, NoWait: f.noWait, Memory: limit,
	}, d)
	if err != nil {
		return err
	}
	defer model.Close()
	defer limitHeap(limit)()
	wantMasks := model.WantMasks() || model.MasksUnknown() && f.masks != ""
	var cases []task.Case
	var found []task.Problem
	var broken error
	if areDICOM(f.images) {
		cases, found, broken = f.fromDICOM(cmd, model.Modalities(), wantMasks, budget, d)
	} else {
		cases, found, broken = f.namedCases(model.Modalities(), wantMasks)
	}
	if broken != nil && len(found) == 0 {
		return broken
	}
	var part shard.Shard
	if f.shard != "" {
		if part, err = shard.Parse(f.shard); err != nil {
			return err
		}
	}
	s, err := model.FolderShard(cmd.Context(), cases, found, f.out, f.overwrite, part, d)
	if err != nil {
		return err
	}
	d.Close()
	r := newPredicted(hints{cmd}, s)
	r.Folds, r.Precision = model.Folds(), model.Precision()
	if err := r.print(cmd.OutOrStdout(), f.json); err != nil {
		return err
	}
	return r.join(broken, found, len(cases), "predicted")
}

func (r *predicted) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if b, err := infile.ReadFile(r.JSON, infile.MaxText); r.JSON != "" && err == nil {
			r.Results = b
		}
		return printJSON(w, r)
	}
	fmt.Fprintf(w, "%d predicted by folds %s", r.Predicted, strings.Join(r.Folds, " "))
	if r.Kept > 0 {
		fmt.Fprintf(w, ", %d had results already (--overwrite_existing predicts them again)", r.Kept)
	}
	fmt.Fprint(w, r.text())
	if r.CSV == "" {
		_, err := fmt.Fprintln(w, "\nother shards are not done yet; the last of them writes the tables, or uc predict without --shard")
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n", r.CSV, r.JSON)
	return err
}
