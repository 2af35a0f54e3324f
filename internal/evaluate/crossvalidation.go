package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// usualFolds are the folds of the reference's cross-validation, which there are if nothing else is known.
var usualFolds = []string{"0", "1", "2", "3", "4"}

// CrossValidation pools the validation cases of folds of the model in modelDir: every case was predicted by a network
// that did not train on it. Without folds it takes those of the splits and whichever others there are, but not "all",
// whose validation cases are its training cases. Folds without a validation are named in MissingFolds; it is an error
// if none has one, if a validation is not that of the network in its fold or of the current images, or if the folds
// were made from different plans. A case that several folds hold out counts once, with its mean logits and
// probabilities. Classes are the current ones.
func CrossValidation(modelDir string, folds []string, today Today) (*Report, error) {
	if len(folds) == 0 {
		var err error
		if folds, err = foldsOf(modelDir, today.folds()); err != nil {
			return nil, err
		}
	}
	p := &pool{model: modelDir, today: today, sources: provenance.Sources{}, patients: map[string]string{}}
	if today.Listing != nil {
		for _, c := range today.Listing.Cases {
			p.patients[c.ID] = c.Patient
		}
	}
	validated := map[string]*Fold{}
	for _, fold := range folds {
		f, err := ReadFold(filepath.Join(modelDir, task.FoldDir(fold)))
		if errors.Is(err, ErrNotValidated) {
			p.missing = append(p.missing, fold)
			continue
		}
		if err == nil {
			err = p.check(fold, f)
		}
		if err != nil {
			return nil, fmt.Errorf("fold %s: %w", fold, err)
		}
		validated[fold] = f
	}
	for _, fold := range folds {
		if f := validated[fold]; f != nil {
			if err := p.add(fold, f); err != nil {
				return nil, fmt.Errorf("fold %s: %w", fold, err)
			}
		}
	}
	if p.first == nil {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("%s: no validated fold (looked for %s); train one first, or validate it again",
			modelDir, strings.Join(folds, ", ")), remedy.Train{}, remedy.Train{Mode: remedy.Validate}))
	}
	return p.report()
}

// pool gathers the validations of folds.
type pool struct {
	model        string
	today        Today
	first        *Fold
	firstFold    string
	recorded     *Origin // of the first fold that has one
	recordedFold string
	cases        []Prediction
	perFold      []FoldReport
	missing      []string
	unknown      []string // folds whose validations do not say what they were made from
	gone         []string // cases that dataset.json does not list any more
	corrected    []string
	notes        []string
	sources      provenance.Sources
	patients     map[string]string // of the cases of today
}

// add takes in the validation of a fold.
func (p *pool) add(fold string, f *Fold) error {
	if err := p.update(fold, f); err != nil {
		return err
	}
	for i := range f.Predictions {
		f.Predictions[i].Fold = fold
	}
	p.cases = append(p.cases, f.Predictions...)
	r := Evaluate(f.Labels, f.Predictions)
	for _, w := range r.Warnings {
		p.notes = append(p.notes, fmt.Sprintf("fold %s: %s", fold, w))
	}
	p.perFold = append(p.perFold, FoldReport{Fold: fold, Cases: r.Cases, Labels: withoutCurves(r.Labels)})
	if fold == task.FoldAll {
		p.notes = append(p.notes, "fold all trains on every case: its results are not out-of-fold and tell nothing about new cases")
	}
	return nil
}

// report measures all folds together.
func (p *pool) report() (*Report, error) {
	cases, merged, err := mergeCases(p.cases)
	if err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s: none of the validated cases is listed in %s any more; plan the task and train it anew", p.model, p.today.Listing.Path)
	}
	r := Evaluate(p.first.Labels, cases)
	r.Model = p.model
	if r.Clustered {
		if p.sources["patients"], err = provenance.DigestJSON(p.patients); err != nil {
			return nil, err
		}
	}
	r.Folds = nil
	for _, f := range p.perFold {
		r.Folds = append(r.Folds, f.Fold)
	}
	r.PerFold, r.MissingFolds, r.MadeFrom = p.perFold, p.missing, p.sources
	notes := append(p.todayNotes(cases), p.notes...)
	if len(merged) > 0 {
		notes = append(notes, fmt.Sprintf("%d cases are held out by more than one fold and count once, with their mean prediction: %s",
			len(merged), shortened(merged)))
	}
	if len(p.missing) > 0 {
		notes = append(notes, fmt.Sprintf("folds without a validation: %s; their cases are not in these results", strings.Join(p.missing, ", ")))
	}
	r.Warnings = append(notes, r.Warnings...)
	return r, nil
}

// foldsOf lists the folds of the cross-validation and whichever else modelDir holds, but not "all".
func foldsOf(modelDir string, usual []string) ([]string, error) {
	entries, err := os.ReadDir(modelDir)
	if err != nil {
		err = remedy.With(fmt.Errorf("no trained model: %w; train a fold first", err), remedy.Train{})
		if errors.Is(err, fs.ErrNotExist) {
			err = task.NotTrained(err)
		}
		return nil, err
	}
	folds := slices.Clone(usual)
	for _, e := range entries {
		number, ok := task.NumberedFold(e.Name())
		name := strconv.Itoa(number)
		if !ok || !e.IsDir() || slices.Contains(folds, name) {
			continue
		}
		dir := filepath.Join(modelDir, e.Name())
		if names, _ := Validations(dir); len(names) > 0 || checkpoint.Any(dir) { // a training that was refused leaves a folder, too
			folds = append(folds, name)
		}
	}
	slices.SortFunc(folds, compareNames)
	return folds, nil
}

// mergeCases joins predictions of one case from several folds and lists those cases.
func mergeCases(predictions []Prediction) (out []Prediction, merged []string, err error) {
	byCase := map[string][]Prediction{}
	for _, p := range predictions {
		byCase[p.Case] = append(byCase[p.Case], p)
	}
	for id, group := range byCase {
		p := group[0]
		for _, other := range group[1:] {
			if !slices.Equal(p.Targets, other.Targets) {
				return nil, nil, remedy.With(fmt.Errorf("case %s has targets %v in fold %s, but %v in fold %s; validate the folds again",
					id, p.Targets, p.Fold, other.Targets, other.Fold), remedy.Train{Mode: remedy.Validate})
			}
		}
		if len(group) > 1 {
			merged = append(merged, id)
			p = meanPrediction(group)
		}
		out = append(out, p)
	}
	slices.SortFunc(merged, compareNames)
	return out, merged, nil
}

func meanPrediction(group []Prediction) Prediction {
	mean := group[0]
	folds := make([]string, len(group))
	logits, probabilities := make([][][]float64, len(group)), make([][][]float64, len(group))
	for i, p := range group {
		folds[i], logits[i], probabilities[i] = p.Fold, p.Logits, p.Probabilities
	}
	mean.Fold = strings.Join(folds, "+")
	mean.Logits, mean.Probabilities = meanOf(logits), meanOf(probabilities)
	mean.Members, mean.Features = nil, nil // of several networks, of which each has others
	return mean
}

// meanOf averages (members, labels, classes) over the members.
func meanOf(members [][][]float64) [][]float64 {
	out := make([][]float64, len(members[0]))
	for label := range out {
		out[label] = make([]float64, len(members[0][label]))
		for _, m := range members {
			for class, v := range m[label] {
				out[label][class] += v / float64(len(members))
			}
		}
	}
	return out
}

func withoutCurves(labels []LabelReport) []LabelReport {
	for _, l := range labels {
		for i := range l.Values {
			l.Values[i].ROC = nil
		}
	}
	return labels
}

func sameLabel(a, b task.Label) bool { return a.Name == b.Name && slices.Equal(a.Values, b.Values) }

func labelNames(labels []task.Label) string {
	names := make([]string, len(labels))
	for i, l := range labels {
		names[i] = fmt.Sprintf("%s (%s)", l.Name, strings.Join(l.Values, ", "))
	}
	return strings.Join(names, "; ")
}

// shortened names at most five cases.
func shortened(names []string) string {
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:5], ", ") + ", ..."
}

// compareNames orders names, numbers by value.
func compareNames(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	if errX == nil && errY == nil && x != y {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}
