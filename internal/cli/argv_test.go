package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func argvCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "job"}
	fs := cmd.Flags()
	fs.StringSliceP("tasks", "t", nil, "")
	spell(fs, "tasks", "-t", "--task_ids", "--tasks")
	list(fs, "tasks")
	fs.StringSliceP("folds", "f", nil, "")
	list(fs, "folds")
	fs.Int("tf", 8, "")
	spell(fs, "tf", "-tf")
	fs.Bool("no_pp", false, "")
	spell(fs, "no_pp", "-no_pp")
	fs.Bool("validation_only", false, "")
	spell(fs, "validation_only", "-val", "--validation_only")
	fs.BoolP("continue_training", "c", false, "")
	fs.String("pretrained_weights", "", "")
	spell(fs, "pretrained_weights", "-pretrained_weights")
	fs.String("data-root", "", "")
	fs.Float64("lr", 0.01, "")
	return cmd
}

func TestTranslate(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"-t 4", "--tasks=4"},
		{"-t 1 2 3 -tf 4", "--tasks=1,2,3 --tf=4"},
		{"--task_ids 1 2 -no_pp", "--tasks=1,2 --no_pp"},
		{"--tasks 1,2,3", "--tasks=1,2,3"},
		{"--tasks=1,2 -tf=4", "--tasks=1,2 --tf=4"},
		{"-t4 -f0", "--tasks=4 --folds=0"},
		{"-f 0 1 2 3 4", "--folds=0,1,2,3,4"},
		{"-f all", "--folds=all"},
		{"3d_fullres ClassifierTrainer 4 0 -val", "--validation_only -- 3d_fullres ClassifierTrainer 4 0"},
		{"4 -1", "-- 4 -1"},
		{"-c 3d_fullres --validation_only x", "--continue_training --validation_only -- 3d_fullres x"},
		{"-pretrained_weights a/b.safetensors 3d_fullres", "--pretrained_weights=a/b.safetensors -- 3d_fullres"},
		{"--no-pp --data_root d", "--no_pp --data-root=d"},
		{"--lr -1 --lr -.5", "--lr=-1 --lr=-.5"},
		{"--no_pp=false", "--no_pp=false"},
		{"a --no_pp -- -t 4", "--no_pp -- a -t 4"},
		{"-f 0 1 -- x", "--folds=0,1 -- x"},
	} {
		got, err := translate(argvCommand(), strings.Fields(test.in))
		if err != nil || !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%q: got %q (%v), want %q", test.in, got, err, test.want)
		}
	}
}

func TestTranslateRefuses(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"-foo", "unknown flag -foo for job"},
		{"--foo=3", "unknown flag --foo for job"},
		{"-tx 4", "unknown flag -tx for job"},
		{"-t", "flag -t needs a value"},
		{"-t -tf 4", "flag -t needs a value"},
		{"-pretrained_weights --lr 1", "flag -pretrained_weights needs a value"},
		{"-tf", "flag -tf needs a value"},
	} {
		_, err := translate(argvCommand(), strings.Fields(test.in))
		var u *usageError
		if !errors.As(err, &u) || err.Error() != test.want {
			t.Errorf("%q: got %v, want the usage error %q", test.in, err, test.want)
		}
	}
}
