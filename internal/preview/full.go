package preview

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/volume"
)

// Full is a volume as a viewer is served it: every voxel, on the grid that Case describes.
type Full struct {
	Size    [3]int
	Spacing [3]float64
	Affine  [12]float64
	Type    string // of the voxels, little endian: uint8, int16 or float32
	Data    []byte
}

// ReadFull reads an image or, as a mask, labels as uint8. Values that are not finite are 0.
func ReadFull(ctx context.Context, path string, mask bool) (*Full, error) {
	g, err := imagefile.ReadGeometry(path)
	if err != nil {
		return nil, err
	}
	if g.Voxels() > maxFull {
		return nil, fmt.Errorf("%s: %d voxels, at most %d are shown", path, g.Voxels(), maxFull)
	}
	grid := newGrid(g, volume.Box{Max: g.Size}, math.MaxInt)
	values := make([]float32, grid.voxels())
	whole := true // numbers, that fit 16 bits
	w := walker{g: grid}
	err = imagefile.Scan(path, func(_ volume.Geometry, part []float32) error {
		w.visit(part, func(at int, v float32) {
			if !numeric.Finite(v) {
				v = 0
			}
			values[at] = v
			whole = whole && v == float32(int16(max(-1<<15, min(v, 1<<15-1))))
		})
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	f := &Full{Size: grid.size, Spacing: grid.spacing(), Affine: grid.affine()}
	f.Type, f.Data = encode(values, mask, whole)
	return f, nil
}

// HeatFull is a heat map as a viewer is served it.
func HeatFull(h Heat) *Full {
	grid := newGrid(h.Image.Geometry, volume.Box{Max: h.Image.Size}, math.MaxInt)
	values := make([]float32, grid.voxels())
	w := walker{g: grid}
	w.visit(h.Image.Data, func(at int, v float32) { values[at] = v })
	f := &Full{Size: grid.size, Spacing: grid.spacing(), Affine: grid.affine()}
	f.Type, f.Data = encode(values, false, false)
	return f
}

// maxFull bounds the voxels of a volume that is served: a browser would give up before.
const maxFull = 1 << 28

func encode(values []float32, mask, whole bool) (string, []byte) {
	switch {
	case mask:
		b := make([]byte, len(values))
		for i, v := range values {
			b[i] = uint8(max(0, min(v, 255)))
		}
		return "uint8", b
	case whole:
		b := make([]byte, 2*len(values))
		for i, v := range values {
			binary.LittleEndian.PutUint16(b[2*i:], uint16(int16(v)))
		}
		return "int16", b
	default:
		b := make([]byte, 4*len(values))
		for i, v := range values {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
		return "float32", b
	}
}
