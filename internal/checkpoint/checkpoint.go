// Package checkpoint keeps a trained or half-trained network as one safetensors file.
package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/weights"
)

// Names of the checkpoints of a fold, without suffix, as nnU-Net calls them.
const (
	Final  = "model_final_checkpoint" // after the last epoch
	Latest = "model_latest"           // to resume from
	Best   = "model_best"             // best moving average of the validation loss
	// Healthy is what a training that collapses goes back to.
	Healthy = "model_healthy"
)

// PlansFile is the copy of the plans in the folder of a model, next to its folds, and in that of each fold.
const PlansFile = "plans.json"

// Suffix is that of the file of a checkpoint.
const Suffix = ".safetensors"

const (
	summarySuffix   = ".json"
	previousMark    = ".previous"
	optimiserPrefix = "optimizer." // before the name of a part of the optimiser's state and that of the parameter it belongs to
	momentumPrefix  = optimiserPrefix + "momentum."
	secondPrefix    = optimiserPrefix + "second_moment."
	currentPrefix   = optimiserPrefix + "current."
	modelKey        = "uc.model"
	trainingKey     = "uc.training"
	originKey       = "uc.made_from"
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
	// Current are parameters and running statistics as the optimiser left them, where Weights are their running average;
	// nil where Weights are what the optimiser left.
	Current  *weights.StateDict
	Origin   *provenance.Fold // what the network was made from; nil if the file does not say
	training json.RawMessage
}

// Digest identifies a network by its weights and running statistics, wherever they are kept and whatever is kept with
// them.
func Digest(network *weights.StateDict) string {
	h := sha256.New()
	buf := make([]byte, 0, 1<<16)
	flush := func() {
		h.Write(buf)
		buf = buf[:0]
	}
	for _, name := range slices.Sorted(slices.Values(network.Names())) {
		t := network.Get(name)
		fmt.Fprintf(h, "%s %v\n", name, t.Shape)
		for _, v := range t.F32 {
			if buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v)); len(buf) == cap(buf) {
				flush()
			}
		}
		for _, v := range t.I64 {
			if buf = binary.LittleEndian.AppendUint64(buf, uint64(v)); len(buf)+8 > cap(buf) {
				flush()
			}
		}
		flush()
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Path is the file of a checkpoint in the folder of a fold.
func Path(foldDir, name string) string { return filepath.Join(foldDir, name+Suffix) }

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
	told := map[string]json.RawMessage{"model": model, "training": state}
	if c.Origin != nil {
		origin, err := json.Marshal(c.Origin)
		if err != nil {
			return err
		}
		metadata[originKey] = string(origin)
		told["made_from"] = origin
	}
	if err := weights.WriteSafetensors(Path(foldDir, name), all, metadata); err != nil {
		return err
	}
	return jsonfile.Write(filepath.Join(foldDir, name+summarySuffix), told, jsonfile.Indent)
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
	if o := metadata[originKey]; o != "" {
		if err := json.Unmarshal([]byte(o), &c.Origin); err != nil {
			return nil, fmt.Errorf("%s: metadata %q: %w", path, originKey, err)
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

// Exists reports whether the fold has the checkpoint.
func Exists(foldDir, name string) bool {
	_, err := os.Stat(Path(foldDir, name))
	return err == nil
}

// Any reports whether the fold has any checkpoint.
func Any(foldDir string) bool {
	return Exists(foldDir, Final) || Exists(foldDir, Latest) || Exists(foldDir, Best)
}

// Remove deletes a checkpoint; a missing one is not an error.
func Remove(foldDir, name string) error {
	for _, path := range files(foldDir, name) {
		if err := atomicfile.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// SetAside renames what a former training left (name.safetensors to name.previous.safetensors), with the validations of
// its network and its plans, and returns the names moved. Without a checkpoint nothing is moved but validations, which
// belong to no network any more.
func SetAside(foldDir string, validations ...string) ([]string, error) {
	var moved []string
	rename := func(from, to string) error {
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := atomicfile.RemoveAll(to); err != nil { // of a training before that
			return err
		}
		return atomicfile.Rename(from, to)
	}
	// The validations first: none may stand next to a network that is not its own.
	for _, name := range validations {
		if strings.HasSuffix(name, previousMark) {
			continue
		}
		if err := rename(filepath.Join(foldDir, name), filepath.Join(foldDir, name+previousMark)); err != nil {
			return moved, err
		}
		moved = append(moved, name+previousMark)
	}
	checkpoints := false
	for _, name := range []string{Final, Latest, Best, Healthy} {
		if !Exists(foldDir, name) {
			continue
		}
		to := files(foldDir, name+previousMark)
		for i, from := range files(foldDir, name) {
			if err := rename(from, to[i]); err != nil {
				return moved, err
			}
		}
		checkpoints = true
		moved = append(moved, filepath.Base(to[0]))
	}
	if !checkpoints {
		return moved, nil
	}
	return moved, rename(filepath.Join(foldDir, PlansFile), filepath.Join(foldDir, previousPlans))
}

// previousPlans are the plans of a training that was set aside.
const previousPlans = "plans" + previousMark + ".json"

// RemoveSetAside deletes what SetAside kept.
func RemoveSetAside(foldDir string) error {
	for _, name := range []string{Final, Latest, Best, Healthy} {
		if err := Remove(foldDir, name+previousMark); err != nil {
			return err
		}
	}
	if err := atomicfile.Remove(filepath.Join(foldDir, previousPlans)); err != nil {
		return err
	}
	entries, err := os.ReadDir(foldDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasSuffix(e.Name(), previousMark) {
			if err := atomicfile.RemoveAll(filepath.Join(foldDir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func files(foldDir, name string) []string {
	return []string{Path(foldDir, name), filepath.Join(foldDir, name+summarySuffix)}
}
