package export

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/npz"
)

// selfTestShapes are batch, depth, height and width of the inputs: small and odd ones, where windows reach over the
// border, and one whose last layer is longer along every axis than the window of the average pooling.
var selfTestShapes = [][4]int{{1, 16, 24, 20}, {2, 17, 31, 23}, {1, 2, 3, 5}, {1, 9, 48, 33}, {1, 18, 67, 257}}

// selfTest returns inputs and what the folds of m make of them in fp32 on the CPU: input_0, probabilities_0_0 (of the
// first label), probabilities_0_1, ..., input_1, ...
func selfTest(ctx context.Context, m *model.Model) (arrays []npz.Array, err error) {
	dev, err := open.Device(open.Options{Device: "cpu"})
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	var inputs [][]float32
	sums := make([][][]float64, len(selfTestShapes)) // per input and label
	for i, s := range selfTestShapes {
		inputs = append(inputs, selfTestInput(rng, s, m.Config.InChannels, m.Plans.NumClasses))
		for _, classes := range m.Config.Outputs {
			sums[i] = append(sums[i], make([]float64, s[0]*classes))
		}
	}
	var network *i3d.Predictor
	for _, fold := range m.Folds {
		if network == nil {
			network, err = i3d.NewPredictor(dev, m.Config, fold.Weights)
		} else {
			err = network.Load(fold.Weights)
		}
		if err != nil {
			return nil, err
		}
		for i, s := range selfTestShapes {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			logits, err := network.Logits(inputs[i], s[0], [3]int(s[1:]))
			if err != nil {
				return nil, err
			}
			for k, classes := range m.Config.Outputs {
				addSoftmax(sums[i][k], logits[k], classes, 1/float64(len(m.Folds)))
			}
		}
	}
	for i, s := range selfTestShapes {
		arrays = append(arrays, npz.Array{
			Name: fmt.Sprintf("input_%d", i), Shape: []int{s[0], m.Config.InChannels, s[1], s[2], s[3]}, Data: inputs[i],
		})
		for k, classes := range m.Config.Outputs {
			arrays = append(arrays, npz.Array{
				Name: fmt.Sprintf("probabilities_%d_%d", i, k), Shape: []int{s[0], classes}, Data: sums[i][k],
			})
		}
	}
	return arrays, nil
}

// addSoftmax adds share of the softmax of every row of logits (N, classes) to sum.
func addSoftmax(sum []float64, logits []float32, classes int, share float64) {
	row := make([]float64, classes)
	for from := 0; from < len(logits); from += classes {
		for i := range row {
			row[i] = float64(logits[from+i])
		}
		for i, p := range evaluate.Softmax(row) {
			sum[from+i] += share * p
		}
	}
}

// selfTestInput makes up a batch: normal noise as the modalities, a box of ROI labels as the mask.
func selfTestInput(rng *rand.Rand, shape [4]int, channels, roiLabels int) []float32 {
	voxels := shape[1] * shape[2] * shape[3]
	x := make([]float32, shape[0]*channels*voxels)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for n := range shape[0] {
		mask := x[(n*channels+channels-1)*voxels:][:voxels]
		for i := range mask {
			mask[i] = 0
			if z := i / (shape[2] * shape[3]); 4*z >= shape[1] && 4*z < 3*shape[1] {
				mask[i] = float32(1+i%max(roiLabels, 1)) / float32(roiLabels+1)
			}
		}
	}
	return x
}
