package jobgraph

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/task"
)

// Files in the folder of the jobs.
const (
	graphFile  = "graph.json"
	logsFolder = "logs"
)

// ErrNone is wrapped when no jobs have been laid out for a task.
var ErrNone = errors.New("no jobs")

// Folder is where the jobs of a task are laid out: scripts, logs, and what was sent.
func Folder(f task.Folders, name string) string {
	return filepath.Join(f.PreprocessedTask(name), "jobs")
}

// Folder is the folder of the graph's jobs.
func (g *Graph) Folder() string { return Folder(g.Options.Folders, g.Options.Task) }

// Logs is the folder of what commands print, and of their exit codes.
func (g *Graph) Logs() string { return filepath.Join(g.Folder(), logsFolder) }

// Log is the file that a command's output goes to.
func (g *Graph) Log(c Command) string { return filepath.Join(g.Logs(), c.Name+".log") }

// exitFile holds the exit code of a command's last run; there is none while it runs, or if its machine was lost.
func (g *Graph) exitFile(c Command) string {
	return filepath.Join(g.Logs(), c.Name+".exit")
}

// Exit returns the exit code of a command's last run; false if that has not ended or did not get to its end.
func (g *Graph) Exit(c Command) (code int, ended bool) {
	const short = 64
	b, err := infile.ReadFile(g.exitFile(c), short)
	if err != nil {
		return 0, false
	}
	code, err = strconv.Atoi(strings.TrimSpace(string(b)))
	return code, err == nil
}

// Begin forgets the exit code of an earlier run.
func (g *Graph) Begin(c Command) error { return atomicfile.Remove(g.exitFile(c)) }

// End keeps the exit code of a run.
func (g *Graph) End(c Command, code int) error {
	return atomicfile.WriteBytes(g.exitFile(c), []byte(strconv.Itoa(code)+"\n"))
}

// Save writes the graph to its folder, for whoever asks about the jobs later.
func (g *Graph) Save() error {
	if err := atomicfile.MkdirAll(g.Logs()); err != nil {
		return err
	}
	return jsonfile.WriteIfNew(filepath.Join(g.Folder(), graphFile), g, jsonfile.Indent)
}

// Load reads the graph of a task's jobs. The folders are those given: a data root may lie elsewhere on another machine.
func Load(f task.Folders, name string) (*Graph, error) {
	var g Graph
	err := jsonfile.Read(filepath.Join(Folder(f, name), graphFile), &g)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w were submitted", name, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	g.Options.Folders, g.Options.Task = f, name
	return New(g.Options), nil
}

// Resume returns the arguments of a command as they are to be run now: those of a training that was stopped continue
// it.
func Resume(c Command) []string {
	if c.Resumes == "" || !checkpoint.Any(c.Resumes) {
		return c.Args
	}
	return append(c.Args[:len(c.Args):len(c.Args)], "-c")
}

// Environment is the environment of a command, in addition to that of the process.
func (g *Graph) Environment(c Command) map[string]string {
	f := g.Options.Folders
	all := map[string]string{env.RawData: f.Raw, env.Preprocessed: f.Preprocessed, env.Results: f.Results}
	for name, value := range c.Env {
		all[name] = value
	}
	return all
}

// Missing are the commands of a step that are not done.
func Missing(s Step, p map[string]Progress) (todo []int) {
	for i, c := range s.Commands {
		if !p[c.Name].Done {
			todo = append(todo, i)
		}
	}
	return todo
}
