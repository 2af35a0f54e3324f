package slurm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/task"
)

func TestRanges(t *testing.T) {
	for want, n := range map[string][]int{"": nil, "0": {0}, "0-3": {0, 1, 2, 3}, "1,3-4,9": {1, 3, 4, 9}} {
		if got := Ranges(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	for want, d := range map[string]time.Duration{"0-00:20:00": 20 * time.Minute, "0-08:00:00": 8 * time.Hour, "3-01:05:00": 73*time.Hour + 5*time.Minute} {
		if got := limit(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// A member of the array runs its command with its words, whatever is in them, continues a training that has a
// checkpoint, and leaves its exit code.
func TestScriptRunsItsCommand(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	dir := filepath.Join(t.TempDir(), "it's a $(folder) with spaces")
	f := task.Folders{Raw: filepath.Join(dir, "raw"), Preprocessed: filepath.Join(dir, "preprocessed"), Results: filepath.Join(dir, "results")}
	needs := jobgraph.Needs{CPUs: 2, Memory: 3<<30 + 1, Time: time.Hour}
	g := jobgraph.New(jobgraph.Options{
		Folders: f, Task: "Task001_X", Folds: []string{"0", "1"}, Seeds: 2, Trainers: []string{task.DefaultTrainer}, Plans: task.DefaultPlans, Shards: 2,
		Extra: []string{"--epochs", "3"}, Estimate: jobgraph.Estimate{Preprocessing: needs, Training: needs, Evaluation: needs},
	})
	program := filepath.Join(dir, "uc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// It prints a word a line, and fails for one of the folds.
	text := "#!" + bash + "\nprintf '<%s>\\n' \"$RESULTS_FOLDER\" \"$@\"\n[ \"$5\" != 1 ] || exit 7\n"
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteScripts(g, Options{Program: program, Partition: "p"}); err != nil {
		t.Fatal(err)
	}
	step := g.Step(jobgraph.Train)
	script := ScriptFile(g, *step)
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--cpus-per-task=2", "#SBATCH --mem=3073M", "#SBATCH --time=0-01:00:00", "#SBATCH --partition=p", "#SBATCH --requeue"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the script does not say %q", want)
		}
	}
	stopped := step.Commands[2].Resumes // seed 2, fold 0
	if err := os.MkdirAll(stopped, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stopped, "model_latest.safetensors"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for member, want := range []struct {
		code    int
		results string
		last    string
	}{{0, f.Results, "<3>"}, {7, f.Results, "<3>"}, {0, filepath.Join(f.Results, "seed_2"), "<-c>"}, {7, filepath.Join(f.Results, "seed_2"), "<3>"}} {
		cmd := exec.Command(bash, script)
		cmd.Env = append(os.Environ(), "SLURM_ARRAY_TASK_ID="+string(rune('0'+member)), "SLURM_ARRAY_JOB_ID=5")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != want.code {
			t.Errorf("member %d: %v\n%s", member, err, out)
		}
		c := step.Commands[member]
		if code, ended := g.Exit(c); !ended || code != want.code {
			t.Errorf("member %d: exit code %d, %v", member, code, ended)
		}
		lines, err := jobgraph.Tail(g.Log(c), 1<<16)
		if err != nil || len(lines) == 0 {
			t.Fatalf("member %d: %v, %v", member, lines, err)
		}
		if lines[len(lines)-1] != want.last || !strings.Contains(strings.Join(lines, "\n"), "<"+want.results+">") {
			t.Errorf("member %d: %q", member, lines)
		}
	}
}
