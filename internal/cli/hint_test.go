package cli

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/explain"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// typed is a command whose flags are parsed, as it is when a job fails.
func typed(t *testing.T, args ...string) *cobra.Command {
	t.Helper()
	root := newRoot()
	cmd, own := commandOf(root, args)
	rest, err := translate(cmd, own)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Every option and every job is spelled, by a flag or a command that exists.
func TestEveryRemedyIsSpelled(t *testing.T) {
	h := hints{typed(t, "version")}
	for _, o := range remedy.Options() {
		s, found := settings[o]
		if !found || len(s.flags) == 0 {
			t.Errorf("option %d is not in settings", o)
			continue
		}
		home := h.command(s.command)
		if home.CommandPath() != "uc "+s.command {
			t.Errorf("option %d: there is no command uc %s", o, s.command)
			continue
		}
		if lookUpAny(home, s.flags) == nil {
			t.Errorf("option %d: uc %s has no flag %v", o, s.command, s.flags)
		} else if text := h.one(remedy.Set{Option: o}); !strings.HasPrefix(text, "uc "+s.command+" -") {
			t.Errorf("option %d: %q", o, text)
		}
	}
	if len(settings) != len(remedy.Options()) {
		t.Errorf("%d settings for %d options", len(settings), len(remedy.Options()))
	}
	for job, name := range jobs {
		if cmd := h.command(name); cmd.CommandPath() != "uc "+name || h.one(job) != "uc "+name {
			t.Errorf("job %d: there is no command uc %s", job, name)
		}
	}
}

// Remedies are spelled with what was typed.
func TestHints(t *testing.T) {
	outlier := func(name string) remedy.Remedy { return remedy.Set{Option: remedy.AllowOutliers, Value: name} }
	for _, c := range []struct {
		args     string
		remedies []remedy.Remedy
		want     string
	}{
		{"train 3d_fullres ClassifierTrainer 8 0", []remedy.Remedy{remedy.Plan{Task: "Task008_X"}}, "uc plan-and-preprocess -t 8"},
		{"train 3d_fullres ClassifierTrainer 008 0 --data-root data", []remedy.Remedy{remedy.Plan{Task: "Task008_X", Verify: true}},
			"uc plan-and-preprocess -t 008 --verify_dataset_integrity --data-root data"},
		{"train 3d_fullres ClassifierTrainerReference Task008_X 0 -p Own", []remedy.Remedy{remedy.Train{Task: "Task008_X", Fold: "3", Mode: remedy.Continue}},
			"uc train 3d_fullres ClassifierTrainerReference Task008_X 3 -c -p Own"},
		{"evaluate 8 -tr ClassifierTrainerReference", []remedy.Remedy{remedy.Train{Mode: remedy.Validate}}, "uc train 3d_fullres ClassifierTrainerReference 8 FOLD -val"},
		{"evaluate 8", []remedy.Remedy{remedy.Train{Task: "Task009_Y", Trainer: "T", Plans: "P", Fold: "all"}}, "uc train 3d_fullres T Task009_Y all -p P"},
		{"plan-and-preprocess -t 1 2", []remedy.Remedy{remedy.Plan{}}, "uc plan-and-preprocess -t TASK"},
		{"plan-and-preprocess -t 1 2 --memory 1M", []remedy.Remedy{remedy.Set{Option: remedy.Memory, Value: "7M"}, remedy.Plan{Task: "Task002_X"}},
			"--memory 7M, or uc plan-and-preprocess -t 2"},
		{"predict -t 8 -f 0", []remedy.Remedy{remedy.Set{Option: remedy.Folds}, remedy.Set{Option: remedy.Overwrite}, remedy.Unset{Option: remedy.Masks}},
			"-f FOLDS, or --overwrite_existing, or without -s"},
		{"predict -t 8", []remedy.Remedy{remedy.Set{Option: remedy.Split, Value: "grouped"}, remedy.Predict}, "uc train --split grouped, or uc predict"},
		{"convert msd x --overwrite", []remedy.Remedy{remedy.Set{Option: remedy.LabelColumns}, remedy.Set{Option: remedy.Overwrite}}, "--label-columns COLUMNS, or --overwrite"},
		{"convert table x", []remedy.Remedy{remedy.Set{Option: remedy.LabelColumns}, remedy.ConvertDICOM}, "--labels COLUMNS, or uc convert dicom"},
		{"plan-and-preprocess -t 1", []remedy.Remedy{outlier("a"), remedy.Set{Option: remedy.Memory}, outlier("b c")}, "--allow-outliers a 'b c', or --memory SIZE"},
		{"train 3d_fullres ClassifierTrainer 8 0 --data-root d\td", []remedy.Remedy{remedy.Plan{Task: "Task008_X"}}, "uc plan-and-preprocess -t 8 --data-root 'd\td'"},
		{"predict -t 8", nil, ""},
	} {
		if got := (hints{typed(t, strings.Split(c.args, " ")...)}).spell(c.remedies); got != c.want {
			t.Errorf("%s: got %q, want %q", c.args, got, c.want)
		}
	}
}

// What there is to type follows the text, whatever the error was wrapped in.
func TestHintsFollowTheText(t *testing.T) {
	h := hints{typed(t, "predict", "-t", "8")}
	inner := remedy.With(errors.New("too large"), remedy.Set{Option: remedy.Memory, Value: "7M"})
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("broken"), "broken"},
		{fmt.Errorf("case a: %w", inner), "case a: too large (--memory 7M)"},
		{errors.Join(inner, fmt.Errorf("case b: %w", inner)), "too large\ncase b: too large\nhint: --memory 7M"},
		{remedy.With(inner, remedy.Set{Option: remedy.Folds}), "too large (--memory 7M, or -f FOLDS)"},
	} {
		if got := h.add(c.err.Error(), remedy.Of(c.err)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}

	var b strings.Builder
	h.cmd.SetErr(&b)
	d := displayOf(h.cmd)
	d.Warn("%d: %v", 3, inner)
	d.Note("%s", remedy.Notef("%d kept", 2).See(remedy.Set{Option: remedy.Overwrite}))
	d.Close()
	if want := "warning: 3: too large (--memory 7M)\n2 kept (--overwrite_existing)\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	h.cmd.SetErr(io.Discard)
}

// Programs read of a case what people read of it on the terminal.
func TestHintsInJSON(t *testing.T) {
	tooLarge := fmt.Errorf("case a: %w", remedy.With(errors.New("too large"), remedy.Set{Option: remedy.Memory, Value: "7M"}))
	_, unused := task.Broken(nil, []task.Problem{{Field: "b.nii", Message: "not used", For: []remedy.Remedy{remedy.ConvertDICOM}}})
	for _, answer := range []any{
		newPredicted(hints{typed(t, "predict", "-t", "8")}, &predict.Summary{
			Failed: []task.FailedCase{task.Failed("a", tooLarge)},
			Unused: unused,
		}),
		newExplained(hints{typed(t, "explain", "-t", "8")}, &explain.Summary{
			Failed: []task.FailedCase{task.Failed("a", tooLarge)},
			Unused: unused,
		}),
	} {
		var b strings.Builder
		if err := printJSON(&b, answer); err != nil {
			t.Fatal(err)
		}
		var got withoutResult
		decode(t, b.String(), &got)
		if want := (withoutResult{
			[]task.FailedCase{{Case: "a", Error: "case a: too large (--memory 7M)"}}, []task.UnusedFile{{File: "b.nii", Reason: "not used (uc convert dicom)"}},
		}); !reflect.DeepEqual(got, want) {
			t.Errorf("%T: %+v", answer, got)
		}
	}
}
