package torture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/cli"
	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/weights"
	"github.com/universal-classifier/uc/pkg/nifti"
)

const (
	faultVariable = "UC_TORTURE_FAULT" // KIND:N, what becomes of the N-th operation of a child
	countVariable = "UC_TORTURE_COUNT" // a file that takes the kinds of all operations
	fullVariable  = "UC_TORTURE"       // full: every operation in every way; K/M: every M-th, from the K-th on; a number: so many
	// of each command, in one way; instead of what 15 seconds allow
	died = 77 // exit code of a child that was ended
)

// TestMain is uc itself where a fault, or a count, is asked for.
func TestMain(m *testing.M) {
	what, count := os.Getenv(faultVariable), os.Getenv(countVariable)
	if what == "" && count == "" {
		os.Exit(m.Run())
	}
	kind, number, _ := strings.Cut(what, ":")
	at, _ := strconv.Atoi(number)
	done := new(counter)
	fault.Install(func(op fault.Op, path string) error {
		if done.next(op) != at {
			return nil
		}
		switch kind {
		case "die":
			os.Exit(died) // nothing deferred runs
		case "EIO":
			return syscall.EIO
		case "ENOSPC":
			if takesSpace(op) {
				return syscall.ENOSPC
			}
		}
		return nil
	})
	code := cli.Execute(os.Args[1:], os.Stdout, os.Stderr)
	if count != "" {
		if err := done.write(count); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// stage is a command of the workflow and what it leaves for good.
type stage struct {
	name    string
	args    func(root string) []string
	again   func(root string) []string // how one continues after it was ended; nil: by the same command
	results []string                   // folders, below the root
}

var stages = []stage{
	{"plan", func(root string) []string {
		return []string{"plan-and-preprocess", "--data-root", root, "-t", "1", "-tf", "1"}
	}, nil, []string{"preprocessed", "raw"}},
	{"train", trainArgs, func(root string) []string {
		if latest, _ := filepath.Glob(filepath.Join(root, "trained_models", "nnUNet", "*", "*", "*", "fold_0", "model_*.safetensors")); len(latest) > 0 {
			return append(trainArgs(root), "-c")
		}
		return trainArgs(root)
	}, []string{"trained_models"}},
	{"predict", func(root string) []string {
		return []string{"predict", "--data-root", root, "-i", filepath.Join(root, "new"), "-o", filepath.Join(root, "out"), "-t", "1", "-f", "0", "--disable_tta", "--device", "cpu"}
	}, nil, []string{"out"}},
	{"evaluate", func(root string) []string {
		return []string{"evaluate", "--data-root", root, "1", "-o", filepath.Join(root, "evaluation")}
	}, nil, []string{"evaluation"}},
}

func trainArgs(root string) []string {
	return []string{"train", "--data-root", root, "3d_fullres", "ClassifierTrainer", "1", "0", "--deterministic", "--device", "cpu",
		"--epochs", "1", "--iterations", "1", "--val-iterations", "1", "--batch-size", "2", "--workers", "1"}
}

// Whichever file operation a command is ended at, fails at or finds the disk full at: the command that is run again
// afterwards leaves what an uninterrupted one leaves.
func TestEveryOperation(t *testing.T) {
	few, first, step := 6, 0, 1
	n, err := strconv.Atoi(os.Getenv(fullVariable))
	patient := err == nil
	if patient {
		few = n
	}
	full := os.Getenv(fullVariable) == "full"
	if n, err := fmt.Sscanf(os.Getenv(fullVariable), "%d/%d", &first, &step); err == nil && n == 2 {
		if first < 0 || step < 1 {
			t.Fatalf("%s=%s", fullVariable, os.Getenv(fullVariable))
		}
		full = true
	}
	if testing.Short() {
		t.Skip("takes a while")
	}
	before := newRoot(t)
	deadline := time.Now().Add(15 * time.Second) // of the shortened run, on whatever machine
	for _, s := range stages {
		after := filepath.Join(t.TempDir(), "after")
		testutil.CopyFolder(t, before, after)
		count := filepath.Join(t.TempDir(), "count")
		if code, said := run(t, []string{countVariable + "=" + count}, s.args(after)...); code != 0 {
			t.Fatalf("%s without a fault: exit code %d\n%s", s.name, code, said)
		}
		b, err := os.ReadFile(count)
		if err != nil {
			t.Fatal(err)
		}
		operations := strings.Split(string(b), "\n")
		if len(operations) < 5 {
			t.Fatalf("%s: operations %q", s.name, operations)
		}
		want := results(t, after, s)
		t.Run(s.name, func(t *testing.T) {
			tried := 0
			for i, at := range order(len(operations), full, first, step) {
				kinds := []string{"die", "EIO"}
				if takesSpace(fault.Op(operations[at])) {
					kinds = append(kinds, "ENOSPC")
				}
				if !full {
					kinds = kinds[i%len(kinds):][:1]
				}
				if !full && (i > 0 && !patient && time.Now().After(deadline) || i >= few) {
					break
				}
				for _, kind := range kinds {
					s.torture(t, before, want, fmt.Sprintf("%s:%d", kind, at))
					tried++
				}
			}
			t.Logf("%s: %d operations, %d faults", s.name, len(operations), tried)
		})
		before = after
	}
}

// order is in which order operations are failed: every step-th in turn, or a few, spread out, that differ from run to
// run.
func order(operations int, full bool, first, step int) []int {
	if !full {
		return rand.Perm(operations)
	}
	var all []int
	for i := first; i < operations; i += step {
		all = append(all, i)
	}
	return all
}

// torture runs a command with a fault, then again without, and compares.
func (s stage) torture(t *testing.T, before string, want map[string]string, what string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	defer os.RemoveAll(root)
	testutil.CopyFolder(t, before, root)
	code, said := run(t, []string{faultVariable + "=" + what}, s.args(root)...)
	if strings.Contains(said, "goroutine ") || strings.HasPrefix(what, "die") && code != died {
		t.Errorf("%s with %s: exit code %d\n%s", s.name, what, code, said)
	}
	args := s.args
	if code != 0 && s.again != nil {
		args = s.again
	}
	if code == 0 && strings.HasPrefix(what, "E") && s.again != nil {
		s.same(t, root, want, what, said)
		return
	}
	if code, said := run(t, nil, args(root)...); code != 0 {
		t.Errorf("%s after %s: exit code %d\n%s", s.name, what, code, said)
		return
	}
	s.same(t, root, want, what, said)
}

func (s stage) same(t *testing.T, root string, want map[string]string, what, said string) {
	t.Helper()
	got := results(t, root, s)
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s after %s: %s differs from an uninterrupted run's (the run said %s)", s.name, what, name, said)
		}
	}
	for name := range got {
		if _, known := want[name]; !known {
			t.Errorf("%s after %s: %s is left over", s.name, what, name)
		}
	}
}

func run(t *testing.T, env []string, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), env...)
	if len(env) == 0 {
		cmd.Env = append(cmd.Env, faultVariable+"=none:-1")
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// volatile are files that two equal runs write differently, or once a run.
func volatile(name string) bool {
	base := filepath.Base(name)
	return strings.HasPrefix(base, "training_log_") || strings.HasPrefix(base, "events.out.tfevents.") || strings.HasSuffix(base, ".lock") || strings.HasSuffix(base, ".png") ||
		slices.Contains([]string{"case_records.json", "debug.json", "report.html"}, base) ||
		strings.HasPrefix(base, "model_") && strings.HasSuffix(base, ".json")
}

// results reads what a command leaves: name -> content. Of a checkpoint that is its tensors, as its metadata hold
// times.
func results(t *testing.T, root string, s stage) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range s.results {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil || volatile(name) {
				return err
			}
			if strings.HasSuffix(name, ".safetensors") {
				sd, _, err := weights.ReadSafetensors(path)
				if err != nil {
					return err
				}
				sum := ""
				for _, n := range sd.Names() {
					sum += fmt.Sprintf("%s %x\n", n, hash(sd.Get(n)))
				}
				out[name] = sum
				return nil
			}
			b, err := os.ReadFile(path)
			out[name] = strings.ReplaceAll(string(b), root, "ROOT")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// newRoot is a data root with a task of five cases without masks, and two more to predict.
func newRoot(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "before")
	dir := filepath.Join(root, "raw", "nnUNet_raw_data", "Task001_Torture")
	var training []map[string]any
	for i := range 7 {
		id, folder := fmt.Sprintf("case_%d", i), filepath.Join(dir, "imagesTr")
		if i >= 5 {
			folder = filepath.Join(root, "new")
		} else {
			training = append(training, map[string]any{"image": "./imagesTr/" + id + ".nii.gz", "Y": i % 2})
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		g := volume.Geometry{Size: [3]int{16, 18, 20}, Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
		im := &volume.Image{Geometry: g, Data: make([]float32, g.Voxels())}
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for k := range im.Data {
			im.Data[k] = float32(int(100 + 20*rng.NormFloat64() + 30*float64(i%2)))
		}
		if err := nifti.WriteImage(filepath.Join(folder, id+"_0000.nii.gz"), im); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{
		"name": "Torture", "modality": map[string]string{"0": "MRI"}, "training": training, "numTraining": len(training),
		"classification_labels": []any{map[string]any{"name": "Y", "ordinal": false, "values": map[string]string{"0": "no", "1": "yes"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dataset.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}
