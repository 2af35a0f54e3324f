// Package preprocess crops, resamples, normalises and pads one case, for training and for prediction alike.
package preprocess

import (
	"context"
	"math"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/resample"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Prepared is a case on the plans' grid.
type Prepared struct {
	Shape      [4]int    // modalities + 1, then the axes after transpose_forward
	Data       []float32 // normalised modalities, then the mask as labels (-1 outside), 0 in the padding
	Properties Properties
	Warnings   []string // in what the case is unlike the training cases; only Case fills them in
}

// Case preprocesses one case as plan-and-preprocess does. An axis on which the case is larger than the plans' shape
// keeps the case's size.
func Case(ctx context.Context, c task.Case, p *plan.Plans) (*Prepared, error) {
	crop, err := Crop(c, p)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return crop.Finish(ctx)
}

// Planned is a cropped case and the plans that it is to follow, between Crop and Finish, the two halves of Case: what
// it will need is known, and not taken yet.
type Planned struct {
	c     task.Case
	plans *plan.Plans
	crop  *Cropped
	shape [3]int
}

// Crop reads the files of a case and crops them.
func Crop(c task.Case, p *plan.Plans) (*Planned, error) { return crop(c, files(c), p) }

func crop(c task.Case, from source, p *plan.Plans) (*Planned, error) {
	if len(c.Images) != len(p.Modalities) {
		return nil, task.CaseErrorf(c.ID, "%d image files, but the plans are for %d modalities", len(c.Images), len(p.Modalities))
	}
	out, err := load(c, from, p.NumClasses+1)
	if err != nil {
		return nil, err
	}
	_, shape, err := sizes(c, out, p)
	return &Planned{c, p, out, shape}, err
}

// Shape is the size of the prepared case, in the order of the plans' axes.
func (c *Planned) Shape() [3]int { return c.shape }

// FinishBytes is the memory in bytes that Finish needs, the cropped case included.
func (c *Planned) FinishBytes() int64 {
	return FinishBytes(c.crop.Size, c.crop.Geometry.Spacing, c.plans)
}

// Finish resamples, normalises and pads the case, whose arrays it uses up.
func (c *Planned) Finish(ctx context.Context) (*Prepared, error) {
	warnings := append(strangeness(c.crop, c.plans), c.crop.Notes...)
	out, err := Finish(ctx, c.c, c.crop, c.plans)
	if err != nil {
		return nil, err
	}
	out.Warnings = warnings
	return out, nil
}

// strangeness says in what a case is unlike those that the plans were made for.
func strangeness(crop *Cropped, p *plan.Plans) []string {
	var all []string
	for _, text := range append(crop.doubts,
		integrity.StrangeOrientation(nifti.Orientation(crop.Geometry), p.OriginalOrientations),
		integrity.StrangeSpacing(crop.Geometry.Spacing, p.OriginalSpacings)) {
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}

// Finish takes a cropped case to the plans' grid. It uses up the case's arrays.
func Finish(ctx context.Context, c task.Case, crop *Cropped, p *plan.Plans) (*Prepared, error) {
	stage := p.Stage()
	spacing := volume.Permute(crop.Geometry.Spacing, p.TransposeForward)
	from := volume.Permute(crop.Size, p.TransposeForward)
	size, target, err := sizes(c, crop, p)
	if err != nil {
		return nil, err
	}
	axis := resample.SeparateAxis(spacing, stage.CurrentSpacing)
	offset := volume.PadOffset(size, target)
	voxels := target[0] * target[1] * target[2]
	out := &Prepared{
		Shape: [4]int{len(crop.Data) + 1, target[0], target[1], target[2]},
		Data:  make([]float32, (len(crop.Data)+1)*voxels),
	}
	mask := resample.Labels(volume.Transpose(crop.Mask, crop.Size, p.TransposeForward), from, size, axis)
	crop.Mask = nil
	block := voxels - len(mask) // each channel is made at the end of its place, then padded within it
	for m := range crop.Data {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data := crop.Data[m]
		crop.Data[m] = nil
		data = volume.Transpose(data, crop.Size, p.TransposeForward)
		channel := out.Data[m*voxels:][:voxels]
		resample.Data(channel[block:], data, from, size, axis)
		normaliser{p, m}.apply(channel[block:], mask)
		if i := integrity.FirstNonFinite(channel[block:]); i >= 0 {
			return nil, task.CaseErrorf(c.ID, "%s: after resampling and normalisation voxel %s of the plans' grid is not finite; look for extreme values in the image", c.Images[m], integrity.PositionText(i, size))
		}
		volume.PadInPlace(channel, target, size, offset)
	}
	channel := out.Data[len(out.Data)-voxels:]
	for i, v := range mask {
		channel[block+i] = float32(v)
	}
	volume.PadInPlace(channel, target, size, offset)
	out.Properties = CropProperties(c, crop)
	out.Properties.UseMaskForNorm = p.UseMaskForNorm
	out.Properties.SizeAfterResampling = size
	out.Properties.SpacingAfterResampling = stage.CurrentSpacing
	out.Properties.SizeAfterPad = target
	return out, nil
}

// sizes are those of a cropped case after resampling, and after padding.
func sizes(c task.Case, crop *Cropped, p *plan.Plans) (size, target [3]int, err error) {
	stage := p.Stage()
	from, spacing := volume.Permute(crop.Size, p.TransposeForward), volume.Permute(crop.Geometry.Spacing, p.TransposeForward)
	voxels := 1.0
	var exact [3]float64
	for d := range 3 {
		exact[d] = math.Round(spacing[d] / stage.CurrentSpacing[d] * float64(from[d]))
		voxels *= max(exact[d], float64(stage.ImageSize[d]))
	}
	if !(voxels <= fingerprint.MaxVoxels) {
		return size, target, task.CaseErrorf(c.ID, "%s: spacing %s gives %.6g x %.6g x %.6g voxels at the plans' %v mm; check the spacing in the header", c.Images[0], volume.SpacingText(crop.Geometry.Spacing), exact[0], exact[1], exact[2], stage.CurrentSpacing)
	}
	size, target = resample.Shape(from, spacing, stage.CurrentSpacing), stage.ImageSize
	for d := range 3 {
		target[d] = max(target[d], size[d])
	}
	return size, target, nil
}

// CropProperties are the properties of a case that is cropped and no more.
func CropProperties(c task.Case, crop *Cropped) Properties {
	return Properties{
		Case:              c.ID,
		Targets:           c.Targets,
		OriginalSize:      crop.Geometry.Size,
		OriginalSpacing:   crop.Geometry.Spacing,
		DataFiles:         c.Images,
		SegFile:           c.Mask,
		ITKOrigin:         crop.Geometry.Origin,
		ITKSpacing:        reversed(crop.Geometry.Spacing),
		ITKDirection:      crop.Geometry.Direction,
		NonzeroBox:        BoundsOf(crop.NonzeroBox),
		CropBox:           BoundsOf(crop.ROIBox),
		SizeAfterCropping: crop.ROIBox.Size(),
		Measures:          crop.measures,
	}
}
