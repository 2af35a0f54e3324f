package preprocess

import (
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/resample"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// Bytes per voxel of what a stage holds at its peak.
const (
	floatBytes = 4
	maskBytes  = 2
	flagBytes  = 2 // the flags themselves and the runs of background found in them
)

// CropBytes is the memory in bytes for reading and cropping a case, by the header of its first image.
func CropBytes(c task.Case) (int64, error) {
	g, err := imagefile.ReadGeometry(c.Images[0])
	if err != nil {
		return 0, task.InCase(c.ID, err)
	}
	return CropBytesOf(g.Size, len(c.Images)), nil
}

// CropBytesOf is the memory in bytes for reading and cropping a case of the given size (z, y, x): for its images, mask
// and flags, each cut in place or to less than half.
func CropBytesOf(size [3]int, modalities int) int64 {
	voxels := int64(size[0]) * int64(size[1]) * int64(size[2])
	return voxels*int64(modalities*floatBytes+maskBytes+flagBytes) + voxels/2*floatBytes
}

// FinishBytes is the memory in bytes for what comes after cropping to the given size (z, y, x; spacing in mm): for the
// cropped arrays (twice, for the transposition), the result and what resampling needs between.
func FinishBytes(cropped [3]int, cropSpacing [3]float64, p *plan.Plans) int64 {
	size, spacing := volume.Permute(cropped, p.TransposeForward), volume.Permute(cropSpacing, p.TransposeForward)
	target := p.Stage().CurrentSpacing
	to := resample.Shape(size, spacing, target)
	in, out, padded := int64(1), int64(1), int64(1)
	for d, n := range p.Stage().ImageSize {
		in *= int64(size[d])
		out *= int64(to[d])
		padded *= int64(max(n, to[d]))
	}
	modalities := int64(len(p.Modalities))
	scratch := int64(resample.Scratch(size, to, resample.SeparateAxis(spacing, target)))
	return in*(2*modalities*floatBytes+maskBytes) + out*maskBytes + scratch*floatBytes + (modalities+1)*floatBytes*padded
}

// Bytes is the memory that a cropped case holds.
func (c *Cropped) Bytes() int64 {
	n := int64(cap(c.Mask)) * maskBytes
	for _, d := range c.Data {
		n += int64(cap(d)) * floatBytes
	}
	return n
}
