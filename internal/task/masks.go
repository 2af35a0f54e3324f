package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// EnsureMasks gives a task without ROI masks foreground-only ones, as the reference does: labelsTr/<case>.nii.gz of
// ones (int16) with the geometry of modality 0; labels and a label per case in dataset.json; the original kept as
// original_dataset.json. A task with masks of its own is left alone.
//
// It can be killed at any moment and run again: the original is put aside first, then the masks are written,
// dataset.json is rewritten last, and every file appears whole. The kept original is the record that the masks are not
// real: Load finds it again, so HasMasks stays false in later runs.
func (t *Task) EnsureMasks(ctx context.Context, r progress.Reporter) error {
	if !t.lacksMasks() {
		return nil
	}
	lock, err := lockfile.Enter(ctx, t.Dir, false, r)
	if err != nil {
		return fmt.Errorf("masks cannot be generated: %w", err)
	}
	defer lock.Release()
	// Another process may have generated the masks since the task was loaded: its original must not be taken for ours.
	now, err := Load(t.Folders, t.Name)
	if err != nil {
		return err
	}
	if *t = *now; !t.lacksMasks() {
		return nil
	}
	todo := t.withoutMask()
	if len(todo) > 0 {
		original := filepath.Join(t.Dir, OriginalFile)
		if _, err := os.Stat(original); errors.Is(err, fs.ErrNotExist) || err == nil && !t.generated {
			if err := keepOriginal(filepath.Join(t.Dir, DatasetFile), original); err != nil {
				return err
			}
			t.generated = true
		} else if err != nil {
			return err
		}
		if err := t.writeMasks(ctx, todo, r); err != nil {
			return err
		}
	}
	if !t.declareMasks() {
		return nil
	}
	path := filepath.Join(t.Dir, DatasetFile)
	if err := atomicfile.WriteBytes(path, t.document.format()); err != nil {
		return err
	}
	t.Dataset.Raw, _ = t.document.value().(map[string]any)
	r.Note("%s: no ROI masks given; foreground masks written to %s, the original kept as %s", path, LabelsDir, OriginalFile)
	return nil
}

// withoutMask lists the cases that have no mask yet, or one that was generated before their image was exported again
// with another grid.
func (t *Task) withoutMask() []int {
	lacks := make([]bool, len(t.Dataset.Cases))
	var group errgroup.Group
	group.SetLimit(headersAtATime * runtime.GOMAXPROCS(0))
	for i, c := range t.Dataset.Cases {
		group.Go(func() error {
			if lacks[i] = c.Mask == ""; lacks[i] {
				return nil
			}
			image, err := imagefile.ReadHeader(c.Images[0])
			if err != nil {
				return nil // whoever reads the image says so
			}
			mask, err := imagefile.ReadHeader(c.Mask)
			lacks[i] = err == nil && integrity.GridMismatch(mask.Geometry, "", image.Geometry) != ""
			return nil
		})
	}
	_ = group.Wait()
	var todo []int
	for i, lack := range lacks {
		if lack {
			todo = append(todo, i)
		}
	}
	return todo
}

// lacksMasks reports whether masks or their declaration are to be generated.
func (t *Task) lacksMasks() bool {
	if t.Dataset.HasMasks {
		return false
	}
	if t.document.get("labels") == nil {
		return true
	}
	training := t.document.get("training")
	for i := range t.Dataset.Cases {
		if training.items[i].get("label") == nil {
			return true
		}
	}
	return len(t.withoutMask()) > 0
}

// keepOriginal copies dataset.json byte for byte.
func keepOriginal(path, original string) error {
	b, err := infile.ReadFile(path, infile.MaxText)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(original, b)
}

// writeMasks writes the masks of the cases in todo. A mask left by a run that was cut short is checked and kept.
func (t *Task) writeMasks(ctx context.Context, todo []int, r progress.Reporter) error {
	dir := filepath.Join(t.Dir, LabelsDir)
	if err := atomicfile.MkdirAll(dir); err != nil {
		return fmt.Errorf("cannot create the folder for masks: %w", err)
	}
	if err := atomicfile.RemoveLeftovers(dir); err != nil {
		return err
	}
	r.Stage("generating foreground masks", len(todo))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range todo {
		c := &t.Dataset.Cases[i]
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			path := c.Mask
			if path == "" {
				path = filepath.Join(dir, c.ID+writtenExtension)
			}
			if err := writeForeground(path, c.Images[0]); err != nil {
				return fmt.Errorf("case %s: %w", c.ID, err)
			}
			c.Mask = path
			r.Advance(c.ID)
			return nil
		})
	}
	return group.Wait()
}

// writeForeground writes a mask of ones with the geometry of image. A file that is there already is only replaced if
// it, too, holds nothing but ones: a run that was cut short left it.
func writeForeground(path, image string) error {
	g, err := imagefile.ReadGeometry(image)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		ones, err := onlyForeground(path)
		if err != nil {
			return err
		}
		if !ones {
			return fmt.Errorf("%s holds more than foreground, but dataset.json declares no masks; declare it with labels and a label per case and remove %s, or move it away", path, OriginalFile)
		}
	}
	data := make([]int16, g.Voxels())
	for i := range data {
		data[i] = 1
	}
	return nifti.WriteInt16(path, g, data)
}

// onlyForeground reports whether every voxel of a mask is 1.
func onlyForeground(path string) (bool, error) {
	ones := true
	err := imagefile.Scan(path, func(_ volume.Geometry, values []float32) error {
		for _, v := range values {
			if v != 1 {
				ones = false
				return imagefile.ErrStop
			}
		}
		return nil
	})
	return ones, err
}

// declareMasks adds labels and each case's label to the document, and reports whether that changed anything.
func (t *Task) declareMasks() bool {
	changed := false
	training := t.document.get("training")
	for i := range training.items {
		item := &training.items[i]
		if item.get("label") != nil {
			continue
		}
		rel := LabelsDir + "/" + t.Dataset.Cases[i].ID + writtenExtension
		item.members = append(item.members, member{"label", node{kind: kindString, text: rel}})
		changed = true
	}
	if t.document.get("labels") == nil {
		labels := node{kind: kindObject}
		for i, name := range generatedLabels {
			labels.members = append(labels.members, member{fmt.Sprint(i), node{kind: kindString, text: name}})
		}
		t.document.members = append(t.document.members, member{"labels", labels})
		changed = true
	}
	return changed
}
