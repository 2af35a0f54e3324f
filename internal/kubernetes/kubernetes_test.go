package kubernetes

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/task"
)

func example(t *testing.T, name string) *jobgraph.Graph {
	t.Helper()
	dir := t.TempDir()
	needs := jobgraph.Needs{CPUs: 2, GPUs: 1, Memory: 3<<30 + 1, Time: time.Hour}
	return jobgraph.New(jobgraph.Options{
		Folders: task.Folders{Raw: dir, Preprocessed: dir, Results: dir}, Task: name, Folds: []string{"0", "1"}, Seeds: 2,
		Trainers: []string{task.DefaultTrainer}, Plans: task.DefaultPlans, Shards: 3,
		Estimate: jobgraph.Estimate{Preprocessing: jobgraph.Needs{CPUs: 2, Memory: 1 << 30}, Training: needs, Evaluation: needs},
	})
}

// field follows keys and indices into a decoded manifest.
func field(t *testing.T, v any, at ...any) any {
	t.Helper()
	for _, k := range at {
		switch k := k.(type) {
		case string:
			v = v.(map[string]any)[k]
		case int:
			v = v.([]any)[k]
		}
	}
	return v
}

func TestManifests(t *testing.T) {
	g := example(t, "Task012_Über_größe X")
	names, files, err := Manifests(g, Options{Image: "r/uc:1", Claim: "scans", Namespace: "lab", Queue: "q"})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != len(g.Steps)+1 {
		t.Fatalf("%d manifests for %d steps", len(names), len(g.Steps))
	}
	var config map[string]any
	if err := yaml.Unmarshal(files[names[0]], &config); err != nil {
		t.Fatal(err)
	}
	var kept jobgraph.Graph
	if err := json.Unmarshal([]byte(field(t, config, "data", Graph).(string)), &kept); err != nil || kept.Options.Task != g.Options.Task {
		t.Errorf("the graph came back as that of %q: %v", kept.Options.Task, err)
	}
	for i, s := range g.Steps {
		var job map[string]any
		if err := yaml.Unmarshal(files[names[i+1]], &job); err != nil {
			t.Fatal(err)
		}
		pod := field(t, job, "spec", "template", "spec")
		for _, want := range []struct {
			value any
			at    []any
		}{
			{"lab", []any{"metadata", "namespace"}}, {"q", []any{"metadata", "labels", "kueue.x-k8s.io/queue-name"}},
			{true, []any{"spec", "suspend"}}, {"Indexed", []any{"spec", "completionMode"}}, {len(s.Commands), []any{"spec", "completions"}},
			{retries, []any{"spec", "backoffLimitPerIndex"}}, {"Ignore", []any{"spec", "podFailurePolicy", "rules", 0, "action"}},
		} {
			if got := field(t, job, want.at...); got != want.value {
				t.Errorf("%s: %v is %v, want %v", s.Name, want.at, got, want.value)
			}
		}
		for _, want := range []struct {
			value any
			at    []any
		}{
			{false, []any{"automountServiceAccountToken"}}, {true, []any{"securityContext", "runAsNonRoot"}}, {"Never", []any{"restartPolicy"}},
			{true, []any{"containers", 0, "securityContext", "readOnlyRootFilesystem"}}, {false, []any{"containers", 0, "securityContext", "allowPrivilegeEscalation"}},
			{"ALL", []any{"containers", 0, "securityContext", "capabilities", "drop", 0}}, {s.Name, []any{"containers", 0, "args", 3}},
			{"scans", []any{"volumes", 0, "persistentVolumeClaim", "claimName"}}, {fmt.Sprintf("%dMi", (s.Needs.Memory+1<<20-1)>>20), []any{"containers", 0, "resources", "limits", "memory"}},
		} {
			if got := field(t, pod, want.at...); got != want.value {
				t.Errorf("%s: %v is %v, want %v", s.Name, want.at, got, want.value)
			}
		}
		gpu := field(t, pod, "containers", 0, "resources", "limits", "nvidia.com/gpu")
		if (s.Needs.GPUs > 0) != (gpu == "1") {
			t.Errorf("%s: GPUs %v", s.Name, gpu)
		}
		if name := field(t, job, "metadata", "name").(string); len(name) > 55 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("name %q", name)
		}
	}
}

// The script applies a manifest after the job before has completed, and stops at one that has failed.
func TestScriptWaitsForEachStep(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	g := example(t, "Task001_X")
	script, err := Write(g, Options{Image: "r/uc:1", Claim: "scans"})
	if err != nil {
		t.Fatal(err)
	}
	bin, said := t.TempDir(), filepath.Join(t.TempDir(), "said")
	kubectl := "#!" + sh + "\necho \"$@\" >>" + said + "\ncase \"$*\" in *get*check*) echo FailureTarget Failed ;; *get*) echo SuccessCriteriaMet Complete ;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sh, script)
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "uc-task001-x-check has failed") {
		t.Errorf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		verbs = append(verbs, f[0]+" "+f[2])
	}
	want := "apply 00-graph.yaml, apply 01-measure.yaml, get uc-task001-x-measure, apply 02-plan.yaml, get uc-task001-x-plan, apply 03-preprocess.yaml, get uc-task001-x-preprocess, apply 04-check.yaml, get uc-task001-x-check"
	if got := strings.Join(verbs, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
