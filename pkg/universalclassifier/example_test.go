package universalclassifier_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/pkg/nifti"
	"github.com/universal-classifier/uc/pkg/universalclassifier"
)

// A data root with a raw task becomes a trained and measured model, as with the commands plan-and-preprocess, train and
// evaluate.
func ExampleWorkspace() {
	ctx := context.Background()
	w, err := universalclassifier.OpenWorkspace(phantomCohort()) // a data root: holds raw/nnUNet_raw_data/Task900_Phantom
	if err != nil {
		log.Fatal(err)
	}
	plan, err := w.Preprocess(ctx, "900", universalclassifier.PreprocessOptions{
		Verify: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Task, plan.Cases, "cases, labels:", plan.Labels[0].Name, plan.Labels[1].Name)

	// Two steps of one fold, to see it run; the zero value of the options trains in earnest.
	_, err = w.Train(ctx, "900", 0, universalclassifier.TrainOptions{Epochs: 1, Iterations: 2, ValIterations: 1, BatchSize: 2, Device: "cpu"})
	if err != nil {
		log.Fatal(err)
	}
	e, err := w.Evaluate(ctx, "900", universalclassifier.EvaluateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("folds", e.Folds, "missing", e.MissingFolds)
	for _, label := range e.Labels {
		fmt.Println(label.Name, label.Classes, label.Accuracy.Low <= label.Accuracy.Value)
	}
	// Output:
	// Task900_Phantom 6 cases, labels: Lesion Size
	// folds [0] missing [1 2 3 4]
	// Lesion [no lesion one lesion or more] true
	// Size [small organ medium organ large organ] true
}

// Sites and covariates make subgroups, each with its measures, and tests say in what they differ.
func ExampleWorkspace_Evaluate() {
	root, ages := measuredCohort() // dataset.json says of every case its site and sex
	w, err := universalclassifier.OpenWorkspace(root)
	if err != nil {
		log.Fatal(err)
	}
	e, err := w.Evaluate(context.Background(), "1", universalclassifier.EvaluateOptions{Covariates: ages, Groups: []string{"age:50,65"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, by := range e.Labels[0].Groupings {
		for _, group := range by.Groups {
			fmt.Printf("%s %s: %d cases, AUC %.2f\n", by.Name, group.Name, group.Cases, group.Values[0].AUC.Value)
		}
		for _, test := range by.Tests {
			if test.PHolm < 0.05 {
				fmt.Println(test.Measure, "is lowest in", test.Lowest)
			}
		}
	}
	// Output:
	// site A: 40 cases, AUC 0.74
	// site B: 40 cases, AUC 0.84
	// sex f: 40 cases, AUC 0.41
	// sex m: 40 cases, AUC 0.99
	// AUC is lowest in f
	// sensitivity is lowest in f
	// accuracy is lowest in f
	// age < 50: 20 cases, AUC 0.73
	// age 50 to < 65: 30 cases, AUC 0.76
	// age >= 65: 30 cases, AUC 0.82
}

// A training that its context stops keeps a checkpoint, from which another one continues.
func ExampleWorkspace_Train() {
	w, err := universalclassifier.OpenWorkspace(trainedCohort())
	if err != nil {
		log.Fatal(err)
	}
	options := universalclassifier.TrainOptions{Epochs: 1, Iterations: 2, ValIterations: 1, BatchSize: 2, Device: "cpu"}

	ctx, stop := context.WithCancel(context.Background())
	options.Progress = &stopIn{stage: "training", stop: stop} // after the first iteration
	_, err = w.Train(ctx, "900", universalclassifier.AllCases, options)
	fmt.Println(errors.Is(err, universalclassifier.ErrInterrupted), errors.Is(err, context.Canceled))

	options.Progress, options.Continue = nil, true
	training, err := w.Train(context.Background(), "900", universalclassifier.AllCases, options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("fold", training.Fold, "epochs", training.Epochs)
	// Output:
	// true true
	// fold all epochs 1
}

// A model is opened once and predicts many cases.
func ExampleModel() {
	root := trainedCohort()
	w, err := universalclassifier.OpenWorkspace(root)
	if err != nil {
		log.Fatal(err)
	}
	model, err := w.OpenModel("900", universalclassifier.ModelOptions{Device: "cpu", DisableTTA: true})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	for _, c := range heldOut(root) { // each with its image files and mask
		p, err := model.Predict(context.Background(), c)
		if err != nil {
			log.Print(err) // the other cases are not concerned
			continue
		}
		for k, label := range model.Labels() {
			fmt.Println(p.Case, label.Name, label.Values, len(p.Probabilities[k]), "probabilities")
		}
	}
	// Output:
	// phantom_test_001 Lesion [no lesion one lesion or more] 2 probabilities
	// phantom_test_001 Size [small organ medium organ large organ] 3 probabilities
	// phantom_test_002 Lesion [no lesion one lesion or more] 2 probabilities
	// phantom_test_002 Size [small organ medium organ large organ] 3 probabilities
}

// An explainer shows where the networks looked, in the geometry of the scan.
func ExampleExplainer() {
	root := trainedCohort()
	w, err := universalclassifier.OpenWorkspace(root)
	if err != nil {
		log.Fatal(err)
	}
	explainer, err := w.OpenExplainer("900", universalclassifier.ExplainOptions{Device: "cpu", DisableTTA: true, CurveSteps: -1})
	if err != nil {
		log.Fatal(err)
	}
	defer explainer.Close()
	c := heldOut(root)[0]
	e, err := explainer.Explain(context.Background(), c)
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range e.Maps { // of the predicted class of every label
		label := explainer.Labels()[h.Label]
		path := filepath.Join(os.TempDir(), fmt.Sprintf("%s_%s.nii.gz", e.Case, label.Name))
		if err := nifti.WriteImage(path, h.Heat); err != nil {
			log.Fatal(err)
		}
		os.Remove(path)
		fmt.Println(e.Case, label.Name, 0 <= h.ROIShare && h.ROIShare <= 1)
	}
	// Output:
	// phantom_test_001 Lesion true
	// phantom_test_001 Size true
}

// A scan that comes from elsewhere than a file, such as a picture archive, is predicted from memory.
func ExampleModel_PredictImages() {
	w, err := universalclassifier.OpenWorkspace(trainedCohort())
	if err != nil {
		log.Fatal(err)
	}
	model, err := w.OpenModel("900", universalclassifier.ModelOptions{Device: "cpu", DisableTTA: true})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	grid := nifti.Geometry{Size: [3]int{32, 40, 40}, Spacing: [3]float64{1, 1, 1}}
	image, err := nifti.NewImage(grid, nil)
	if err != nil {
		log.Fatal(err)
	}
	mask, err := nifti.NewMask(grid, nil)
	if err != nil {
		log.Fatal(err)
	}
	for i := range image.Data {
		x, y, z := i%40, i/40%40, i/1600
		image.Data[i] = float32(100 + x + 2*y + 3*z)
		if 8 < x && x < 32 && 8 < y && y < 32 && 4 < z && z < 28 {
			mask.Data[i] = 1
		}
	}
	p, err := model.PredictImages(context.Background(), universalclassifier.Images{ID: "from_the_archive", Images: []*nifti.Image{image}, Mask: mask})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Case, len(p.Classes), "labels")
	// Output: from_the_archive 2 labels
}
