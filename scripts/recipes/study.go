package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
	"github.com/universal-classifier/uc/pkg/universalclassifier"
)

// official names the published split of a cohort; it is fold officialFold of the split file.
const (
	official     = "official"
	officialFold = "5"
)

// study is what the command line asks for.
type study struct {
	data, work, results     string
	cohorts, recipes, folds []string
	seeds                   []uint64
	threads                 int
	scale                   float64
}

// result is one training, a line of the file.
type result struct {
	Cohort  string  `json:"cohort"`
	Recipe  string  `json:"recipe"`
	Fold    string  `json:"fold"`
	Seed    uint64  `json:"seed"`
	Scale   float64 `json:"scale"`
	Mirror  bool    `json:"mirror"` // the AUC is that of the mean over mirror images
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
	Loss    float64 `json:"training_loss"` // of the last epoch
	AUC     float64 `json:"auc"`
	// Probabilities are those of class 1, of the validation cases in the order of their names. Their targets stay with the
	// data.
	Probabilities []float64 `json:"probabilities"`
	targets       []int
}

func (r *result) key() string { return fmt.Sprint(r.Cohort, r.Recipe, r.Fold, r.Seed, r.Scale) }

func (s *study) run(ctx context.Context) error {
	done, err := readResults(s.results)
	if err != nil {
		return err
	}
	for _, seed := range s.seeds {
		for _, fold := range s.folds {
			for _, c := range cohorts {
				if !slices.Contains(s.cohorts, c.name) || fold == official && c.officialVal == "" {
					continue
				}
				for _, r := range recipes {
					if !slices.Contains(s.recipes, r.name) {
						continue
					}
					one := result{Cohort: c.name, Recipe: r.name, Fold: fold, Seed: seed, Scale: s.scale}
					if slices.ContainsFunc(done, func(d result) bool { return d.key() == one.key() }) {
						continue
					}
					if err := s.one(ctx, c, r, &one); err != nil {
						return fmt.Errorf("%s, %s, fold %s, seed %d: %w", c.name, r.name, fold, seed, err)
					}
					if err := appendResult(s.results, &one); err != nil {
						return err
					}
					fmt.Printf("%-22s %-18s fold %-9s seed %d: %5d steps, %4.0f s, loss %.4f, AUC %.4f\n",
						c.name, r.name, fold, seed, one.Steps, one.Seconds, one.Loss, one.AUC)
				}
			}
		}
	}
	return nil
}

// one prepares the cohort where that is not done yet, and trains.
func (s *study) one(ctx context.Context, c cohort, r recipe, out *result) error {
	root := filepath.Join(s.work, "data")
	folders, err := task.ResolveFolders(root)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, c, root, folders); err != nil {
		return err
	}
	fold := out.Fold
	if fold == official {
		fold = officialFold
	}
	models := folders
	models.Results = filepath.Join(s.work, "models", r.name)
	began := time.Now()
	split, err := splitOf(folders, c.task, fold)
	if err != nil {
		return err
	}
	trained, err := train.Run(ctx, train.Options{Folders: models, Task: c.task, Trainer: r.trainer(), Fold: fold, Seed: out.Seed,
		Threads: s.threads, Workers: max(1, s.threads), Adjust: func(p *train.Recipe) {
			if r.adjust != nil {
				p.ValIterations = 1
				passes(p, len(split.Train), int(math.Round(40*s.scale)), int(math.Round(2000*s.scale)))
				p.MirrorValidation, p.Restarts = true, 0
				r.adjust(p)
			}
			if r.vary != nil {
				r.vary(p)
			}
			out.Steps, out.Mirror = p.Epochs*p.Iterations, p.MirrorValidation
		}}, progress.Discard)
	if err != nil {
		return err
	}
	out.Seconds = math.Round(time.Since(began).Seconds())
	out.Loss = round(trained.TrainLosses[len(trained.TrainLosses)-1])
	validation, err := evaluate.ReadFold(filepath.Join(trained.FoldDir, evaluate.ValidationFolder))
	if err != nil {
		return err
	}
	predictions := validation.Predictions
	slices.SortFunc(predictions, func(a, b evaluate.Prediction) int { return strings.Compare(a.Case, b.Case) })
	var targets []int
	for _, p := range predictions {
		targets = append(targets, p.Targets[c.label])
		out.Probabilities = append(out.Probabilities, round(p.Probabilities[c.label][1]))
	}
	out.AUC = round(auc(targets, out.Probabilities))
	return nil
}

func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// splitOf is the fold of a prepared cohort; official names the published split.
func splitOf(folders task.Folders, name, fold string) (*split.ChosenSplit, error) {
	if fold == official {
		fold = officialFold
	}
	ids, err := dataset.Cases(folders.Stage(name, task.DefaultDataIdentifier))
	if err != nil {
		return nil, err
	}
	return split.ChooseSplit(folders.PreprocessedTask(name), fold, ids, split.Drawing{})
}

// targetsOf are the classes of a prepared cohort's cases by name.
func targetsOf(folders task.Folders, c cohort) (map[string]int, error) {
	t, err := task.Load(folders, c.task)
	if err != nil {
		return nil, err
	}
	targets := map[string]int{}
	for _, one := range t.Dataset.Cases {
		targets[one.ID] = one.Targets[c.label]
	}
	return targets, nil
}

// prepare writes and preprocesses the raw task, and the folds with the published split behind them.
func (s *study) prepare(ctx context.Context, c cohort, root string, folders task.Folders) error {
	splits := filepath.Join(folders.PreprocessedTask(c.task), split.SplitsFile)
	if _, err := os.Stat(splits); err == nil {
		return nil
	}
	raw := folders.RawTask(c.task)
	if _, err := os.Stat(filepath.Join(raw, task.DatasetFile)); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Join(raw, "imagesTr"), 0o755); err != nil {
			return err
		}
		if err := c.write(ctx, s.data, raw); err != nil {
			return err
		}
	}
	w, err := universalclassifier.OpenWorkspace(root)
	if err != nil {
		return err
	}
	if _, err := w.Preprocess(ctx, c.task, universalclassifier.PreprocessOptions{}); err != nil {
		return err
	}
	ids, err := dataset.Cases(folders.Stage(c.task, task.DefaultDataIdentifier))
	if err != nil {
		return err
	}
	folds, err := split.KFold(ids)
	if err != nil {
		return err
	}
	if c.officialVal != "" {
		var published split.Split
		for _, id := range ids {
			if strings.HasPrefix(id, c.officialVal) {
				published.Val = append(published.Val, id)
			} else {
				published.Train = append(published.Train, id)
			}
		}
		folds = append(folds, published)
	}
	text, err := json.Marshal(folds)
	if err != nil {
		return err
	}
	return os.WriteFile(splits, text, 0o644)
}

// auc is the area under the ROC curve: the share of pairs in the right order, ties counted half.
func auc(targets []int, scores []float64) float64 {
	var pairs, right float64
	for i, a := range targets {
		for j, b := range targets {
			if a == 1 && b == 0 {
				pairs++
				switch {
				case scores[i] > scores[j]:
					right++
				case scores[i] == scores[j]:
					right += 0.5
				}
			}
		}
	}
	return right / pairs
}
