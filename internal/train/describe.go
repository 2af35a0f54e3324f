package train

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/volume"
)

// describe says what the training will do, before it does it.
func (t *training) describe() {
	p, stage := t.state.Recipe, t.plans.Stage()
	t.log.note("fold %s of %s: %s", t.o.Fold, t.o.Task, t.split.Origin)
	for _, w := range t.split.Warnings {
		t.log.warn("%s", w)
	}
	t.log.note("%d training cases, %d validation cases\n%s", len(t.split.Train), len(t.split.Val), t.classTable())
	for _, w := range t.missingClasses() {
		t.log.warn("%s", w)
	}
	t.log.note("network I3D on %s (%s): %d input channels, %s voxels, batch %d",
		t.device.Name(), device.PrecisionText(t.device, !t.o.FP32), t.config.InChannels, volume.ShapeText(stage.ImageSize), p.BatchSize)
	t.log.note("%s: %s", t.o.Trainer, p.text())
	t.log.note("%d epochs of %d training and %d validation iterations: %d steps, %.1f passes over the training cases; seed %d, %d workers preparing samples",
		p.Epochs, p.Iterations, p.ValIterations, p.iterations(), float64(p.iterations()*p.BatchSize)/float64(len(t.split.Train)), p.Seed, t.o.Workers)
	t.log.note("memory: about %s", memory.Format(t.need.machine))
	if free := memory.Available(); t.need.machine > free {
		t.log.warn("%s", remedy.Notef("about %s of memory are needed, %s are free; a smaller batch needs less", memory.Format(t.need.machine), memory.Format(free)).
			See(remedy.Set{Option: remedy.BatchSize}))
	}
	if t.need.device > 0 {
		t.log.note("memory of the device: about %s, and what its kernels borrow", memory.Format(t.need.device))
		if free, _ := t.device.(ownMemory).Memory(); t.need.device > free {
			words, what := t.whatFits(free)
			t.log.warn("%s", remedy.Notef("about %s of the device's memory are needed, %s are free; %s", memory.Format(t.need.device), memory.Format(free), words).See(what))
		}
	}
	t.log.quiet("training cases: %s", strings.Join(t.split.Train, " "))
	t.log.quiet("validation cases: %s", strings.Join(t.split.Val, " "))
}

// whatFits says how to train with so many bytes of the device's memory.
func (t *training) whatFits(free int64) (words string, what remedy.Remedy) {
	for batch := t.state.Recipe.BatchSize - 1; batch > 0; batch-- {
		if need, err := i3d.MemoryEstimate(t.device, t.config, batch, t.plans.Stage().ImageSize, t.state.Recipe.extras()); err == nil && need <= free {
			return fmt.Sprintf("a batch of %d would fit", batch), remedy.Set{Option: remedy.BatchSize, Value: strconv.Itoa(batch)}
		}
	}
	return "not even a batch of 1 would fit; the CPU trains in the machine's memory", remedy.Set{Option: remedy.Device, Value: "cpu"}
}

// ownMemory is a device whose memory is not the machine's.
type ownMemory interface{ Memory() (free, total int64) }

// estimateMemory estimates the bytes of network and loader.
func (t *training) estimateMemory() error {
	p, shape := t.state.Recipe, t.plans.Stage().ImageSize
	network, err := i3d.MemoryEstimate(t.device, t.config, p.BatchSize, shape, p.extras())
	if err != nil {
		return err
	}
	if _, own := t.device.(ownMemory); own {
		t.need.device = network
	} else {
		t.need.machine = network
	}
	const (
		weightCopies = 6         // weights, their average and the optimiser's moments on their way to a checkpoint, and their encoding
		program      = 100 << 20 // the kernels' scratch and everything else
	)
	weights := int64(0)
	empty := i3d.EmptyStateDict(t.config)
	for _, name := range empty.Names() {
		weights += 4 * int64(empty.Get(name).Len())
	}
	sample := 4 * int64(t.config.InChannels) * int64(shape[0]*shape[1]*shape[2])
	pipelines := int64(t.o.Workers) * augment.Memory(t.augmentation(), shape, len(t.plans.Modalities))
	t.need.machine += program + weightCopies*weights + sample*int64(p.BatchSize*feed.BatchesAhead(p.BatchSize, t.o.Workers)) + pipelines
	return nil
}

// writeDebug keeps what was decided in debug.json.
func (t *training) writeDebug() error {
	return jsonfile.Write(filepath.Join(t.foldDir, debugFile), map[string]any{
		"task": t.o.Task, "fold": t.o.Fold, "trainer": t.o.Trainer, "plans_identifier": t.o.Plans,
		"recipe": t.state.Recipe, "started_at_epoch": t.state.Epoch,
		"train_loss_MA_alpha": trainAlpha, "val_eval_criterion_alpha": valAlpha,
		"input_channels": t.config.InChannels, "outputs": t.config.Outputs, "labels": t.plans.Labels,
		"image_size": t.plans.Stage().ImageSize, "augmentation": t.augmentation(),
		"device": t.device.Name(), "precision": t.device.Precision(), "precision_reason": device.PrecisionText(t.device, !t.o.FP32), "threads": t.o.Threads, "workers": t.o.Workers, "deterministic": t.o.Deterministic,
		"compressed_data": t.o.CompressedData, "pretrained_weights": t.o.PretrainedWeights, "continued": t.o.Continue,
		"split": t.split.Origin, "training_cases": t.split.Train, "validation_cases": t.split.Val,
		"memory_estimate_bytes": t.need.machine, "device_memory_estimate_bytes": t.need.device,
	}, jsonfile.Indent)
}
