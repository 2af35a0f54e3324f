// Package external compares an external test set with the cases that a model was trained on: how it differs, and what
// it shares with them.
package external

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/drift"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/leak"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// Compare reads every scan of the task's training cases and of its test cases once, in constant memory, and returns in
// which numbers they differ (sizes, spacings and extents of the first modality, mean and SD of the intensities of each,
// shares of the classes), and what they share: scans, patients, names.
func Compare(ctx context.Context, t *task.Task, test []task.Case, r progress.Reporter) (differences []drift.Difference, shared []string, err error) {
	training := t.Dataset.Cases
	cases := slices.Concat(training, test)
	numbers := make([][]number, len(cases))
	var watcher leak.Watcher
	r.Stage("comparing the test set with the training cases", len(cases))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range cases {
		group.Go(func() (err error) {
			numbers[i], err = measure(groupCtx, c, i >= len(training), &watcher)
			r.Advance(c.ID)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	differences = compare(numbers[:len(training)], numbers[len(training):])
	differences = append(differences, classMix(t.Dataset.Labels, training, test)...)
	r.Stage("looking for scans in both", 0)
	duplicates, err := watcher.Duplicates(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range duplicates {
		if d.Test[0] != d.Test[1] {
			shared = append(shared, d.String())
		}
	}
	return differences, append(shared, sharedNames(training, test)...), nil
}

// number is one of the numbers of a case.
type number struct {
	name  string
	value float64
}

// measure takes the numbers of a case.
func measure(ctx context.Context, c task.Case, test bool, watcher *leak.Watcher) ([]number, error) {
	var out []number
	for m, path := range c.Images {
		visit, done := watcher.Watch(c, m, test)
		var grid volume.Geometry
		var n int
		var sum, squares, origin float64
		err := imagefile.Scan(path, func(g volume.Geometry, values []float32) error {
			if n == 0 {
				grid, origin = g, float64(values[0])
			}
			for _, v := range values {
				x := float64(v) - origin
				sum += x
				squares += x * x
			}
			n += len(values)
			visit(g, values)
			return ctx.Err()
		})
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
		done()
		if m == 0 {
			for d, axis := range []string{"z", "y", "x"} {
				out = append(out, number{"size " + axis + " [voxels]", float64(grid.Size[d])}, number{"spacing " + axis + " [mm]", grid.Spacing[d]},
					number{"extent " + axis + " [mm]", float64(grid.Size[d]) * grid.Spacing[d]})
			}
		}
		mean := sum / float64(n)
		out = append(out, number{fmt.Sprintf("mean intensity, modality %d", m), origin + mean},
			number{fmt.Sprintf("SD of intensities, modality %d", m), math.Sqrt(max(0, squares/float64(n)-mean*mean))})
	}
	slices.SortStableFunc(out, func(a, b number) int { return strings.Compare(kind(a.name), kind(b.name)) })
	return out, nil
}

// kind brings numbers of one kind together: sizes, then spacings, extents and intensities.
func kind(name string) string {
	for i, start := range []string{"size", "spacing", "extent"} {
		if strings.HasPrefix(name, start) {
			return fmt.Sprint(i)
		}
	}
	return "9"
}

// compare compares the numbers of two cohorts, which are in one order.
func compare(training, test [][]number) []drift.Difference {
	column := func(rows [][]number, k int) []float64 {
		out := make([]float64, len(rows))
		for i, r := range rows {
			out[i] = r[k].value
		}
		return out
	}
	var out []drift.Difference
	for k, n := range test[0] {
		out = append(out, drift.Compare(n.name, column(training, k), column(test, k)))
	}
	return out
}

// classMix compares the shares of the classes; of two it is that of the second.
func classMix(labels []task.Label, training, test []task.Case) []drift.Difference {
	var out []drift.Difference
	for at, l := range labels {
		first := 0
		if len(l.Values) == 2 {
			first = 1
		}
		for class := first; class < len(l.Values); class++ {
			of := func(cases []task.Case) []float64 {
				shares := make([]float64, len(cases))
				for i, c := range cases {
					if c.Targets[at] == class {
						shares[i] = 1
					}
				}
				return shares
			}
			out = append(out, drift.Compare(fmt.Sprintf("share of %s = %s", l.Name, l.Values[class]), of(training), of(test)))
		}
	}
	return out
}

// sharedNames names the patients of the test set that trained, and its cases that are called as training cases are.
func sharedNames(training, test []task.Case) []string {
	patients, ids := map[string]string{}, map[string]bool{}
	for _, c := range training {
		ids[c.ID] = true
		if c.Patient != "" {
			patients[c.Patient] = c.ID
		}
	}
	var shared []string
	for _, c := range test {
		if other, both := patients[c.Patient]; both && c.Patient != "" {
			shared = append(shared, fmt.Sprintf("test case %s is of patient %s, of whom training case %s is, too: remove it from the test set", c.ID, c.Patient, other))
		}
		if ids[c.ID] {
			shared = append(shared, fmt.Sprintf("test case %s has the name of a training case: rename one of them if they are different scans, else remove it from the test set", c.ID))
		}
	}
	return shared
}
