package reproduce

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/provenance"
)

func example() *Lock {
	return &Lock{
		Format: format, Program: Program{Version: "v1", Binary: "sha256:1", OS: "linux", Arch: "amd64", CPU: "avx2"},
		Task: "Task001_A", Trainer: "ClassifierTrainer", Identifier: "Plans", Plans: "sha256:2",
		Cases: []Case{{ID: "a", Files: "sha256:a", Arrays: "sha256:A", Targets: []int{0}}, {ID: "b", Files: "sha256:b", Arrays: "sha256:B", Targets: []int{1}}, {ID: "c", Arrays: "sha256:C", Targets: []int{1}}},
		Folds: []Fold{{Fold: "0", Recipe: json.RawMessage(`{"seed":1}`), Training: []string{"a", "b"}, Validation: []string{"c"}, Device: "cpu (avx2, 2 threads)", Precision: "fp32"}},
	}
}

func TestLockIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	l := example()
	l.Results = []Label{{Name: "L", Accuracy: evaluate.Estimate{Value: 0.5, Low: 0.4, High: evaluate.Number(math.NaN())}, Values: []Value{}}}
	if err := l.Write(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Write(path); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("%v\n%s\n%s", err, before, after)
	}
}

// A lock comes from strangers: its names become folders.
func TestLocksThatAreNone(t *testing.T) {
	for name, change := range map[string]func(l *Lock){
		"format":         func(l *Lock) { l.Format = 2 },
		"task":           func(l *Lock) { l.Task = "../Task001_A" },
		"trainer":        func(l *Lock) { l.Trainer = "a/b" },
		"plans":          func(l *Lock) { l.Identifier = ".." },
		"no cases":       func(l *Lock) { l.Cases = nil },
		"case":           func(l *Lock) { l.Cases[0].ID = "../a" },
		"case twice":     func(l *Lock) { l.Cases[1].ID = "a" },
		"no folds":       func(l *Lock) { l.Folds = nil },
		"fold":           func(l *Lock) { l.Folds[0].Fold = "../0" },
		"fold twice":     func(l *Lock) { l.Folds = append(l.Folds, l.Folds[0]) },
		"unknown case":   func(l *Lock) { l.Folds[0].Training[0] = "z" },
		"without recipe": func(l *Lock) { l.Folds[0].Recipe = nil },
	} {
		l := example()
		change(l)
		path := filepath.Join(t.TempDir(), File)
		if err := l.Write(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); !errors.Is(err, ErrNotALock) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), File)
	if err := os.WriteFile(path, []byte(`[1, 2`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); !errors.Is(err, ErrNotALock) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	b, err := json.Marshal(example())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), File)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := Read(path)
		if err != nil {
			return
		}
		for _, c := range l.Cases {
			if strings.ContainsAny(c.ID, "/") || c.ID == ".." {
				t.Errorf("case %q", c.ID)
			}
		}
	})
}

// What differs is named by case; scans that are not there are said not to have been compared.
func TestCasesThatDifferAreNamed(t *testing.T) {
	locked := example().Cases
	now := []Case{{ID: "a", Files: "sha256:other", Arrays: "sha256:A", Targets: []int{0}}, {ID: "b", Arrays: "sha256:B", Targets: []int{0}}}
	for _, c := range []struct {
		of   func(Case) string
		same bool
		want string
	}{
		{func(c Case) string { return c.Files }, false, "1 of 3 differ: a; 1 of 3 are not there: c; 1 of 3 could not be compared: b"},
		{func(c Case) string { return c.Arrays }, false, "1 of 3 are not there: c"},
	} {
		if got := compared("x", locked, now, c.of); got.Text != c.want || got.Same != c.same || !got.Data {
			t.Errorf("got %+v, want %q", got, c.want)
		}
	}
	now = append(now, Case{ID: "c", Arrays: "sha256:C"})
	if got := compared("x", locked, now, func(c Case) string { return c.Arrays }); !got.Same || got.Text != "" {
		t.Errorf("got %+v", got)
	}
}

func TestEqualBitsArePromisedWhereTheyCanBe(t *testing.T) {
	p := example().Program
	if got := p.compare(p); !bitsPromised(got) || DataDiffer(got) {
		t.Errorf("got %+v", got)
	}
	for name, change := range map[string]func(p *Program){
		"build": func(p *Program) { p.Binary = "sha256:9" }, "kernels": func(p *Program) { p.CPU = "avx512" }, "system": func(p *Program) { p.Arch = "arm64" },
		"unreadable": func(p *Program) { p.Binary = "" },
	} {
		now := p
		change(&now)
		if got := p.compare(now); bitsPromised(got) || DataDiffer(got) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	f := example().Folds[0]
	threads, kernels, precision, gpu := f, f, f, f
	threads.Device = "cpu (avx2, 16 threads)"
	kernels.Device = "cpu (avx512, 2 threads)"
	precision.Precision = "bf16"
	gpu.Device = "NVIDIA A100"
	for name, c := range map[string]struct {
		a, b Fold
		same bool
	}{"threads": {f, threads, true}, "kernels": {f, kernels, false}, "precision": {f, precision, false}, "gpu": {gpu, gpu, false}} {
		if why := otherDevice(c.a, c.b); (why == "") != c.same {
			t.Errorf("%s: %q", name, why)
		}
	}
	gpu.Deterministic = true
	if why := otherDevice(gpu, gpu); why != "" {
		t.Error(why)
	}
}

func TestResultsAgreeWithinTheInterval(t *testing.T) {
	nan := evaluate.Number(math.NaN())
	at := func(v evaluate.Number) []Label {
		return []Label{{Name: "L", Accuracy: evaluate.Estimate{Value: v, Low: v - 0.1, High: v + 0.1}, Values: []Value{
			{"one", evaluate.Estimate{Value: v, Low: v - 0.05, High: v + 0.05}}, {"two", evaluate.Estimate{Value: nan, Low: nan, High: nan}}}}}
	}
	got := compareResults(at(0.8), at(0.87))
	if len(got) != 3 || !got[0].Agrees || got[1].Agrees || !got[2].Agrees {
		t.Errorf("got %+v", got)
	}
	if got := compareResults(at(0.8), nil); len(got) != 1 || got[0].Agrees {
		t.Errorf("got %+v", got)
	}
}

// A folder that holds the reproduction of one lock is not taken for another.
func TestFoldersAreClaimed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "reproduced")
	for range 2 {
		if err := example().claim(dir); err != nil {
			t.Fatal(err)
		}
	}
	other := example()
	other.Folds[0].Recipe = json.RawMessage(`{"seed":2}`)
	if err := other.claim(dir); !errors.Is(err, ErrOtherLock) {
		t.Error(err)
	}
}

// Pretrained weights are wanted, and must be those of the lock.
func TestPretrainedWeightsAreWanted(t *testing.T) {
	l := example()
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := os.WriteFile(path, []byte("weights"), 0o644); err != nil {
		t.Fatal(err)
	}
	digest, err := provenance.DigestFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := &Options{}
	if err := o.checkPretrained(l); err != nil {
		t.Error(err)
	}
	l.Folds[0].Pretrained = digest
	if err := o.checkPretrained(l); !errors.Is(err, ErrPretrained) || !strings.Contains(err.Error(), digest) {
		t.Error(err)
	}
	o.Pretrained = path
	if err := o.checkPretrained(l); err != nil {
		t.Error(err)
	}
	l.Folds[0].Pretrained = "sha256:0"
	if err := o.checkPretrained(l); !errors.Is(err, ErrPretrained) {
		t.Error(err)
	}
}
