// Package jobgraph is the work on a task as a graph: steps of commands, what they wait for, what they need, and which
// of them are done, as the files say.
package jobgraph

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/task"
)

// Names of the steps.
const (
	Measure    = "measure"    // shards measure their cases
	Plan       = "plan"       // the plans are made
	Preprocess = "preprocess" // shards preprocess their cases, or one process does all of this
	Check      = "check"      // what no shard has done is done, and the folds are drawn
	Train      = "train"      // a fold each, with each recipe and seed
	Evaluate   = "evaluate"   // the folds of a recipe and seed together
	Compare    = "compare"    // the other recipes with the first
)

// Step is a list of commands that may run at the same time, once all commands of the steps in After have ended well.
type Step struct {
	Name     string
	After    []string
	Commands []Command
	Needs    Needs // of each command
}

// Command is one run of uc.
type Command struct {
	Name    string            // unique in the graph, and fit for a file's name
	Args    []string          // of uc
	Env     map[string]string // in addition to the folders of the graph
	Resumes string            // folder of the fold, if the command trains one: it is continued where a checkpoint is there
}

// Needs is what a command takes of a machine.
type Needs struct {
	CPUs   int
	GPUs   int
	Memory int64 // bytes
	Time   time.Duration
}

// Options say what shall be done with a task.
type Options struct {
	Folders  task.Folders
	Task     string // full name
	Folds    []string
	Seeds    int      // trainings of each fold; the first lies where a training by hand does, the others in seed_2, ...
	Trainers []string // recipes
	Plans    string   // identifier
	Shards   int      // processes that divide planning and preprocessing
	Device   string   // of the trainings; empty: what uc takes by itself
	Extra    []string // further arguments of every training
	Estimate Estimate
}

// Graph is the work on a task.
type Graph struct {
	Options Options
	Steps   []Step
}

// New lays out the work. Nothing looks at what is done already; Standing does.
func New(o Options) *Graph {
	g := &Graph{Options: o}
	g.prepare()
	g.train()
	g.evaluate()
	g.compare()
	return g
}

func (g *Graph) add(s Step) { g.Steps = append(g.Steps, s) }

// Step returns the step of a name, nil if there is none.
func (g *Graph) Step(name string) *Step {
	i := slices.IndexFunc(g.Steps, func(s Step) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &g.Steps[i]
}

// prepare adds planning and preprocessing.
func (g *Graph) prepare() {
	o := g.Options
	plan := []string{"plan-and-preprocess", "-t", o.Task}
	needs := o.Estimate.Preprocessing
	if o.Shards <= 1 {
		g.add(Step{Name: Preprocess, Commands: []Command{{Name: Preprocess, Args: append(plan, workers(needs)...)}}, Needs: needs})
		return
	}
	shards := func(step string) (commands []Command) {
		for i := 1; i <= o.Shards; i++ {
			args := append(slices.Clone(plan), "--shard", fmt.Sprintf("%d/%d", i, o.Shards))
			commands = append(commands, Command{Name: fmt.Sprintf("%s-%d", step, i), Args: append(args, workers(needs)...)})
		}
		return commands
	}
	whole := func(step string, more ...string) []Command {
		return []Command{{Name: step, Args: append(append(slices.Clone(plan), more...), workers(needs)...)}}
	}
	g.add(Step{Name: Measure, Commands: shards(Measure), Needs: needs})
	g.add(Step{Name: Plan, After: []string{Measure}, Commands: whole(Plan, "--merge"), Needs: needs})
	g.add(Step{Name: Preprocess, After: []string{Plan}, Commands: shards(Preprocess), Needs: needs})
	g.add(Step{Name: Check, After: []string{Preprocess}, Commands: whole(Check), Needs: needs})
}

// workers bounds planning by what it asks for: a worker needs about a processor.
func workers(n Needs) []string {
	const megabyte = 1 << 20
	return []string{"-tf", strconv.Itoa(n.CPUs), "--memory", strconv.FormatInt(max(1, (n.Memory-program)/megabyte), 10) + "M"}
}

// prepared is the last step of planning and preprocessing.
func (g *Graph) prepared() string {
	if g.Options.Shards <= 1 {
		return Preprocess
	}
	return Check
}

// seedFolder is the folder of results of a seed.
func (o Options) seedFolder(seed int) string {
	if seed <= 1 {
		return o.Folders.Results
	}
	return filepath.Join(o.Folders.Results, fmt.Sprintf("seed_%d", seed))
}

// run is a recipe with a seed.
type run struct {
	trainer string
	seed    int
	folders task.Folders
	name    string // of its commands
	env     map[string]string
}

// runs are all recipes with all seeds.
func (o Options) runs() (all []run) {
	for k, trainer := range o.Trainers {
		for seed := 1; seed <= o.Seeds; seed++ {
			r := run{trainer: trainer, seed: seed, folders: o.Folders}
			r.folders.Results = o.seedFolder(seed)
			if len(o.Trainers) > 1 {
				r.name += fmt.Sprintf("-recipe%d", k+1)
			}
			if o.Seeds > 1 {
				r.name += fmt.Sprintf("-seed%d", seed)
			}
			if seed > 1 {
				r.env = map[string]string{env.Results: r.folders.Results}
			}
			all = append(all, r)
		}
	}
	return all
}

// train adds a training for every fold, recipe and seed.
func (g *Graph) train() {
	o := g.Options
	s := Step{Name: Train, After: []string{g.prepared()}, Needs: o.Estimate.Training}
	for _, r := range o.runs() {
		for _, fold := range o.Folds {
			args := []string{"train", task.DefaultNetwork, r.trainer, o.Task, fold, "-p", o.Plans, "--seed", strconv.Itoa(r.seed),
				"--threads", strconv.Itoa(s.Needs.CPUs), "--workers", strconv.Itoa(s.Needs.CPUs)}
			if o.Device != "" {
				args = append(args, "--device", o.Device)
			}
			s.Commands = append(s.Commands, Command{
				Name: fmt.Sprintf("%s%s-fold%s", Train, r.name, fold), Args: append(args, o.Extra...), Env: r.env,
				Resumes: r.folders.Fold(o.Task, r.trainer, o.Plans, fold),
			})
		}
	}
	g.add(s)
}

// evaluate adds the evaluation of the folds of every recipe and seed.
func (g *Graph) evaluate() {
	o := g.Options
	s := Step{Name: Evaluate, After: []string{Train}, Needs: o.Estimate.Evaluation}
	for _, r := range o.runs() {
		args := append([]string{"evaluate", o.Task, "-tr", r.trainer, "-p", o.Plans, "-f"}, o.Folds...)
		s.Commands = append(s.Commands, Command{Name: Evaluate + r.name, Args: args, Env: r.env})
	}
	g.add(s)
}

// compare adds the comparisons of the other recipes with the first, seed by seed.
func (g *Graph) compare() {
	o := g.Options
	if len(o.Trainers) < 2 {
		return
	}
	s := Step{Name: Compare, After: []string{Evaluate}, Needs: o.Estimate.Evaluation}
	first := map[int]run{}
	for _, r := range o.runs() {
		a, later := first[r.seed]
		if !later {
			first[r.seed] = r
			continue
		}
		of := func(r run) string { return r.folders.Model(o.Task, r.trainer, o.Plans) }
		s.Commands = append(s.Commands, Command{
			Name: Compare + r.name, Args: []string{"compare", of(a), of(r), "-o", filepath.Join(of(r), "comparison")}, Env: r.env,
		})
	}
	g.add(s)
}
