package train

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/tensorboard/tensorboardtest"
)

// The event file of a training that was stopped and continued, in the middle of an epoch and after a restart, holds the
// numbers of one that was not, each step once.
func TestEventsOfAContinuedTraining(t *testing.T) {
	whole := restartTask(t)
	whole.ValIterations = 1
	if err := runOn(t.Context(), t, whole, &recorder{}, explodeEarly); err != nil {
		t.Fatal(err)
	}
	want := tensorboardtest.Only(t, foldOf(whole))
	final, _ := finalOf(t, whole)
	for epoch, loss := range final.TrainLosses {
		if got := want.Scalars["loss/training"][int64(epoch+1)]; got != float32(loss) {
			t.Errorf("epoch %d: loss %g, want %g", epoch+1, got, loss)
		}
	}
	if rates := want.Scalars["optimiser/learning_rate"]; len(rates) != 4 || rates[4] > 1e-4 {
		t.Errorf("learning rates %v", rates)
	}
	for _, tag := range []string{"loss/validation", "validation/balanced_accuracy", "validation/balanced_accuracy/Grade", "optimiser/gradient_norm", "network/share_of_dead_channels", "time/seconds_per_epoch", "time/share_waiting_for_data"} {
		if n := len(want.Scalars[tag]); n != 4 {
			t.Errorf("%s: %d steps, want 4", tag, n)
		}
	}
	if len(want.Images["progress"]) == 0 || want.Images["progress"][4] == 0 {
		t.Errorf("pictures %v", want.Images)
	}
	o := restartTask(t)
	o.ValIterations = 1
	for _, steps := range []int{1, 3, 5, 1, 1000} {
		ctx, cancel := context.WithCancel(t.Context())
		err := runOn(ctx, t, o, &recorder{advance: func(n int) {
			if n == steps {
				cancel()
			}
		}}, explodeEarly)
		cancel()
		if err != nil && !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		o.Continue = true
	}
	got := tensorboardtest.Only(t, foldOf(o))
	if !slices.IsSorted(got.Steps) {
		t.Errorf("steps %v", got.Steps)
	}
	for tag, values := range want.Scalars {
		if tag != "time/seconds_per_epoch" && tag != "time/share_waiting_for_data" && !reflect.DeepEqual(got.Scalars[tag], values) {
			t.Errorf("%s: %v, want %v", tag, got.Scalars[tag], values)
		}
	}
}

// What is left is what the parts that are left take at the mean of those that were: with even steps it is exact after
// the first epoch, whatever the first iteration took.
func TestTimeLeft(t *testing.T) {
	tr := &training{fold: &fold{job: &job{saveEvery: time.Hour}}}
	tr.state.Recipe = Recipe{Epochs: 20, Iterations: 10, ValIterations: 4, BatchSize: 2, MirrorValidation: true, Restarts: 2, Optimiser: AdamW, Average: 0.99}
	tr.members[1] = make([]int, 7)
	tr.state.Epoch = 1
	tr.pace.saved(time.Second, 2) // without the moments that the checkpoints to come hold
	tr.pace.trained(9*3*time.Second+50*time.Second, 10, 50*time.Second)
	tr.pace.validated(4*time.Second, 4)
	tr.pace.looked(3*time.Second, 6)
	tr.pace.ended(false)
	const epochs, saves, validation = 19 * (10*3 + 4), 2 * (1 + 10 + 8), 7 * 8 / 2
	if got, want := tr.left(), (epochs+saves+validation)*time.Second; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	// As the machine gets slower, the later epochs count for more.
	slower := *tr
	slower.state.Epoch = 4
	for range 3 {
		slower.pace.trained(60*time.Second, 10, 0)
	}
	if per := slower.pace.training.mean(); per < 5*time.Second || per > 6*time.Second {
		t.Errorf("%v per iteration after 3 s once and 6 s three times", per)
	}
	// Without validation iterations a case takes a third of what it takes in training.
	tr.state.Recipe.ValIterations, tr.pace.validating, tr.pace.looking = 0, recent{}, recent{}
	if got, want := tr.left(), time.Duration(19*10*3+saves)*time.Second+7*8*time.Second/2; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
