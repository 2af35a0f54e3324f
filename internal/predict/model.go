package predict

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/universal-classifier/uc/internal/backend"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// foldAll is the fold that trained on all cases.
const foldAll = "all"

// Model is an opened model. It is safe for concurrent use: cases are preprocessed side by side, and the network takes them one
// after the other.
type Model struct {
	options Options
	dir     string
	plans   *plan.Plans
	config  i3d.Config
	folds   []string
	weights []*weights.StateDict // per fold

	mu      sync.Mutex // guards what follows
	device  backend.Device
	network *i3d.Predictor
	loaded  int // the fold whose weights the network holds
}

// Open loads the folds of the model in modelDir: plans.json, and a checkpoint per fold.
func Open(modelDir string, o Options, r progress.Reporter) (*Model, error) {
	if o.Checkpoint == "" {
		o.Checkpoint = checkpoint.Final
	}
	m := &Model{options: o, dir: modelDir, loaded: -1}
	var err error
	if m.plans, err = plan.Load(filepath.Join(modelDir, checkpoint.PlansFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("no trained model in %s: %w; train it first (uc train), or look whether task, trainer (-tr) and plans (-p) are those of the training", modelDir, err)
		}
		return nil, err
	}
	m.config = i3d.Config{InChannels: m.plans.InputChannels(), Outputs: m.plans.Outputs()}
	if m.folds, err = m.findFolds(r); err != nil {
		return nil, err
	}
	for _, fold := range m.folds {
		sd, err := m.readFold(fold)
		if err != nil {
			return nil, err
		}
		m.weights = append(m.weights, sd)
	}
	if m.device, err = backend.Open(backend.Options{Device: o.Device, Threads: o.Threads, Mixed: !o.FP32, Choice: func(text string) { r.Note("%s", text) }}); err != nil {
		return nil, err
	}
	r.Note("network on %s (%s)", m.device.Name(), backend.PrecisionText(m.device, !o.FP32))
	return m, nil
}

// findFolds checks the folds asked for, or finds those that are trained.
func (m *Model) findFolds(r progress.Reporter) ([]string, error) {
	if len(m.options.Folds) > 0 {
		folds := make([]string, 0, len(m.options.Folds))
		for _, f := range m.options.Folds {
			if f != foldAll {
				n, err := strconv.Atoi(f)
				if err != nil || n < 0 {
					return nil, fmt.Errorf("fold %q: expected a number from 0, or %q", f, foldAll)
				}
				f = strconv.Itoa(n)
			}
			if slices.Contains(folds, f) {
				return nil, fmt.Errorf("fold %s is named twice", f)
			}
			folds = append(folds, f)
		}
		return folds, nil
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		number, isFold := strings.CutPrefix(e.Name(), task.FoldDir(""))
		n, err := strconv.Atoi(number)
		switch {
		case !isFold || err != nil || !e.IsDir():
		case !checkpoint.Exists(m.foldDir(strconv.Itoa(n)), m.options.Checkpoint):
			r.Warn("fold %d has no %s and is left out: its training has not ended", n, m.options.Checkpoint)
		default:
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	var folds []string
	for _, n := range numbers {
		folds = append(folds, strconv.Itoa(n))
	}
	if len(folds) == 0 && checkpoint.Exists(m.foldDir(foldAll), m.options.Checkpoint) {
		folds = []string{foldAll}
	}
	if len(folds) == 0 {
		return nil, fmt.Errorf("%s: no fold has a %s; train one first (uc train)", m.dir, m.options.Checkpoint)
	}
	r.Note("folds found: %s", strings.Join(folds, " "))
	return folds, nil
}

func (m *Model) foldDir(fold string) string { return filepath.Join(m.dir, task.FoldDir(fold)) }

// readFold reads the weights of a fold and checks that they belong to the plans.
func (m *Model) readFold(fold string) (*weights.StateDict, error) {
	dir, name := m.foldDir(fold), m.options.Checkpoint
	c, err := checkpoint.Read(dir, name)
	if errors.Is(err, checkpoint.ErrNotFound) {
		return nil, fmt.Errorf("fold %s is not trained: %w; train it (uc train 3d_fullres ... %s %s), or choose other folds with -f",
			fold, err, m.plans.TaskName, fold)
	}
	if err != nil {
		return nil, fmt.Errorf("fold %s: %w", fold, err)
	}
	if err := c.Model.Check(m.plans.TaskName, m.config.InChannels, m.config.Outputs); err != nil {
		return nil, fmt.Errorf("fold %s: %s: %w", fold, checkpoint.Path(dir, name), err)
	}
	if err := i3d.CheckStateDict(m.config, c.Weights); err != nil {
		return nil, fmt.Errorf("fold %s: %s does not fit %s: %w", fold, checkpoint.Path(dir, name), checkpoint.PlansFile, err)
	}
	return c.Weights, nil
}

// Close gives the memory of the network back.
func (m *Model) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.network = nil
	m.device.Close()
}

// Modalities is how many images a case needs.
func (m *Model) Modalities() int { return len(m.plans.Modalities) }

// WantMasks says whether a case needs a mask of the region of interest; otherwise it must not have one.
func (m *Model) WantMasks() bool { return m.plans.RealMasks }

// Labels are the classification labels predicted.
func (m *Model) Labels() []task.Label { return m.plans.Labels }

// Folds are the folds that are averaged.
func (m *Model) Folds() []string { return slices.Clone(m.folds) }

// Precision is the number format that the network computes in: "fp32", "bf16" or "fp16".
func (m *Model) Precision() string { return m.device.Precision() }

// Case predicts one case.
func (m *Model) Case(ctx context.Context, c task.Case) (*Result, error) {
	p, err := m.prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	results, err := m.predict(ctx, []*prepared{p})
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// prepared is a case ready for the network.
type prepared struct {
	id    string
	data  []float32 // (C, Z, Y, X), mask last, as the network takes it
	shape [3]int
}

// prepare checks the files of a case and preprocesses it as the training cases were.
func (m *Model) prepare(ctx context.Context, c task.Case) (*prepared, error) {
	switch {
	case len(c.Images) != m.Modalities():
		return nil, fmt.Errorf("case %s: %d images, but the model was trained with %d modalities", c.ID, len(c.Images), m.Modalities())
	case m.plans.RealMasks && c.Mask == "":
		return nil, fmt.Errorf("case %s: no mask, but the model was trained with masks of the region of interest", c.ID)
	case !m.plans.RealMasks && c.Mask != "":
		return nil, fmt.Errorf("case %s: mask %s, but the model was trained without masks of the region of interest", c.ID, c.Mask)
	}
	p, err := preprocess.Case(ctx, c, m.plans)
	if err != nil {
		return nil, err
	}
	preprocess.NetworkInput(p.Data, p.Data, p.Shape, m.plans.NumClasses)
	return &prepared{id: c.ID, data: p.Data, shape: [3]int(p.Shape[1:])}, nil
}
