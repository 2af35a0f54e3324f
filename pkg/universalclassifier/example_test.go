package universalclassifier_test

import (
	"context"
	"fmt"
	"log"

	"github.com/universal-classifier/uc/pkg/universalclassifier"
)

// A data root with a raw task becomes a trained model, as with the commands plan-and-preprocess and train.
func ExampleWorkspace() {
	ctx := context.Background()
	w, err := universalclassifier.OpenWorkspace("/path/to/data")
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Preprocess(ctx, "4", universalclassifier.PreprocessOptions{Verify: true}); err != nil {
		log.Fatal(err)
	}
	for fold := range 5 {
		training, err := w.Train(ctx, "4", fold, universalclassifier.TrainOptions{})
		if err != nil {
			log.Fatal(err)
		}
		for _, label := range training.Labels {
			fmt.Println(label.Name, label.Accuracy, label.AUC)
		}
	}
}

// A model is opened once and predicts many cases.
func ExampleModel() {
	model, err := universalclassifier.OpenModel("/path/to/model", universalclassifier.ModelOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	for _, id := range []string{"patient_1", "patient_2"} {
		p, err := model.Predict(context.Background(), universalclassifier.Case{ID: id, Images: []string{id + "_0000.nii.gz"}, Mask: id + "_roi.nii.gz"})
		if err != nil {
			log.Print(err) // the other cases are not concerned
			continue
		}
		for k, label := range model.Labels() {
			fmt.Printf("%s %s: %s (%.2f)\n", p.Case, label.Name, label.Values[p.Classes[k]], p.Probabilities[k][p.Classes[k]])
		}
	}
}
