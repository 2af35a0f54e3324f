package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
)

// phantoms writes a cohort of phantoms and, in a separate folder, what a hospital would have of it: images, masks and
// a table.
func phantoms(t *testing.T, cases int) (scans, masks, table string) {
	t.Helper()
	root := t.TempDir()
	o := phantom.Options{Cases: cases, TestCases: -1}
	if err := phantom.Generate(t.Context(), root, o, progress.Discard); err != nil {
		t.Fatal(err)
	}
	raw := filepath.Join(root, "raw", "nnUNet_raw_data", o.TaskName())
	b, err := os.ReadFile(filepath.Join(raw, "dataset.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Training []map[string]any }
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	rows := "case\tlesion\tsize\tage\n"
	for i, e := range d.Training {
		id := strings.TrimSuffix(filepath.Base(e["image"].(string)), ".nii.gz")
		rows += id + "\t" + []string{"absent", "present"}[int(e["Lesion"].(float64))] + "\t" + []string{"S", "M", "L"}[int(e["Size"].(float64))] + "\t" + []string{"50", "61"}[i%2] + "\n"
	}
	table = filepath.Join(root, "labels.tsv")
	if err := os.WriteFile(table, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(raw, "imagesTr"), filepath.Join(raw, "labelsTr"), table
}

// A table and a folder of scans become a task that is planned as it is; without consent nothing is written.
func TestConvertTable(t *testing.T) {
	scans, masks, table := phantoms(t, 6)
	root := t.TempDir()
	args := []string{"convert", "table", table, "--images", scans, "--masks", masks, "-t", "7", "--name", "Own", "--labels", "lesion", "size",
		"--classes", "size=S,M,L", "--covariates", "age", "--data-root", root}
	r := uc(args...)
	if r.code != ExitFailed || !strings.Contains(r.stderr, "nothing was written, as there is no terminal to ask for consent; add --yes") {
		t.Errorf("without consent: %d\n%s", r.code, r.stderr)
	}
	for _, want := range []string{"Task007_Own: 6 cases from labels.tsv, to be written to", "lesion  0      absent   3", "size    2      L        2", "covariates: age"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("the summary lacks %q:\n%s", want, r.stderr)
		}
	}
	if entries, _ := os.ReadDir(root); len(entries) > 0 {
		t.Errorf("without consent there is %v", entries)
	}
	var got convertedTask
	if err := json.Unmarshal([]byte(ok(t, append(args, "--yes", "--json")...)), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Written || got.Task != "Task007_Own" || got.Cases != 6 || got.Labels[1].Classes[0].Class != "S" || got.Labels[1].Classes[0].Training != 2 {
		t.Errorf("%+v", got)
	}
	if out := ok(t, append(args, "--yes")...); !strings.Contains(out, "up to date") {
		t.Errorf("the second time: %s", out)
	}
	if out := ok(t, "plan-and-preprocess", "--data-root", root, "-t", "7", "--verify_dataset_integrity"); !strings.Contains(out, "6 cases, labels lesion, size") {
		t.Error(out)
	}
}

func TestConvertUsage(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"convert table", "missing argument LABELS (see uc convert table --help)"},
		{"convert table l.csv", "missing --images DIR"},
		{"convert table l.csv --images i --mask-suffix _x", "missing --masks DIR"},
		{"convert table l.csv --images i --modalities A=_a B", "--modalities"},
		{"convert table l.csv --images i -t x", `flag -t: "x" is neither`},
		{"convert table l.csv --images i -t Task001_A --name B", "two names"},
		{"convert table l.csv --images i", "--data-root"},
		{"convert msd dir", "missing --labels TABLE"},
		{"convert nnunet-v2", "missing argument DIR"},
		{"convert folders", "missing argument DIR"},
		{"convert medmnist", "missing argument FILE"},
		{"convert medmnist x.npz --wrong", "unknown flag --wrong for uc convert medmnist"},
	} {
		t.Run(test.args, func(t *testing.T) {
			for _, name := range []string{"nnUNet_raw_data_base", "nnUNet_preprocessed", "RESULTS_FOLDER"} {
				t.Setenv(name, "")
			}
			refused(t, ExitUsage, []string{test.want}, strings.Fields(test.args)...)
		})
	}
}
