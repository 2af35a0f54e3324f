package health

import (
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// The trainings are of 60 iterations per epoch with batches of 20, SGD with momentum 0.99 and poly decay, on AdrenalMNIST3D, official split
// (929 and 259 training, 76 and 22 validation cases), measured on all validation cases after each epoch.

// recorded is what an epoch brought: training loss, validation loss, AUC, cases predicted to be positive, norm of the gradient, share of dead
// channels.
type recorded [6]float64

func epochsOf(rows []recorded) []Epoch {
	epochs := make([]Epoch, len(rows))
	for i, r := range rows {
		epochs[i] = Epoch{Number: i + 1, TrainLoss: r[0], ValLoss: r[1], GradNorm: r[4], DeadChannels: r[5], Outcomes: outcome(r[2], int(r[3]))}
	}
	return epochs
}

func TestRecordedTrainings(t *testing.T) {
	c := lesions
	c.Epochs = 100
	var collapsed *found
	for _, f := range watch(c, epochsOf(failing)) {
		if f.Collapse && collapsed == nil {
			collapsed = &f
		}
	}
	if collapsed == nil || collapsed.Sign != NotLearning {
		t.Errorf("learning rate 0.01: found %v, want a collapse", collapsed)
	}
	c.Epochs = 40
	for _, f := range watch(c, epochsOf(succeeding)) {
		t.Errorf("learning rate 0.001: epoch %d: %s", f.epoch, f.Text)
	}
	if last := succeeding[len(succeeding)-1]; evaluate.Number(last[2]) < 0.75 {
		t.Errorf("the training that is called healthy ends with an AUC of %g", last[2])
	}
}

// failing is the beginning of 100 epochs at learning rate 0.01.
var failing = []recorded{
	{0.6966, 1.3936, 0.553, 0, 4.15, 0.0},
	{0.6148, 0.7324, 0.391, 0, 1.68, 0.0},
	{0.6601, 0.6077, 0.453, 0, 1.69, 0.0002},
	{0.6103, 0.5223, 0.604, 0, 1.56, 0.0164},
	{0.5678, 0.5441, 0.563, 0, 1.38, 0.0},
	{0.5786, 0.5692, 0.413, 0, 1.76, 0.0},
	{0.5689, 0.6437, 0.481, 0, 1.22, 0.0},
	{0.5957, 0.5469, 0.577, 1, 1.4, 0.0},
	{0.5278, 0.5663, 0.644, 0, 1.03, 0.048},
	{0.5175, 0.5594, 0.449, 0, 0.731, 0.0002},
	{0.5370, 0.5400, 0.521, 0, 0.462, 0.0},
	{0.5418, 0.5336, 0.504, 0, 0.872, 0.0},
	{0.5640, 0.5327, 0.519, 0, 0.603, 0.0477},
	{0.5534, 0.5306, 0.563, 0, 0.567, 0.0692},
	{0.5294, 0.5369, 0.592, 0, 0.452, 0.0971},
	{0.5331, 0.5434, 0.490, 0, 0.443, 0.1026},
	{0.5746, 0.5344, 0.437, 0, 0.485, 0.0764},
	{0.5742, 0.5348, 0.542, 0, 0.536, 0.0002},
	{0.5467, 0.5261, 0.452, 0, 0.488, 0.0014},
	{0.5115, 0.5347, 0.354, 0, 0.416, 0.0014},
	{0.5439, 0.5327, 0.398, 0, 0.328, 0.0014},
	{0.5214, 0.5340, 0.317, 0, 0.325, 0.0102},
	{0.5607, 0.5338, 0.298, 0, 0.201, 0.0215},
	{0.5474, 0.5359, 0.327, 0, 0.193, 0.0258},
	{0.5542, 0.5330, 0.705, 0, 0.26, 0.0191},
	{0.5388, 0.5334, 0.316, 0, 0.146, 0.0265},
	{0.5201, 0.5379, 0.323, 0, 0.141, 0.0375},
	{0.5194, 0.5352, 0.337, 0, 0.164, 0.0916},
}

// succeeding is the beginning of 40 epochs at learning rate 0.001.
var succeeding = []recorded{
	{0.5468, 1.3544, 0.298, 0, 54.1, 0.0009},
	{0.5596, 4.5187, 0.704, 86, 11.5, 0.0003},
	{0.5809, 0.5070, 0.707, 10, 3.65, 0.0},
	{0.5319, 0.5316, 0.605, 0, 2.89, 0.0},
	{0.5359, 0.5348, 0.532, 0, 3.32, 0.0},
	{0.5170, 0.5341, 0.742, 7, 2.38, 0.0},
	{0.5440, 0.5049, 0.727, 4, 2.42, 0.0},
	{0.5010, 0.4901, 0.742, 2, 2.2, 0.0},
	{0.4964, 0.5133, 0.752, 0, 2.28, 0.0},
	{0.4934, 0.5056, 0.744, 0, 2.15, 0.0},
	{0.5188, 0.4583, 0.785, 2, 1.82, 0.0},
	{0.4798, 0.5764, 0.541, 0, 2.04, 0.0},
	{0.5180, 0.4694, 0.734, 0, 2.53, 0.0},
	{0.4830, 0.4609, 0.828, 1, 2.57, 0.0},
	{0.4744, 0.4119, 0.847, 5, 1.91, 0.0},
	{0.4473, 0.4971, 0.739, 0, 2.36, 0.0},
	{0.4882, 0.4226, 0.797, 15, 2.42, 0.0},
	{0.5008, 0.3844, 0.838, 10, 2.05, 0.0},
	{0.4822, 0.4064, 0.844, 2, 1.84, 0.0},
	{0.4199, 0.4174, 0.809, 7, 1.82, 0.0},
	{0.4578, 0.3613, 0.855, 16, 1.89, 0.0},
	{0.4262, 0.3824, 0.852, 10, 1.8, 0.0},
	{0.4477, 0.4058, 0.841, 15, 1.81, 0.0},
	{0.4513, 0.3735, 0.850, 9, 1.95, 0.0},
	{0.4388, 0.3620, 0.849, 13, 1.68, 0.0},
	{0.4163, 0.4436, 0.833, 2, 1.88, 0.0},
	{0.3902, 0.3779, 0.850, 13, 1.78, 0.0},
	{0.3969, 0.3702, 0.845, 14, 1.66, 0.0},
}
