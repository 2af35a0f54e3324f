// Command doubt measures on a trained model how well doubt is known: coverage of prediction sets and false alarms over
// repeated divisions of the held-out cases, accuracy of the confident ones, and which planted outliers are flagged. The
// tables are those of docs/ACCURACY.md.
//
//	go run ./scripts/doubt -data-root DIR -task 801 -trainer ClassifierTrainer -other SCAN.nii.gz
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/crossvalidation"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/doubt"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/reliability"
	"github.com/universal-classifier/uc/internal/task"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var s study
	var root, id string
	flag.StringVar(&root, "data-root", "", "folder with raw, preprocessed and trained_models")
	flag.StringVar(&id, "task", "", "id or name of the task")
	flag.StringVar(&s.trainer, "trainer", task.DefaultTrainer, "trainer of the model")
	flag.StringVar(&s.other, "other", "", "scan of another organ, to plant")
	flag.IntVar(&s.splits, "splits", 20, "how often the held-out cases are divided")
	flag.IntVar(&s.planted, "planted", 40, "how many cases outliers are made of")
	flag.Parse()
	var err error
	if s.folders, err = task.ResolveFolders(root); err == nil {
		err = s.run(ctx, id)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "doubt:", err)
		os.Exit(1)
	}
}

// study is what the command line asks for, and what it is about.
type study struct {
	folders         task.Folders
	trainer, other  string
	splits, planted int

	name   string
	report *evaluate.Report
	model  string
	labels []task.Label
	values map[string][]float64 // plain numbers per case
}

func (s *study) run(ctx context.Context, id string) error {
	t, err := task.Load(s.folders, id)
	if err != nil {
		return err
	}
	s.name, s.labels, s.values = t.Name, t.Dataset.Labels, map[string][]float64{}
	result, err := crossvalidation.Measure(crossvalidation.Options{Folders: s.folders, Task: t.Name, Trainer: s.trainer, Plans: task.DefaultPlans, Warn: func(err error) { fmt.Fprintln(os.Stderr, err) }})
	if err != nil {
		return err
	}
	s.report, s.model = result.Report, result.Model
	p, err := plan.Load(filepath.Join(s.folders.PreprocessedTask(t.Name), plan.File(task.DefaultPlans)))
	if err != nil {
		return err
	}
	for _, c := range s.report.Predictions {
		of, err := dataset.ReadProperties(s.folders.Stage(t.Name, p.DataIdentifier), c.Case)
		if err != nil {
			return err
		}
		s.values[c.Case] = doubt.Values(&of)
	}
	random := rand.New(rand.NewPCG(1, 2))
	if err := s.shares(ctx, random); err != nil {
		return err
	}
	return s.outliers(ctx, t, random)
}

// learnedFor1 is how many cases are learned from for each that is judged.
const learnedFor1 = 4

// divide learns from most of every fold's held-out cases and returns the others.
func (s *study) divide(random *rand.Rand) (*doubt.Model, []evaluate.Prediction) {
	var learned, rest []evaluate.Prediction
	for _, i := range random.Perm(len(s.report.Predictions)) {
		p := s.report.Predictions[i]
		p.Calibrated, p.Doubt = nil, nil
		count := func(of []evaluate.Prediction) (n int) {
			for _, q := range of {
				if q.Fold == p.Fold {
					n++
				}
			}
			return n
		}
		if count(learned) < learnedFor1*(count(rest)+1) {
			learned = append(learned, p)
		} else {
			rest = append(rest, p)
		}
	}
	r := evaluate.Evaluate(s.labels, learned)
	r.MadeFrom = s.report.MadeFrom
	values := maps.Clone(s.values)
	for _, p := range rest {
		delete(values, p.Case)
	}
	return doubt.Learn(r, values, reliability.Options{}), rest
}

// shares judges cases that had no part in what is known, each by the network that held it out.
func (s *study) shares(ctx context.Context, random *rand.Rand) error {
	type tally struct{ hits, all float64 }
	counts := map[string]*tally{}
	var names []string
	add := func(name string, hit bool) {
		if counts[name] == nil {
			counts[name] = &tally{}
			names = append(names, name)
		}
		if counts[name].all++; hit {
			counts[name].hits++
		}
	}
	for range s.splits {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, rest := s.divide(random)
		for _, p := range rest {
			m.Judge(&p, []string{p.Fold}, s.values[p.Case])
			for at, l := range s.labels {
				set, class := p.Doubt.Labels[at].Set, evaluate.Argmax(p.Probabilities[at])
				add(l.Name+": sets hold the true class", slices.Contains(set, p.Targets[at]))
				add(fmt.Sprintf("%s: sets hold the true class, cases of %s", l.Name, l.Values[p.Targets[at]]), slices.Contains(set, p.Targets[at]))
				confident := len(set) == 1 && set[0] == class && (p.Doubt.Outlier == nil || !p.Doubt.Outlier.Flag)
				add(l.Name+": confident", confident)
				if confident {
					add(l.Name+": right, of the confident", class == p.Targets[at])
				} else {
					add(l.Name+": right, of the rest", class == p.Targets[at])
				}
			}
			if o := p.Doubt.Outlier; o != nil {
				if o.Measures != nil {
					add("flagged by plain numbers", *o.Measures <= reliability.FalseAlarms)
				}
				if o.Features != nil {
					add("flagged by features", *o.Features <= reliability.FalseAlarms)
				}
			}
		}
	}
	fmt.Printf("\n%s, %d times: learned from four fifths of %d held-out cases, measured on the fifth\n\n| | share |\n|---|---|\n", s.name, s.splits, len(s.report.Predictions))
	for _, name := range names {
		fmt.Printf("| %s | %.3f |\n", name, counts[name].hits/counts[name].all)
	}
	for _, l := range s.report.Labels {
		if d := l.Doubt; d != nil {
			fmt.Printf("\n%s: AUC %s, of the %d confident cases of %d %s\n", l.Name, d.AUC, d.Confident, l.Cases, d.AUCConfident)
		}
	}
	return nil
}
