// Command outside is a program outside this module that uses its public packages for all that they are for: it builds
// a cohort of images, writes and reads them, plans, trains two steps, evaluates, predicts from memory, explains, and
// looks at errors. A test of pkg/universalclassifier copies it into a module of its own, where nothing internal can be
// imported, and runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/universal-classifier/uc/pkg/nifti"
	"github.com/universal-classifier/uc/pkg/universalclassifier"
)

func main() {
	log.SetFlags(0)
	root, err := os.MkdirTemp("", "outside")
	if err != nil {
		log.Fatal(err)
	}
	err = run(context.Background(), root)
	os.RemoveAll(root)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("all is well")
}

func run(ctx context.Context, root string) error {
	if err := writeTask(filepath.Join(root, "raw", "nnUNet_raw_data", "Task007_Balls")); err != nil {
		return err
	}
	w, err := universalclassifier.OpenWorkspace(root)
	if err != nil {
		return err
	}
	if _, err := w.OpenModel("7", universalclassifier.ModelOptions{}); !errors.Is(err, universalclassifier.ErrNotTrained) {
		return fmt.Errorf("model of an untrained task: %v", err)
	}
	options := universalclassifier.TrainOptions{Epochs: 1, Iterations: 2, ValIterations: 1, BatchSize: 2, Device: "cpu", Workers: 1, Deterministic: true}
	if _, err := w.Train(ctx, "7", 0, options); !errors.Is(err, universalclassifier.ErrNotPreprocessed) {
		return fmt.Errorf("training without plans: %v", err)
	}

	progress := new(count)
	plan, err := w.Preprocess(ctx, "7", universalclassifier.PreprocessOptions{
		Workers: 2, Progress: progress, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return err
	}
	if plan.Cases != cases || plan.Labels[0].Name != "Ball" || progress.stages.Load() == 0 {
		return fmt.Errorf("plan %+v after %d stages", plan, progress.stages.Load())
	}

	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.Train(ended, "7", 0, options); !errors.Is(err, universalclassifier.ErrInterrupted) || !errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted training: %v", err)
	}
	training, err := w.Train(ctx, "7", 0, options)
	if err != nil {
		return err
	}
	if training.Fold != 0 || len(training.TrainLosses) != 1 || training.Validation.Labels[0].Confusion == nil {
		return fmt.Errorf("training %+v", training)
	}
	evaluation, err := w.Evaluate(ctx, "7", universalclassifier.EvaluateOptions{})
	if err != nil {
		return err
	}
	if !slices.Equal(evaluation.Folds, []universalclassifier.Fold{0}) || len(evaluation.MissingFolds) != 4 {
		return fmt.Errorf("evaluation %+v", evaluation)
	}
	if err := predict(ctx, w); err != nil {
		return err
	}
	return explain(ctx, w, filepath.Join(root, "raw", "nnUNet_raw_data", "Task007_Balls"))
}

func explain(ctx context.Context, w *universalclassifier.Workspace, raw string) error {
	explainer, err := w.OpenExplainer("7", universalclassifier.ExplainOptions{Device: "cpu", DisableTTA: true, CurveSteps: -1})
	if err != nil {
		return err
	}
	defer explainer.Close()
	e, err := explainer.Explain(ctx, universalclassifier.Case{
		ID: "ball_0", Images: []string{filepath.Join(raw, "imagesTr", "ball_0_0000.nii.gz")}, Mask: filepath.Join(raw, "labelsTr", "ball_0.nii.gz"),
	})
	if err != nil {
		return err
	}
	if len(e.Maps) != 1 || e.Maps[0].Heat.Size != [3]int{20, 20, 20} || e.Maps[0].Deletion != nil {
		return fmt.Errorf("explanation %+v", e)
	}
	return nil
}

func predict(ctx context.Context, w *universalclassifier.Workspace) error {
	model, err := w.OpenModel("7", universalclassifier.ModelOptions{Folds: []universalclassifier.Fold{0}, Device: "cpu", DisableTTA: true})
	if err != nil {
		return err
	}
	image, mask, err := ball(99)
	if err != nil {
		return err
	}
	p, err := model.PredictImages(ctx, universalclassifier.Images{ID: "new", Images: []*nifti.Image{image}, Mask: mask})
	if err != nil {
		return err
	}
	if p.Case != "new" || len(p.Probabilities) != 1 || len(p.Probabilities[0]) != 2 {
		return fmt.Errorf("prediction %+v", p)
	}
	if err := model.Close(); err != nil {
		return err
	}
	if _, err := model.PredictImages(ctx, universalclassifier.Images{Images: []*nifti.Image{image}, Mask: mask}); !errors.Is(err, universalclassifier.ErrClosed) {
		return fmt.Errorf("prediction after Close: %v", err)
	}
	return nil
}

// cases is how many the task has.
const cases = 6

// ball is a scan of noise with a ball in it, whose size goes with the class n % 2, and the ball's mask.
func ball(n int) (*nifti.Image, *nifti.Mask, error) {
	const size = 20
	grid := nifti.Geometry{Size: [3]int{size, size, size}, Spacing: [3]float64{1, 1, 1}, Origin: [3]float64{-10, -10, 0}}
	image, err := nifti.NewImage(grid, nil)
	if err != nil {
		return nil, nil, err
	}
	mask, err := nifti.NewMask(grid, make([]int16, grid.Voxels()))
	if err != nil {
		return nil, nil, err
	}
	radius, noise := 6+2*(n%2), uint32(n+1)
	for i := range image.Data {
		z, y, x := i/size/size-size/2, i/size%size-size/2, i%size-size/2
		noise = noise*1664525 + 1013904223
		image.Data[i] = float32(100 + noise>>28)
		if z*z+y*y+x*x < radius*radius {
			image.Data[i] += 50
			mask.Data[i] = 1
		}
	}
	return image, mask, nil
}

// writeTask writes a raw task, and reads each scan again.
func writeTask(dir string) error {
	var training []string
	for n := range cases {
		image, mask, err := ball(n)
		if err != nil {
			return err
		}
		id := fmt.Sprintf("ball_%d", n)
		for _, folder := range []string{"imagesTr", "labelsTr"} {
			if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
				return err
			}
		}
		path := filepath.Join(dir, "imagesTr", id+"_0000.nii.gz")
		if err := errors.Join(nifti.WriteImage(path, image), nifti.WriteMask(filepath.Join(dir, "labelsTr", id+".nii.gz"), mask)); err != nil {
			return err
		}
		if err := check(path, image); err != nil {
			return err
		}
		training = append(training, fmt.Sprintf(`{"image": "./imagesTr/%s.nii.gz", "label": "./labelsTr/%s.nii.gz", "Ball": %d}`, id, id, n%2))
	}
	return os.WriteFile(filepath.Join(dir, "dataset.json"), []byte(`{
  "name": "Balls", "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "ball"},
  "classification_labels": [{"name": "Ball", "ordinal": false, "values": {"0": "small", "1": "large"}}],
  "training": [`+strings.Join(training, ",\n    ")+`], "test": []
}`), 0o644)
}

// check reads a scan in the three ways that there are.
func check(path string, want *nifti.Image) error {
	h, err := nifti.ReadHeader(path)
	if err != nil {
		return err
	}
	got, err := nifti.ReadImage(path)
	if err != nil {
		return err
	}
	voxels := 0
	err = nifti.Scan(path, func(_ *nifti.Header, values []float32) error {
		voxels += len(values)
		return nil
	})
	if err != nil {
		return err
	}
	if h.Datatype != nifti.Float32 || h.Datatype.String() != "float32" || h.Size != want.Size || h.Origin != want.Origin ||
		nifti.Orientation(h.Geometry) != "LPS" || !slices.Equal(got.Data, want.Data) || voxels != want.Voxels() {
		return fmt.Errorf("%s: read %+v and %d voxels", path, h, voxels)
	}
	return nil
}

// count is a Progress.
type count struct{ stages atomic.Int32 }

func (c *count) Stage(string, int) { c.stages.Add(1) }
func (c *count) Advance(string)    {}
