// Package localrun runs the commands of a graph on this machine, as many at a time as its processors and memory take.
package localrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/interrupt"
	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/progress"
)

// Options say what runs the commands, and how many at a time.
type Options struct {
	Program string // uc
	Jobs    int    // at most so many at a time; 0: as many as fit
	CPUs    int    // processors to share out
	GPUs    int
	Memory  int64 // bytes to share out
}

// patience is how long a command may take to save its work after it was told to end.
const patience = 10 * time.Minute

// Run runs what is missing of the graph. Commands whose steps depend on one that failed do not run; all others do. When
// ctx ends, the commands under way are told to end, and a training saves where it stands.
func Run(ctx context.Context, g *jobgraph.Graph, o Options, r progress.Reporter) error {
	defer interrupt.Hold(ctx)()
	if err := g.Save(); err != nil {
		return err
	}
	before, err := g.Standing(ctx)
	if err != nil {
		return err
	}
	s := &run{Options: o, graph: g, progress: r, ended: make(chan result), free: jobgraph.Needs{CPUs: o.CPUs, GPUs: o.GPUs, Memory: o.Memory}}
	total := 0
	for _, step := range g.Steps {
		todo := jobgraph.Missing(step, before)
		total += len(todo)
		s.left = append(s.left, pending{step, todo})
		if done := len(step.Commands) - len(todo); done > 0 {
			r.Note("%s: %d of %d are done already", step.Name, done, len(step.Commands))
		}
	}
	r.Stage("jobs", total)
	return s.all(ctx)
}

// pending is what is left of a step.
type pending struct {
	jobgraph.Step
	todo []int // commands that have not begun
}

type result struct {
	step    string
	command jobgraph.Command
	needs   jobgraph.Needs
	took    time.Duration
	err     error
}

// run is a graph under way.
type run struct {
	Options
	graph    *jobgraph.Graph
	progress progress.Reporter
	left     []pending
	running  map[string]int // by step
	broken   map[string]bool
	free     jobgraph.Needs
	count    int // running
	ended    chan result
}

func (s *run) all(ctx context.Context) error {
	s.running, s.broken = map[string]int{}, map[string]bool{}
	var failed []error
	for {
		if ctx.Err() == nil {
			s.start(ctx)
		}
		if s.count == 0 {
			break
		}
		done := <-s.ended
		s.count--
		s.running[done.step]--
		s.give(done.needs)
		switch {
		case ctx.Err() != nil:
			s.progress.Note("%s: stopped", done.command.Name)
		case done.err != nil:
			s.broken[done.step] = true
			failed = append(failed, fmt.Errorf("%s: %w", done.command.Name, done.err))
			s.progress.Warn("%s failed after %s: %v; its output is in %s%s", done.command.Name, done.took.Round(time.Second), done.err, s.graph.Log(done.command), s.last(done.command))
		default:
			s.progress.Note("%s: done in %s", done.command.Name, done.took.Round(time.Second))
			s.progress.Advance(done.command.Name)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("jobs interrupted: %w", err)
	}
	if len(failed) > 0 {
		var never []string
		for _, p := range s.left {
			for _, i := range p.todo {
				never = append(never, p.Commands[i].Name)
			}
		}
		if len(never) > 0 {
			failed = append(failed, fmt.Errorf("not run, since they need what failed: %s", strings.Join(never, ", ")))
		}
	}
	return errors.Join(failed...)
}

// start begins what may begin.
func (s *run) start(ctx context.Context) {
	for k := range s.left {
		p := &s.left[k]
		for len(p.todo) > 0 && s.ready(p.Step) && s.take(p.Needs) {
			c := p.Commands[p.todo[0]]
			p.todo = p.todo[1:]
			s.count++
			s.running[p.Name]++
			s.progress.Note("%s: begins", c.Name)
			go func(step string, needs jobgraph.Needs) {
				began := time.Now()
				err := Execute(ctx, s.Program, s.graph, c, nil)
				s.ended <- result{step, c, needs, time.Since(began), err}
			}(p.Name, p.Needs)
		}
	}
}

// ready reports whether the steps that a step waits for have ended well.
func (s *run) ready(step jobgraph.Step) bool {
	for _, name := range step.After {
		i := slices.IndexFunc(s.left, func(p pending) bool { return p.Name == name })
		if i >= 0 && len(s.left[i].todo) > 0 || s.running[name] > 0 || s.broken[name] {
			return false
		}
	}
	return true
}

// take reserves what a command needs, if there is enough; a command alone gets what there is.
func (s *run) take(n jobgraph.Needs) bool {
	if s.Jobs > 0 && s.count >= s.Jobs {
		return false
	}
	if s.count > 0 && (n.CPUs > s.free.CPUs || n.Memory > s.free.Memory || n.GPUs > s.free.GPUs) {
		return false
	}
	s.free.CPUs -= n.CPUs
	s.free.Memory -= n.Memory
	s.free.GPUs -= n.GPUs
	return true
}

func (s *run) give(n jobgraph.Needs) {
	s.free.CPUs += n.CPUs
	s.free.Memory += n.Memory
	s.free.GPUs += n.GPUs
}

// Execute runs a command of a graph to its end, as a process of its own. Its output goes to its log and to also, and
// its exit code is kept next to the log. When ctx ends it is told to end, and may save its work first.
func Execute(ctx context.Context, program string, g *jobgraph.Graph, c jobgraph.Command, also io.Writer) error {
	defer interrupt.Hold(ctx)()
	if err := g.Begin(c); err != nil {
		return err
	}
	log, err := os.OpenFile(g.Log(c), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := jobgraph.Resume(c)
	fmt.Fprintf(log, "\n%s  uc %s\n", time.Now().Format(time.DateTime), strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, program, args...)
	out := io.Writer(log)
	if also != nil {
		out = io.MultiWriter(log, also)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = os.Environ()
	for name, value := range g.Environment(c) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	apart(cmd)
	cmd.Cancel = func() error { return end(cmd.Process) }
	cmd.WaitDelay = patience
	err = cmd.Run()
	if cmd.ProcessState == nil || ctx.Err() != nil { // not begun, or stopped
		return err
	}
	return errors.Join(err, g.End(c, cmd.ProcessState.ExitCode()))
}

// last is what a command printed at its end, on lines of their own.
func (s *run) last(c jobgraph.Command) string {
	const few = 3
	lines, _ := jobgraph.Tail(s.graph.Log(c), 4<<10)
	text := ""
	for _, line := range lines[max(0, len(lines)-few):] {
		text += "\n    " + line
	}
	return text
}
