package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/progress"
)

// sentFile remembers, in the folder of the jobs, what was sent.
const sentFile = "slurm.json"

// ErrActive is wrapped when jobs of a task are sent that are still in the queue.
var ErrActive = errors.New("jobs are waiting or running")

// Sent is an array job that was sent.
type Sent struct {
	Step    string    `json:"step"`
	ID      string    `json:"job"`
	Members []int     `json:"members"` // commands of the step
	Time    time.Time `json:"sent"`
}

// State is where Slurm has a command.
type State struct {
	Job     string // 12_3
	Name    string // PENDING, RUNNING, ...
	Reason  string // why it waits
	Node    string
	Elapsed string
}

// WriteScripts writes the scripts of all steps and returns their files.
func WriteScripts(g *jobgraph.Graph, o Options) ([]string, error) {
	if strings.ContainsAny(g.Folder(), "\n") {
		return nil, fmt.Errorf("the folder of the jobs has a line break in its name: %q", g.Folder())
	}
	if err := g.Save(); err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(filepath.Join(g.Folder(), "slurm")); err != nil {
		return nil, err
	}
	var files []string
	for _, s := range g.Steps {
		path := ScriptFile(g, s)
		if err := atomicfile.WriteIfNew(path, []byte(Script(g, s, o))); err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}

// Submit writes the scripts and sends what is neither done nor in the queue, each step after those it waits for.
// Without resume it is an error that wraps ErrActive if anything is in the queue.
func Submit(ctx context.Context, g *jobgraph.Graph, o Options, resume bool, r progress.Reporter) error {
	active, err := Active(ctx, g)
	if err != nil {
		return err
	}
	if len(active) > 0 && !resume {
		return fmt.Errorf("%s: %d %w", g.Options.Task, len(active), ErrActive)
	}
	if _, err := WriteScripts(g, o); err != nil {
		return err
	}
	before, err := g.Standing(ctx)
	if err != nil {
		return err
	}
	sent, err := load(g)
	if err != nil {
		return err
	}
	ids := map[string][]string{} // jobs that a step after must wait for
	for _, s := range g.Steps {
		var todo []int
		missing := jobgraph.Missing(s, before)
		for _, i := range missing {
			if state, queued := active[s.Commands[i].Name]; queued {
				if id, _, _ := strings.Cut(state.Job, "_"); !slices.Contains(ids[s.Name], id) {
					ids[s.Name] = append(ids[s.Name], id)
				}
			} else {
				todo = append(todo, i)
			}
		}
		if len(todo) == 0 {
			r.Note("%s: nothing to send: %d of %d commands are done, %d in the queue", s.Name, len(s.Commands)-len(missing), len(s.Commands), len(missing))
			continue
		}
		args := []string{"--parsable", "--array=" + Ranges(todo), "--kill-on-invalid-dep=yes"}
		var after []string
		for _, name := range s.After {
			after = append(after, ids[name]...)
		}
		if len(after) > 0 {
			args = append(args, "--dependency=afterok:"+strings.Join(after, ":"))
		}
		for _, i := range todo {
			if err := g.Begin(s.Commands[i]); err != nil {
				return err
			}
		}
		out, err := command(ctx, "sbatch", append(args, ScriptFile(g, s))...)
		if err != nil {
			return err
		}
		id, _, _ := strings.Cut(strings.TrimSpace(out), ";")
		ids[s.Name] = append(ids[s.Name], id)
		sent = append(sent, Sent{s.Name, id, todo, time.Now()})
		if err := save(g, sent); err != nil {
			return err
		}
		waits := ""
		if len(after) > 0 {
			waits = ", after " + strings.Join(after, ", ")
		}
		r.Note("%s: job %s, %d of %d commands%s", s.Name, id, len(todo), len(s.Commands), waits)
	}
	return nil
}

// Active are the commands that are in the queue, by name.
func Active(ctx context.Context, g *jobgraph.Graph) (map[string]State, error) {
	sent, err := load(g)
	if err != nil || len(sent) == 0 {
		return nil, err
	}
	out, err := command(ctx, "squeue", "--me", "--noheader", "--array", "--format=%F|%K|%T|%r|%N|%M")
	if err != nil {
		return nil, err
	}
	active := map[string]State{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "|")
		const fields = 6
		if len(f) != fields {
			continue
		}
		at := slices.IndexFunc(sent, func(s Sent) bool { return s.ID == f[0] })
		member, err := strconv.Atoi(f[1])
		if at < 0 || err != nil {
			continue
		}
		step := g.Step(sent[at].Step)
		if step == nil || member >= len(step.Commands) {
			continue
		}
		active[step.Commands[member].Name] = State{Job: f[0] + "_" + f[1], Name: f[2], Reason: f[3], Node: f[4], Elapsed: f[5]}
	}
	return active, nil
}

// Cancel takes all jobs of a graph out of the queue and says how many there were.
func Cancel(ctx context.Context, g *jobgraph.Graph) (int, error) {
	active, err := Active(ctx, g)
	if err != nil || len(active) == 0 {
		return 0, err
	}
	var jobs []string
	for _, s := range active {
		if id, _, _ := strings.Cut(s.Job, "_"); !slices.Contains(jobs, id) {
			jobs = append(jobs, id)
		}
	}
	slices.Sort(jobs)
	_, err = command(ctx, "scancel", jobs...)
	return len(active), err
}

func load(g *jobgraph.Graph) (sent []Sent, err error) {
	if err := jsonfile.Read(filepath.Join(g.Folder(), sentFile), &sent); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return sent, nil
}

func save(g *jobgraph.Graph, sent []Sent) error {
	return jsonfile.Write(filepath.Join(g.Folder(), sentFile), sent, jsonfile.Indent)
}

// ErrNoSlurm is wrapped when Slurm's commands are not on this machine.
var ErrNoSlurm = errors.New("no Slurm on this machine")

// command runs one of Slurm's commands and returns what it prints.
func command(ctx context.Context, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%w: %w", ErrNoSlurm, err)
	case err != nil:
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
