package cli

import (
	"strings"
	"testing"
)

// Mistakes on the command line give one line and exit code 2, before anything is read.
func TestUsageErrors(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"frobnicate", `unknown command "frobnicate"`},
		{"convert frobnicate", `unknown format "frobnicate" (see uc convert --help)`},
		{"convert --wrong", "unknown flag --wrong for uc convert"},
		{"plan-and-preprocess", "missing -t TASK"},
		{"plan-and-preprocess -t", "flag -t needs a value"},
		{"plan-and-preprocess -t 1 -tf x", `flag -tf: "x" is not a whole number`},
		{"plan-and-preprocess -t 1 -tf 0", "-tf"},
		{"plan-and-preprocess -t 1 -q", "unknown flag -q"},
		{"plan-and-preprocess -t 1 -pl3d Other", `unknown planner "Other"`},
		{"plan-and-preprocess -t 1 -overwrite_plans p.json", "-overwrite_plans_identifier"},
		{"plan-and-preprocess -t 1 --memory much", "--memory"},
		{"submit 1 --local --dry-run --recipes ClassifierTrainer ClassifierTrainer", "--recipes: ClassifierTrainer is given twice"},
		{"plan-and-preprocess -t 1", "--data-root"},
		{"plan-and-preprocess stray -t 1", `unexpected argument "stray"`},
		{"train", "missing argument NETWORK TRAINER TASK FOLD"},
		{"train 3d_fullres ClassifierTrainer 4", "missing argument FOLD"},
		{"train 2d ClassifierTrainer 4 0", `unknown network "2d"`},
		{"train 3d_fullres nnUNetTrainerV2 4 0", `unknown trainer "nnUNetTrainerV2"`},
		{"train 3d_fullres ClassifierTrainer 4 five", `unknown fold "five"`},
		{"train 3d_fullres ClassifierTrainer 4 0 1", `unexpected argument "1"`},
		{"train 3d_fullres ClassifierTrainer 4 -1", `unknown fold "-1"`},
		{"train 3d_fullres ClassifierTrainer 4 0 --epochs 0", "--epochs: 0 is less than 1"},
		{"train 3d_fullres ClassifierTrainer 4 0 --lr -1", "--lr"},
		{"train 3d_fullres ClassifierTrainer 4 0 --lr NaN", "--lr"},
		{"train 3d_fullres ClassifierTrainer 4 0 --wrong", "unknown flag --wrong"},
		{"train 3d_fullres ClassifierTrainer 4 0", "--data-root"},
		{"predict -o out -t 4", "missing -i IMAGES"},
		{"predict -i in -t 4", "missing -o OUT"},
		{"predict -i in -o out", "missing -t TASK"},
		{"predict -i in -o out -t 4 -f 0 x", `unknown fold "x"`},
		{"predict -i in -o out -t 4 -m 2d", `unknown network "2d"`},
		{"predict -i in -o out -t 4 -tr T", `unknown trainer "T"`},
		{"evaluate", "missing argument TASK"},
		{"evaluate 4 -f", "flag -f needs a value"},
		{"demo", "missing argument DIR"},
		{"demo d --cases 0", "--cases"},
		{"bench --shape 64,64", `"64,64" is not Z,Y,X`},
		{"bench --dtype int4", `"int4"`},
		{"bench --batch 0", "--batch"},
		{"evaluate", "TASK"},
		{"evaluate 4 --predictions a --truth b", `unexpected argument "4"`},
		{"evaluate --predictions a", "--truth"},
		{"evaluate --truth b", "--predictions"},
		{"evaluate --predictions a --truth b -f 0", "-f does not go with"},
		{"bench --threads 0", "--threads"},
		{"predict -i a -o b -t 4 --threads -2", "--threads"},
		{"completion tcsh", `unknown shell "tcsh"`},
		{"version now", `unexpected argument "now"`},
	} {
		for _, v := range []string{"nnUNet_raw_data_base", "nnUNet_preprocessed", "RESULTS_FOLDER"} {
			t.Setenv(v, "")
		}
		refused(t, ExitUsage, []string{test.want, "--help"}, strings.Fields(test.args)...)
	}
}

// Flags of the reference that mean nothing here are accepted and say so, each in one line.
func TestFlagsWithoutEffectSaySo(t *testing.T) {
	r := uc(strings.Fields("train 3d_fullres ClassifierTrainer 4 0 --npz --find_lr --data-root /nowhere")...)
	if n := strings.Count(r.stderr, "has no effect"); n != 2 {
		t.Errorf("%d lines about flags without effect, want 2:\n%s", n, r.stderr)
	}
	for _, args := range []string{"plan-and-preprocess --help", "train --help"} {
		if out := ok(t, strings.Fields(args)...); !strings.Contains(out, "Accepted, without effect:") {
			t.Errorf("uc %s does not list the flags without effect", args)
		}
	}
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"help", "train"}, {"train", "-h"}, {"help", "environment"}} {
		r := uc(args...)
		if r.code != ExitOK || r.stdout == "" || r.stderr != "" {
			t.Errorf("uc %v: exit code %d, %d bytes of output, errors %q", args, r.code, len(r.stdout), r.stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	if out := ok(t, "version"); !strings.HasPrefix(out, "uc ") {
		t.Errorf("got %q", out)
	}
	if out := ok(t, "version", "--json"); !strings.Contains(out, `"version"`) {
		t.Errorf("got %q", out)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := ok(t, "completion", shell); len(out) < 1000 {
			t.Errorf("%s: only %d bytes", shell, len(out))
		}
	}
}
