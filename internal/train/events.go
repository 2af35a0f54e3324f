package train

import (
	"bytes"
	"image/png"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/tensorboard"
	"github.com/universal-classifier/uc/internal/train/health"
)

// pictures is how many pictures of the progress a training leaves in its event file, at most one more.
const pictures = 20

// openEvents begins the fold's event file for TensorBoard where the state stands. Like the log, it is not a reason for
// a training to fail.
func (t *training) openEvents() {
	t.closeEvents()
	w, reached, err := tensorboard.Open(t.foldDir, int64(t.state.Epoch), time.Now())
	if err != nil {
		t.log.warn("no event file for TensorBoard: %v", err)
		return
	}
	t.events = w
	for epoch := int(reached) + 1; epoch <= t.state.Epoch; epoch++ { // as in a fold that an earlier version began
		t.writeEvents(epoch, t.scalars(epoch))
	}
}

func (t *training) closeEvents() {
	if t.events != nil {
		if err := t.events.Close(); err != nil {
			t.log.warn("the event file for TensorBoard is not whole: %v", err)
		}
		t.events = nil
	}
}

// tellEvents adds the epoch that has ended, which took so long and waited that share of the training's time for data.
func (t *training) tellEvents(took time.Duration, waiting float64) {
	t.writeEvents(t.state.Epoch, append(t.scalars(t.state.Epoch),
		tensorboard.Scalar{Tag: "time/seconds_per_epoch", Value: took.Seconds()},
		tensorboard.Scalar{Tag: "time/share_waiting_for_data", Value: waiting}))
}

// pictureEvents adds progress.png, which was just drawn, if one is due.
func (t *training) pictureEvents(path string) {
	every := ceilDiv(t.state.Recipe.Epochs, pictures)
	if t.events == nil || t.state.Epoch/every == t.pictured/every && t.state.Epoch < t.state.Recipe.Epochs {
		return
	}
	t.pictured = t.state.Epoch
	b, err := infile.ReadFile(path, infile.MaxText)
	if err != nil {
		t.log.warn("%v", err)
		return
	}
	size, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		t.log.warn("%s: %v", path, err)
		return
	}
	t.writeEvents(t.state.Epoch, nil, tensorboard.Image{Tag: strings.TrimSuffix(filepath.Base(path), ".png"), Width: size.Width, Height: size.Height, PNG: b})
}

func (t *training) writeEvents(epoch int, scalars []tensorboard.Scalar, images ...tensorboard.Image) {
	if t.events == nil {
		return
	}
	if err := t.events.Write(int64(epoch), time.Now(), scalars, images...); err != nil {
		t.log.warn("the event file for TensorBoard ends here: %v", err)
		t.closeEvents()
	}
}

// scalars are what the history holds of an epoch, counted from 1.
func (t *training) scalars(epoch int) []tensorboard.Scalar {
	s := &t.state
	p := s.Recipe
	for _, r := range s.Restarts {
		if r.To < epoch {
			p.LearningRate = r.LearningRate
		}
	}
	out := []tensorboard.Scalar{
		{Tag: "loss/training", Value: s.TrainLosses[epoch-1]},
		{Tag: "loss/validation", Value: s.ValLosses[epoch-1]},
		{Tag: "optimiser/learning_rate", Value: p.rate(epoch-1, p.Iterations-1)},
	}
	if epoch <= s.unmeasured() {
		return out
	}
	e := s.measured(epoch - 1)
	out = append(out, tensorboard.Scalar{Tag: "optimiser/gradient_norm", Value: e.GradNorm},
		tensorboard.Scalar{Tag: "network/share_of_dead_channels", Value: e.DeadChannels})
	for _, n := range []struct {
		name string
		of   func(health.Outcome) evaluate.Number
	}{{"validation/auc", aucOf}, {"validation/balanced_accuracy", balancedAccuracyOf}} {
		out = append(out, tensorboard.Scalar{Tag: n.name, Value: meanOverLabels(e.Outcomes, n.of)})
		for k, o := range e.Outcomes {
			if len(e.Outcomes) > 1 && k < len(t.plans.Labels) && !math.IsNaN(float64(n.of(o))) {
				out = append(out, tensorboard.Scalar{Tag: n.name + "/" + strings.ReplaceAll(t.plans.Labels[k].Name, "/", "_"), Value: float64(n.of(o))})
			}
		}
	}
	return out
}
