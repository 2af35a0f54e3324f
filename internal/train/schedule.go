package train

import (
	"math"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/train/health"
)

// Constants of the recipe, from the reference's ClassifierTrainer and nnU-Net's NetworkTrainer.
const (
	DefaultEpochs        = 200
	DefaultIterations    = 250 // training iterations per epoch
	DefaultValIterations = 50  // validation iterations per epoch
	DefaultLearningRate  = i3d.ReferenceLR

	lrExponent   = 0.9
	trainAlpha   = 0.93 // of the moving average of the training loss: alpha * old + (1 - alpha) * new
	valAlpha     = 0.9  // of the moving average of the validation criterion
	trainMinGain = 5e-4 // the training average must fall by more than this to count as better
	patience     = 50   // epochs without a better training average
	lrThreshold  = 1e-6 // patience cannot end while the learning rate is above
)

// LearningRate is the polynomial schedule of nnU-Net: the rate used during an epoch, counted from 0.
func LearningRate(epoch, epochs int, initial float64) float64 {
	return initial * math.Pow(1-float64(epoch)/float64(epochs), lrExponent)
}

// History is what the epochs so far have brought. The averages are nil before the first epoch ends.
type History struct {
	TrainLosses []float64 `json:"train_losses"` // mean over the iterations of each epoch
	ValLosses   []float64 `json:"val_losses"`
	// Epochs is what else each epoch brought; checkpoints of earlier versions have none of it for their epochs.
	Epochs []health.Epoch `json:"epochs"`

	TrainLossMA        *float64 `json:"train_loss_MA"`
	ValCriterionMA     *float64 `json:"val_eval_criterion_MA"` // minus the average of the validation losses: larger is better
	BestValCriterionMA *float64 `json:"best_val_eval_criterion_MA"`
	BestTrainLossMA    *float64 `json:"best_MA_tr_loss_for_patience"`
	BestTrainEpoch     *int     `json:"best_epoch_based_on_MA_tr_loss"`
}

// EndEpoch takes in the mean losses of the epoch that ended, as NetworkTrainer's update_train_loss_MA,
// update_eval_criterion_MA and manage_patience do, and reports whether the validation average is better than ever, so
// that model_best should be written. lr is the rate of the epoch to come. Like the reference classifier it keeps
// nnU-Net's count of patience, but never stops early.
func (h *History) EndEpoch(trainLoss, valLoss, lr float64) (best bool) {
	epoch := len(h.TrainLosses)
	h.TrainLosses = append(h.TrainLosses, trainLoss)
	h.ValLosses = append(h.ValLosses, valLoss)
	h.TrainLossMA = average(h.TrainLossMA, trainLoss, trainAlpha)
	h.ValCriterionMA = average(h.ValCriterionMA, -valLoss, valAlpha)

	if h.BestTrainLossMA == nil {
		h.BestTrainLossMA = h.TrainLossMA
	}
	if h.BestTrainEpoch == nil {
		h.BestTrainEpoch = &epoch
	}
	if h.BestValCriterionMA == nil {
		h.BestValCriterionMA = h.ValCriterionMA
	}
	if *h.ValCriterionMA > *h.BestValCriterionMA {
		h.BestValCriterionMA = h.ValCriterionMA
		best = true
	}
	if *h.TrainLossMA+trainMinGain < *h.BestTrainLossMA {
		h.BestTrainLossMA = h.TrainLossMA
		h.BestTrainEpoch = &epoch
	}
	if epoch-*h.BestTrainEpoch > patience && lr > lrThreshold {
		later := epoch - patience/2
		h.BestTrainEpoch = &later
	}
	return best
}

// average returns a new moving average; old stays as it is, since other fields may point to it.
func average(old *float64, value, alpha float64) *float64 {
	if old == nil {
		return &value
	}
	next := alpha**old + (1-alpha)*value
	return &next
}
