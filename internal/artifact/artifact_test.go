package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

const secret = "patient_0815"

// toyPlans are those of a CT task with masks of two labels, anisotropic and transposed.
func toyPlans() *plan.Plans {
	s := fingerprint.Statistics{Median: 30, Mean: 40, SD: 100, Min: -900, Max: 1200, Percentile00: -500, Percentile99: 800}
	return &plan.Plans{
		NumStages: 1, NumModalities: 1, Modalities: indexed.List[string]{"CT"}, NormalizationSchemes: indexed.List[string]{plan.NormCT},
		DatasetProperties: &fingerprint.Fingerprint{
			CaseIDs: []string{secret}, AllSizes: [][3]int{{16, 20, 6}}, AllSpacings: [][3]float64{{1, 1, 4}}, Modalities: indexed.List[string]{"CT"},
			SizeReductions:      map[string]float64{secret: 1},
			IntensityProperties: indexed.List[*fingerprint.Intensity]{{LocalProps: map[string]fingerprint.Statistics{secret: s}, Statistics: s}},
		},
		ListOfNpzFiles: []string{secret + ".npz"}, PreprocessedDataFolder: "/data/" + secret,
		NumClasses: 2, AllClasses: []int{1, 2}, UseMaskForNorm: indexed.List[bool]{false}, TransposeForward: [3]int{2, 0, 1}, TransposeBackward: [3]int{1, 2, 0},
		DataIdentifier: plan.DataIdentifier, TaskName: "Task903_Toy", RealMasks: true,
		Labels:        []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}},
		PlansPerStage: indexed.List[plan.StagePlan]{{BatchSize: 2, ImageSize: [3]int{8, 20, 20}, CurrentSpacing: [3]float64{4, 1, 1}, OriginalSpacing: [3]float64{4, 1, 1}}},
	}
}

// trained writes a trained model with some folds, whose checkpoints hold the state of a training too.
func trained(t *testing.T, folds ...string) (task.Folders, PackOptions) {
	t.Helper()
	f, p := task.Folders{Results: t.TempDir()}, toyPlans()
	o := PackOptions{Task: p.TaskName, Trainer: task.DefaultTrainer, Plans: task.DefaultPlans, Machine: Machine{Device: "cpu"}, Version: "v1"}
	dir := f.Model(o.Task, o.Trainer, o.Plans)
	cfg := i3d.Config{InChannels: p.InputChannels(), Outputs: p.Outputs()}
	for i, fold := range folds {
		foldDir := filepath.Join(dir, task.FoldDir(fold))
		if err := os.MkdirAll(foldDir, 0o755); err != nil {
			t.Fatal(err)
		}
		c := &checkpoint.Checkpoint{Model: checkpoint.Model{Task: o.Task, Inputs: cfg.InChannels, Outputs: cfg.Outputs}, Weights: i3d.EmptyStateDict(cfg), Momentum: i3d.EmptyStateDict(cfg)}
		weights.Formula(c.Weights, fmt.Sprint("#", i), 1.6)
		if err := checkpoint.Write(foldDir, checkpoint.Final, c, map[string]any{"cases": secret}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Save(filepath.Join(dir, checkpoint.PlansFile)); err != nil {
		t.Fatal(err)
	}
	return f, o
}

// files lists all files below dir.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// One trained model and two artifacts of it serve all cases: writing them takes most of the time.
func TestPackAndCheck(t *testing.T) {
	f, o := trained(t, "0", "all")
	out := filepath.Join(t.TempDir(), "artifact")
	if err := os.Mkdir(out, 0o755); err != nil { // an empty folder is as good as none
		t.Fatal(err)
	}
	m, err := Pack(t.Context(), f, o, out, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("content", func(t *testing.T) { content(t, out, m, o) })
	t.Run("check", func(t *testing.T) {
		outcome, err := Check(t.Context(), out, Machine{Device: "cpu"}, progress.Discard)
		if err != nil || !outcome.Passed() {
			t.Fatalf("%+v (%v)", outcome, err)
		}
		if got := outcome.Got.Logits; len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 3 || got[0][0] == got[0][1] {
			t.Errorf("logits %v", got)
		}
		if _, err := Check(t.Context(), f.Results, Machine{Device: "cpu"}, progress.Discard); !errors.Is(err, ErrNoSelfTest) {
			t.Errorf("a folder of results: %v", err)
		}
		if _, err := Check(t.Context(), t.TempDir(), Machine{Device: "cpu"}, progress.Discard); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an empty folder: %v", err)
		}
	})
	t.Run("broken", func(t *testing.T) { broken(t, out, o) })
	t.Run("refused", func(t *testing.T) { refused(t, f, o, out) })

	o.KeepCaseNames, o.Folds = true, []string{"0"}
	kept := filepath.Join(t.TempDir(), "kept")
	if m, err = Pack(t.Context(), f, o, kept, progress.Discard); err != nil || !slices.Equal(m.Folds, []string{"0"}) {
		t.Fatalf("asked for 0, got %+v (%v)", m, err)
	}
	raw, err := os.ReadFile(filepath.Join(task.Folders{Results: kept}.Model(o.Task, o.Trainer, o.Plans), checkpoint.PlansFile))
	if err != nil || !strings.Contains(string(raw), secret) {
		t.Errorf("names of cases were not kept (%v)", err)
	}
}

func content(t *testing.T, out string, m *Manifest, o PackOptions) {
	if !slices.Equal(m.Folds, []string{"all"}) || m.Task != o.Task || !m.Masks || !slices.Equal(m.Modalities, []string{"CT"}) || len(m.Labels) != 2 || m.Labels[1].Values[2] != "high" {
		t.Errorf("manifest %+v", m)
	}
	all := files(t, out)
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), secret) || strings.Contains(string(raw), "optimizer.") {
			t.Errorf("%s holds the name of a case or the state of the optimiser", path)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o444 != 0o444 {
			t.Errorf("%s: mode %v, want readable for all", path, info.Mode())
		}
	}
	back, err := ReadManifest(out)
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("%+v (%v), want %+v", back, err, m)
	}
	if len(back.Files)+1 != len(all) {
		t.Errorf("%d files in the manifest, %d next to it", len(back.Files), len(all)-1)
	}
}

// refused packs what cannot be packed; nothing may be left behind.
func refused(t *testing.T, f task.Folders, o PackOptions, full string) {
	parent := t.TempDir()
	for name, c := range map[string]struct {
		change func(*PackOptions)
		want   string
	}{
		"fold":       {func(o *PackOptions) { o.Folds = []string{"3"} }, "fold 3 is not trained"},
		"checkpoint": {func(o *PackOptions) { o.Checkpoint = "model_best" }, "no fold has a model_best"},
		"name":       {func(o *PackOptions) { o.Checkpoint = "../x" }, "plain name"},
		"trainer":    {func(o *PackOptions) { o.Trainer = "Other" }, "no trained model"},
	} {
		bad := o
		c.change(&bad)
		if _, err := Pack(t.Context(), f, bad, filepath.Join(parent, "artifact"), progress.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if entries, _ := os.ReadDir(parent); len(entries) > 0 {
		t.Errorf("failures left %v behind", entries)
	}
	if _, err := Pack(t.Context(), f, o, full, progress.Discard); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder with files: %v", err)
	}
}

// broken checks artifacts that are not as they were packed.
func broken(t *testing.T, out string, o PackOptions) {
	modelDir := task.Folders{Results: out}.Model(o.Task, o.Trainer, o.Plans)
	plans, summary := filepath.Join(modelDir, checkpoint.PlansFile), filepath.Join(modelDir, "all", checkpoint.Final+".json")
	expected, manifest := filepath.Join(out, selfTestDir, expectedFile), filepath.Join(out, ManifestFile)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		damage func()
		want   string // in the error about files; empty if the self-test alone fails
	}{
		"plans": {func() {
			p := toyPlans()
			p.PlansPerStage[0].CurrentSpacing = [3]float64{4, 1, 1.2}
			must(p.Save(plans))
		}, "plans.json has changed"},
		"missing": {func() { must(os.Remove(summary)) }, "is missing"},
		"answer": {func() {
			var a Answer
			must(jsonfile.Read(expected, &a))
			a.Logits[1][0] += 0.1
			must(jsonfile.Write(expected, a, jsonfile.Indent))
			m, err := ReadManifest(out)
			must(err)
			m.Files[selfTestDir+"/"+expectedFile], err = digest(expected)
			must(err)
			must(jsonfile.Write(manifest, m, jsonfile.Indent))
		}, ""},
	} {
		before := map[string][]byte{}
		for _, path := range []string{plans, summary, expected, manifest} {
			raw, err := os.ReadFile(path)
			must(err)
			before[path] = raw
		}
		c.damage()
		got, err := Check(t.Context(), out, Machine{Device: "cpu"}, progress.Discard)
		switch {
		case err != nil || got.Passed():
			t.Errorf("%s: passed: %+v (%v)", name, got, err)
		case c.want == "" && (got.Files != nil || got.Difference.Passed):
			t.Errorf("%s: %v", name, got.Files)
		case c.want != "" && (got.Files == nil || !strings.Contains(got.Files.Error(), c.want)):
			t.Errorf("%s: files: %v, want %q", name, got.Files, c.want)
		}
		for path, raw := range before {
			must(os.WriteFile(path, raw, 0o644))
		}
	}
}

func TestHostileManifest(t *testing.T) {
	dir := t.TempDir()
	m := &Manifest{Files: map[string]string{"../../etc/passwd": "", "/etc/passwd": ""}}
	if err := m.verify(dir); err == nil || strings.Count(err.Error(), "not within the artifact") != 2 {
		t.Errorf("paths that leave the folder: %v", err)
	}
	for _, text := range []string{`{"format": 2, "uc": "v9"}`, `[]`, `{`} {
		if err := os.WriteFile(filepath.Join(dir, ManifestFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(dir); err == nil || !strings.Contains(err.Error(), ManifestFile) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

type said struct {
	progress.Reporter
	lines []string
}

func (s *said) Warn(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	at := func(name, trainer string) string {
		path := task.Folders{Results: dir}.Model(name, trainer, task.DefaultPlans)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	locate := func(m Model) (string, []string, error) {
		w := &said{Reporter: progress.Discard}
		path, err := Locate(dir, m, w)
		return path, w.lines, err
	}
	if _, _, err := locate(Model{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("nothing there: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "nnUNet", "3d_fullres", "Heart"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := locate(Model{}); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `"Task"`) {
		t.Errorf("a folder that is no task: %v", err)
	}
	picai := at("Task8080_picai_pubtrain", task.DefaultTrainer)
	if got, lines, err := locate(Model{}); got != picai || err != nil || len(lines) != 0 {
		t.Errorf("got %s (%v), said %q", got, err, lines)
	}
	at("Task001_Other", "OtherTrainer")
	if got, lines, err := locate(Model{}); got != picai || err != nil || len(lines) != 1 || !strings.Contains(lines[0], "taking Task8080_picai_pubtrain") {
		t.Errorf("two tasks: got %s (%v), said %q", got, err, lines)
	}
	if _, _, err := locate(Model{Trainer: "Nonesuch"}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "Nonesuch__") || !strings.Contains(err.Error(), "OtherTrainer__") {
		t.Errorf("no such trainer: %v", err)
	}
	for _, m := range []Model{{Network: "2d"}, {Trainer: "../x"}, {Plans: "a/b"}, {Plans: ".."}} {
		var name *NameError
		if _, _, err := locate(m); !errors.As(err, &name) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}
