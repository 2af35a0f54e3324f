package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/gonum/floats"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/task"
)

func readResults(path string) (all []result, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := json.NewDecoder(bufio.NewReader(f)); ; {
		var r result
		if err := lines.Decode(&r); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, r)
	}
}

func appendResult(path string, r *result) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err == nil {
		_, err = f.Write(append(text, '\n'))
	}
	return errors.Join(err, f.Close())
}

// Marks of the part of the page that writeTables owns.
const (
	beginMark = "<!-- study: written by scripts/recipes -->"
	endMark   = "<!-- end of study -->"
)

// writeTables puts the tables of the results into the page, between the marks. The targets come from the cohorts, which
// are prepared if need be.
func (s *study) writeTables(ctx context.Context, page string) error {
	all, err := readResults(s.results)
	if err != nil {
		return err
	}
	if err := s.addTargets(ctx, all); err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return fmt.Errorf("%s: expected the marks %q and %q", page, beginMark, endMark)
	}
	return atomicfile.WriteBytes(page, []byte(before+beginMark+"\n"+tables(all)+endMark+after))
}

// addTargets completes the results with the classes of their cases.
func (s *study) addTargets(ctx context.Context, all []result) error {
	root := filepath.Join(s.work, "data")
	folders, err := task.ResolveFolders(root)
	if err != nil {
		return err
	}
	for _, c := range cohorts {
		if !slices.ContainsFunc(all, func(r result) bool { return r.Cohort == c.name }) {
			continue
		}
		if err := s.prepare(ctx, c, root, folders); err != nil {
			return err
		}
		targets, err := targetsOf(folders, c)
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].Cohort != c.name {
				continue
			}
			split, err := splitOf(folders, c.task, all[i].Fold)
			if err != nil {
				return err
			}
			for _, id := range slices.Sorted(slices.Values(split.Val)) {
				all[i].targets = append(all[i].targets, targets[id])
			}
			if len(all[i].targets) != len(all[i].Probabilities) {
				return fmt.Errorf("%s: %d predictions for %d cases: the cohort or its folds are not those of the results", all[i].key(), len(all[i].Probabilities), len(all[i].targets))
			}
		}
	}
	return nil
}

// group is the trainings of one row.
type group struct {
	recipe string
	scale  float64
	mirror bool
	runs   []result
}

// tables is a table for every cohort with a row for every recipe and length.
func tables(all []result) string {
	var b strings.Builder
	for _, c := range cohorts {
		var groups []*group
		for _, r := range all {
			if r.Cohort != c.name {
				continue
			}
			at := slices.IndexFunc(groups, func(g *group) bool { return g.recipe == r.Recipe && g.scale == r.Scale && g.mirror == r.Mirror })
			if at < 0 {
				at = len(groups)
				groups = append(groups, &group{recipe: r.Recipe, scale: r.Scale, mirror: r.Mirror})
			}
			groups[at].runs = append(groups[at].runs, r)
		}
		if len(groups) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", c.title)
		fmt.Fprint(&b, "| recipe | steps | mirror images | folds | seeds | AUC, mean over seeds (lowest to highest); of their mean probabilities | official split | training loss at the end |\n|---|---|---|---|---|---|---|---|\n")
		for _, g := range groups {
			g.write(&b)
		}
	}
	b.WriteString(switchTable(all))
	return b.String()
}

// write writes the row. The AUC of a seed is that of the predictions of all its folds together, each case predicted by
// the network that did not train on it; that of the seeds together, of the means of their probabilities.
func (g *group) write(b *strings.Builder) {
	var pooled, published, losses []float64
	var steps, partial []string // more steps on the published split, which has more training cases
	foldSet, bySeed := map[string]bool{}, map[uint64][]result{}
	for _, r := range g.runs {
		losses = append(losses, r.Loss)
		if n := fmt.Sprint(r.Steps); !slices.Contains(steps, n) {
			steps = append(steps, n)
		}
		if r.Fold == official {
			published = append(published, r.AUC)
			continue
		}
		foldSet[r.Fold], bySeed[r.Seed] = true, append(bySeed[r.Seed], r)
	}
	folds := slices.Sorted(maps.Keys(foldSet))
	var sum *pool // over seeds
	for _, seed := range slices.Sorted(maps.Keys(bySeed)) {
		p := pooledFolds(bySeed[seed])
		one := auc(p.targets, p.scores)
		if !slices.Equal(p.folds, folds) { // other cases than those of the row
			partial = append(partial, fmt.Sprintf("; seed %d, %d of the folds: %.3f", seed, len(p.folds), one))
			continue
		}
		pooled = append(pooled, one)
		if sum == nil {
			sum = p
		} else {
			floats.Add(sum.scores, p.scores)
		}
	}
	together := ""
	if len(pooled) > 1 {
		together = fmt.Sprintf("; together %.3f", auc(sum.targets, sum.scores))
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %d | %s | %s | %.3f |\n", titleOf(g.recipe), strings.Join(steps, ", "), map[bool]string{false: "no", true: "yes"}[g.mirror], strings.Join(folds, ", "), max(len(pooled), len(published)), spread(pooled)+together+strings.Join(partial, ""), spread(published), mean(losses))
}

// pool is the predictions of several folds together.
type pool struct {
	folds   []string
	targets []int
	scores  []float64
}

func pooledFolds(runs []result) *pool {
	var p pool
	slices.SortFunc(runs, func(a, b result) int { return strings.Compare(a.Fold, b.Fold) })
	for _, r := range runs {
		p.folds, p.targets, p.scores = append(p.folds, r.Fold), append(p.targets, r.targets...), append(p.scores, r.Probabilities...)
	}
	return &p
}

// titleOf describes a recipe that the results name.
func titleOf(name string) string {
	for _, r := range recipes {
		if r.name == name {
			return fmt.Sprintf("`%s`: %s", name, r.what)
		}
	}
	if text := dropped[name]; text != "" {
		return fmt.Sprintf("`%s`: %s", name, text)
	}
	return "`" + name + "`"
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func spread(values []float64) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%.3f", values[0])
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", mean(values), slices.Min(values), slices.Max(values))
}
