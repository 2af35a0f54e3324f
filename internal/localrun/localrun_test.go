package localrun

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// told keeps what a run says.
type told struct {
	progress.Reporter
	mu    sync.Mutex
	lines []string
}

func (t *told) Note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(args) > 0 {
		if name, ok := args[0].(string); ok {
			t.lines = append(t.lines, strings.Replace(format, "%s", name, 1))
		}
	}
}

func (t *told) begun() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lines {
		if name, ok := strings.CutSuffix(l, ": begins"); ok {
			names = append(names, name)
		}
	}
	return names
}

// graph is the work on a made-up task, and a program that runs the text instead of uc.
func graph(t *testing.T, text string) (*jobgraph.Graph, string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(4))
	needs := jobgraph.Needs{CPUs: 1, Memory: 1 << 20, Time: time.Hour}
	g := jobgraph.New(jobgraph.Options{
		Folders: f, Task: cohorttest.Task, Folds: []string{"0", "1"}, Seeds: 1, Trainers: []string{task.DefaultTrainer}, Plans: task.DefaultPlans, Shards: 2,
		Estimate: jobgraph.Estimate{Preprocessing: needs, Training: needs, Evaluation: needs},
	})
	program := filepath.Join(t.TempDir(), "uc")
	if err := os.WriteFile(program, []byte("#!"+bash+"\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return g, program
}

var enough = Options{CPUs: 2, Memory: 1 << 30}

// Everything that needs what failed does not run; everything else does.
func TestWhatNeedsAFailureDoesNotRun(t *testing.T) {
	g, program := graph(t, `echo "$nnUNet_preprocessed $*"; [ "$3" != 1 ] && case "$*" in *"train 3d_fullres ClassifierTrainer Task007_MadeUp 1"*) echo "no luck" >&2; exit 3;; esac; exit 0`)
	o := enough
	o.Program = program
	said := &told{Reporter: progress.Discard}
	err := Run(t.Context(), g, o, said)
	if err == nil || !strings.Contains(err.Error(), "train-fold1") || !strings.Contains(err.Error(), "evaluate") || strings.Contains(err.Error(), "train-fold0") {
		t.Errorf("%v", err)
	}
	begun := said.begun()
	want := []string{"check", "measure-1", "measure-2", "plan", "preprocess-1", "preprocess-2", "train-fold0", "train-fold1"}
	if sorted := slices.Sorted(slices.Values(begun)); !slices.Equal(sorted, want) {
		t.Errorf("begun: %v", begun)
	}
	for _, order := range [][2]string{{"measure-2", "plan"}, {"plan", "preprocess-1"}, {"preprocess-2", "check"}, {"check", "train-fold0"}} {
		if slices.Index(begun, order[0]) > slices.Index(begun, order[1]) {
			t.Errorf("%s began after %s: %v", order[0], order[1], begun)
		}
	}
	failed := g.Step(jobgraph.Train).Commands[1]
	if code, ended := g.Exit(failed); !ended || code != 3 {
		t.Errorf("exit code %d, %v", code, ended)
	}
	lines, _ := jobgraph.Tail(g.Log(failed), 1<<16)
	if len(lines) < 3 || lines[len(lines)-1] != "no luck" || !strings.HasPrefix(lines[len(lines)-2], g.Options.Folders.Preprocessed) {
		t.Errorf("log: %q", lines)
	}
}

// When the context ends, commands are told to end and given the time to do so, and nothing further begins.
func TestStop(t *testing.T) {
	g, program := graph(t, `trap 'echo saved; exit 130' TERM; echo up; for i in $(seq 100); do sleep 0.1; done`)
	o := enough
	o.Program, o.Jobs = program, 1
	ctx, cancel := context.WithCancel(t.Context())
	first := g.Step(jobgraph.Measure).Commands[0]
	go func() {
		defer cancel()
		for range 100 {
			if lines, _ := jobgraph.Tail(g.Log(first), 1<<10); slices.Contains(lines, "up") {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	said := &told{Reporter: progress.Discard}
	if err := Run(ctx, g, o, said); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if begun := said.begun(); !slices.Equal(begun, []string{first.Name}) {
		t.Errorf("begun: %v", begun)
	}
	if lines, _ := jobgraph.Tail(g.Log(first), 1<<10); !slices.Contains(lines, "saved") {
		t.Errorf("the command was not given the time to save: %q", lines)
	}
	if _, ended := g.Exit(first); ended {
		t.Error("a stopped command counts as one that ended")
	}
}
