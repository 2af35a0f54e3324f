package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/explain"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/readable"
	"github.com/universal-classifier/uc/internal/task"
)

// heats opens the model of a report for heat maps: of every label the predicted class, by the folds that had not seen
// the case, without mirror images, since each would cost as much again. Whoever gets the function calls done.
func (f *evaluateFlags) heats(cmd *cobra.Command, r *evaluate.Report, t *task.Task, d progress.Reporter) (heat func(context.Context, task.Case) ([]preview.Heat, error), done func(), err error) {
	dir := t.Folders.Model(t.Name, f.model.trainer, f.model.plans)
	folds := r.Folds
	if r.External {
		folds = f.folds
	}
	m, err := explain.Open(dir, explain.Options{Folds: folds, Device: f.device, GPU: f.gpu, Threads: f.threads, NoWait: f.noWait, DisableTTA: true}, d)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string][]string{} // folds that had not seen the case
	predicted := map[string][]int{}
	for _, p := range r.Predictions {
		if p.Fold != "" && !r.External {
			seen[p.Case] = strings.Split(p.Fold, "+")
		}
		for _, probabilities := range p.Probabilities {
			predicted[p.Case] = append(predicted[p.Case], evaluate.Argmax(probabilities))
		}
	}
	heat = func(ctx context.Context, c task.Case) ([]preview.Heat, error) {
		prepared, err := preprocess.Case(ctx, c, m.Plans())
		if err != nil {
			return nil, err
		}
		e, err := m.Prepared(ctx, c.ID, prepared, seen[c.ID]...)
		if err != nil {
			return nil, err
		}
		var out []preview.Heat
		for i := range e.Maps {
			h := &e.Maps[i]
			label := m.Labels()[h.Label]
			name := fmt.Sprintf("%s: %s", readable.Name(label.Name), readable.Name(label.Values[h.Class]))
			// Without mirror images another class may come first than in the report.
			if of := predicted[c.ID]; h.Label < len(of) && of[h.Label] != h.Class {
				name += " (predicted without mirror images)"
			}
			out = append(out, preview.Heat{Name: name, Image: e.Original(h)})
		}
		return out, nil
	}
	done = func() {
		if err := m.Close(); err != nil {
			d.Warn("%v", err)
		}
	}
	return heat, done, nil
}
