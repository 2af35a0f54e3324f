package explain

import (
	"github.com/universal-classifier/uc/internal/volume"
)

// Original is the heat of a map in the geometry of the case's original images: padding, resampling, cropping and the
// order of axes undone, linear between voxels of the network's grid, and 0 where the network was shown nothing.
func (c *Case) Original(h *Map) *volume.Image {
	p := c.Properties
	out := &volume.Image{Geometry: c.geometry()}
	out.Data = make([]float32, out.Voxels())
	box := c.cropBox()
	size := box.Size() // of the crop, axes as in the original
	turned := volume.Permute(size, c.Transpose)
	offset := volume.PadOffset(p.SizeAfterResampling, c.Shape)
	var taps [3][]tap
	for a := range 3 {
		n := p.SizeAfterResampling[a]
		scale := float64(n) / float64(turned[a])
		for i := range turned[a] {
			t := tapAt(scale*(float64(i)+0.5)-0.5, n)
			t.low, t.high = t.low+offset[a], t.high+offset[a]
			taps[a] = append(taps[a], t)
		}
	}
	crop := make([]float32, size[0]*size[1]*size[2])
	interpolate(crop, h.Heat, c.Shape, turned, taps)
	crop = volume.Transpose(crop, turned, inverse(c.Transpose))
	for z := range size[0] {
		for y := range size[1] {
			to := ((z+box.Min[0])*out.Size[1]+y+box.Min[1])*out.Size[2] + box.Min[2]
			copy(out.Data[to:to+size[2]], crop[(z*size[1]+y)*size[2]:])
		}
	}
	return out
}

// geometry is that of the original images.
func (c *Case) geometry() volume.Geometry {
	p := c.Properties
	return volume.Geometry{Size: p.OriginalSize, Spacing: p.OriginalSpacing, Origin: p.ITKOrigin, Direction: p.ITKDirection}
}

// cropBox is what the network was shown of the original images.
func (c *Case) cropBox() volume.Box {
	return c.Properties.CropBox.Box().Shift(c.Properties.NonzeroBox.Box().Min)
}

// inverse is the order of axes that undoes axes.
func inverse(axes [3]int) (back [3]int) {
	for d, a := range axes {
		back[a] = d
	}
	return back
}

// OriginalPeak is the voxel of the original images, (z, y, x), in which the heat's maximum lies.
func (c *Case) OriginalPeak(h *Map) [3]int {
	return c.toOriginal(h.Peak)
}

// toOriginal is the voxel of the original images that a voxel of the network's grid lies in; voxels of the padding go
// to the nearest.
func (c *Case) toOriginal(v [3]int) [3]int {
	p, box := c.Properties, c.cropBox()
	turned := volume.Permute(box.Size(), c.Transpose)
	offset := volume.PadOffset(p.SizeAfterResampling, c.Shape)
	var at [3]int
	for a := range 3 {
		n := p.SizeAfterResampling[a]
		place := (float64(v[a]-offset[a]) + 0.5) * float64(turned[a]) / float64(n)
		at[c.Transpose[a]] = box.Min[c.Transpose[a]] + min(max(int(place), 0), turned[a]-1)
	}
	return at
}
