// Package checkpoint keeps a trained or half-trained network as one safetensors file.
package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/weights"
)

// Names of the checkpoints of a fold, without suffix, as nnU-Net calls them.
const (
	Final  = "model_final_checkpoint" // after the last epoch
	Latest = "model_latest"           // to go on from
	Best   = "model_best"             // best moving average of the validation loss
	// Healthy is what a training that collapses goes back to.
	Healthy = "model_healthy"
)

// PlansFile is the copy of the plans in the folder of a model, beside its folds.
const PlansFile = "plans.json"

const (
	suffix          = ".safetensors"
	summarySuffix   = ".json"
	previousMark    = ".previous"
	optimiserPrefix = "optimizer." // before the name of a part of the optimiser's state and that of the parameter it belongs to
	momentumPrefix  = optimiserPrefix + "momentum."
	secondPrefix    = optimiserPrefix + "second_moment."
	currentPrefix   = optimiserPrefix + "current."
	modelKey        = "uc.model"
	trainingKey     = "uc.training"
)

// ErrNotFound is wrapped by errors about a checkpoint that is not there.
var ErrNotFound = errors.New("no checkpoint")

// Model says which network the weights belong to. Weights brought from elsewhere have an empty Task.
type Model struct {
	Task    string `json:"task"`
	Trainer string `json:"trainer"`
	Fold    string `json:"fold"`
	Inputs  int    `json:"input_channels"` // modalities and mask
	Outputs []int  `json:"outputs"`        // classes per label
	Epochs  int    `json:"epochs_trained"`
}

// Checkpoint is the content of a file.
type Checkpoint struct {
	Model    Model
	Weights  *weights.StateDict // parameters and running statistics
	Momentum *weights.StateDict // of the optimiser, per parameter; nil if the file has none
	Second   *weights.StateDict // AdamW's second moments, per parameter; nil if the file has none
	// Current are parameters and running statistics as the optimiser left them, where Weights are their running average; nil where
	// Weights are what the optimiser left.
	Current  *weights.StateDict
	training json.RawMessage
}

// Path is the file of a checkpoint in the folder of a fold.
func Path(foldDir, name string) string { return filepath.Join(foldDir, name+suffix) }

// Write stores a checkpoint: one safetensors file with the weights, the momenta and, as metadata, model and training
// (anything JSON can hold), so that whichever moment a writer dies at leaves a whole file. Beside it goes a .json
// with the same metadata for people to read.
func Write(foldDir, name string, c *Checkpoint, training any) error {
	model, err := json.Marshal(c.Model)
	if err != nil {
		return err
	}
	state, err := json.Marshal(training)
	if err != nil {
		return err
	}
	all := weights.NewStateDict()
	for _, n := range c.Weights.Names() {
		all.Set(n, c.Weights.Get(n))
	}
	for prefix, part := range c.optimiser() {
		if *part == nil {
			continue
		}
		for _, n := range (*part).Names() {
			all.Set(prefix+n, (*part).Get(n))
		}
	}
	metadata := map[string]string{"format": "pt", modelKey: string(model), trainingKey: string(state)}
	if err := weights.WriteSafetensors(Path(foldDir, name), all, metadata); err != nil {
		return err
	}
	summary, err := json.MarshalIndent(map[string]json.RawMessage{"model": model, "training": state}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(foldDir, name+summarySuffix), append(summary, '\n'))
}

// Read loads a checkpoint of a fold. A file that is not there wraps ErrNotFound.
func Read(foldDir, name string) (*Checkpoint, error) {
	path := Path(foldDir, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w %s", ErrNotFound, path)
	}
	all, metadata, err := weights.ReadSafetensors(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Weights: weights.NewStateDict(), training: json.RawMessage(metadata[trainingKey])}
	if m := metadata[modelKey]; m != "" {
		if err := json.Unmarshal([]byte(m), &c.Model); err != nil {
			return nil, fmt.Errorf("%s: metadata %q: %w", path, modelKey, err)
		}
	}
	for _, n := range all.Names() {
		if !strings.HasPrefix(n, optimiserPrefix) {
			c.Weights.Set(n, all.Get(n))
			continue
		}
		for prefix, part := range c.optimiser() {
			if parameter, is := strings.CutPrefix(n, prefix); is {
				if *part == nil {
					*part = weights.NewStateDict()
				}
				(*part).Set(parameter, all.Get(n))
			}
		}
	}
	return c, nil
}

// optimiser yields the parts of the optimiser's state with the prefixes of their names in the file.
func (c *Checkpoint) optimiser() iter.Seq2[string, **weights.StateDict] {
	return func(yield func(string, **weights.StateDict) bool) {
		_ = yield(momentumPrefix, &c.Momentum) && yield(secondPrefix, &c.Second) && yield(currentPrefix, &c.Current)
	}
}

// Training decodes the state of the training into v.
func (c *Checkpoint) Training(v any) error {
	if len(c.training) == 0 || string(c.training) == "null" {
		return errors.New("the checkpoint holds weights only, not the state of a training")
	}
	return json.Unmarshal(c.training, v)
}

// Check compares the network with the one wanted.
func (m Model) Check(task string, inputs int, outputs []int) error {
	switch {
	case m.Task == "":
		return nil
	case m.Task != task:
		return fmt.Errorf("it was trained for %s, but the plans are those of %s", m.Task, task)
	case m.Inputs != inputs:
		return fmt.Errorf("its network takes %d input channels, the plans need %d", m.Inputs, inputs)
	case !slices.Equal(m.Outputs, outputs):
		return fmt.Errorf("its network has %v classes per label, the plans need %v", m.Outputs, outputs)
	}
	return nil
}

// Exists says whether the fold has the checkpoint.
func Exists(foldDir, name string) bool {
	_, err := os.Stat(Path(foldDir, name))
	return err == nil
}

// Remove deletes a checkpoint; one that is not there is no error.
func Remove(foldDir, name string) error {
	for _, path := range files(foldDir, name) {
		if err := fault.At(fault.Remove, path); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// SetAside renames what a former training left (name.safetensors to name.previous.safetensors) and returns the names moved.
func SetAside(foldDir string) ([]string, error) {
	var moved []string
	for _, name := range []string{Final, Latest, Best, Healthy} {
		if !Exists(foldDir, name) {
			continue
		}
		to := files(foldDir, name+previousMark)
		for i, from := range files(foldDir, name) {
			if err := fault.At(fault.Rename, from); err != nil {
				return moved, err
			}
			if err := os.Rename(from, to[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return moved, err
			}
		}
		moved = append(moved, filepath.Base(to[0]))
	}
	return moved, nil
}

// RemoveSetAside deletes what SetAside kept.
func RemoveSetAside(foldDir string) error {
	for _, name := range []string{Final, Latest, Best, Healthy} {
		if err := Remove(foldDir, name+previousMark); err != nil {
			return err
		}
	}
	return nil
}

func files(foldDir, name string) []string {
	return []string{Path(foldDir, name), filepath.Join(foldDir, name+summarySuffix)}
}
