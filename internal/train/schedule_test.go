package train

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
)

func TestLearningRateEqualsPolyLR(t *testing.T) {
	var want []float64
	testutil.ReadJSON(t, filepath.Join("..", "..", "testdata", "splits", "poly_lr.json"), &want)
	if len(want) != 201 {
		t.Fatalf("%d rates, want 201", len(want))
	}
	for epoch, w := range want {
		if got := LearningRate(epoch, DefaultEpochs, DefaultLearningRate); math.Abs(got-w) > 1e-16+1e-14*w {
			t.Errorf("epoch %d: got %v, want %v", epoch, got, w)
		}
	}
}

func TestHistoryEqualsNetworkTrainer(t *testing.T) {
	var runs [][]struct {
		TrainLoss float64 `json:"train_loss"`
		ValLoss   float64 `json:"val_loss"`
		TrainMA   float64 `json:"train_loss_MA"`
		ValMA     float64 `json:"val_eval_criterion_MA"`
		BestVal   float64 `json:"best_val_eval_criterion_MA"`
		BestTrain float64 `json:"best_MA_tr_loss_for_patience"`
		BestEpoch int     `json:"best_epoch_based_on_MA_tr_loss"`
		SaveBest  bool    `json:"save_best"`
	}
	testutil.ReadJSON(t, filepath.Join("..", "..", "testdata", "splits", "trainer_state.json"), &runs)
	if len(runs) == 0 {
		t.Fatal("no runs")
	}
	for r, run := range runs {
		var h History
		for e, w := range run {
			best := h.EndEpoch(w.TrainLoss, w.ValLoss, DefaultLearningRate)
			for _, v := range []struct {
				name      string
				got, want float64
			}{
				{"train_loss_MA", *h.TrainLossMA, w.TrainMA},
				{"val_eval_criterion_MA", *h.ValCriterionMA, w.ValMA},
				{"best_val_eval_criterion_MA", *h.BestValCriterionMA, w.BestVal},
				{"best_MA_tr_loss_for_patience", *h.BestTrainLossMA, w.BestTrain},
			} {
				if math.Abs(v.got-v.want) > 1e-14 {
					t.Fatalf("run %d epoch %d: %s is %v, want %v", r, e, v.name, v.got, v.want)
				}
			}
			if *h.BestTrainEpoch != w.BestEpoch || best != w.SaveBest {
				t.Fatalf("run %d epoch %d: best epoch %d, save best %v; want %d, %v", r, e, *h.BestTrainEpoch, best, w.BestEpoch, w.SaveBest)
			}
		}
	}
}
