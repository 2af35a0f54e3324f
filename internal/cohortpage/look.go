package cohortpage

import (
	"context"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// maxSamples is how many voxels of an image, evenly spread, its intensities are taken from.
const maxSamples = 20_000

// look is what is seen of one case, in constant memory but for one slice.
type look struct {
	problem     string // why there is nothing else
	size        [3]int // z, y, x, as all of volume
	spacing     [3]float64
	orientation string      // RAS, ...
	doubt       string      // what the header says against its own spacing
	roiVolume   float64     // ml; NaN without a mask of its own
	intensities []quantiles // per modality, in the region of interest
	samples     [][]float32 // per modality, sorted; a few voxels of the region of interest
	nonFinite   bool
	constant    bool // an image with one value everywhere
	thumb       *thumb
}

// quantiles are the 1st, 50th and 99th percentile.
type quantiles [3]float64

// keptSamples is how many sorted voxels of an image are kept for the histogram of the cohort.
const keptSamples = 500

// lookAt reads a case: its header, its mask twice, its images once.
func lookAt(ctx context.Context, c task.Case, masked bool, side int) *look {
	l := &look{roiVolume: math.NaN()}
	h, err := imagefile.ReadHeader(c.Images[0])
	if err != nil {
		l.problem = err.Error()
		return l
	}
	l.size, l.spacing, l.doubt, l.orientation = h.Size, h.Spacing, h.SpacingDoubt, nifti.Orientation(h.Geometry)
	view := viewOf(h.Geometry)
	at := h.Size[view.Normal] / 2
	var region *roi
	if masked && c.Mask != "" {
		if region, err = findROI(ctx, c.Mask, h.Geometry, view.Normal); err != nil {
			l.problem = err.Error()
			return l
		}
		if region.voxels > 0 {
			at = region.slice
		}
		l.roiVolume = float64(region.voxels) * h.Spacing[0] * h.Spacing[1] * h.Spacing[2] / 1000
	}
	var inside []uint8 // of the region of interest, in the slice
	if region != nil {
		plane, err := readPlane(ctx, c.Mask, h.Geometry, view.Normal, at)
		if err != nil {
			l.problem = err.Error()
			return l
		}
		inside = make([]uint8, len(plane))
		for i, v := range plane {
			if v > 0 {
				inside[i] = 1
			}
		}
	}
	for m, path := range c.Images {
		s := &sampler{box: whole(h.Size), want: -1}
		if region != nil && region.voxels > 0 {
			s.box = region.box
		}
		if m == 0 {
			s.want = at
		}
		if err := s.read(ctx, path, h.Geometry, view.Normal); err != nil {
			l.problem = err.Error()
			return l
		}
		l.nonFinite = l.nonFinite || s.nonFinite
		l.constant = l.constant || s.lowest == s.highest
		slices.Sort(s.values)
		l.intensities = append(l.intensities, s.quantiles())
		l.samples = append(l.samples, thin(s.values, keptSamples))
		if m == 0 {
			l.thumb = draw(s.plane, inside, h.Geometry, view, side)
		}
	}
	return l
}

func whole(size [3]int) volume.Box { return volume.Box{Max: size} }

// thin keeps n values, evenly spread.
func thin(values []float32, n int) []float32 {
	if len(values) <= n {
		return values
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = values[i*len(values)/n]
	}
	return out
}

// roi is where a mask is not 0.
type roi struct {
	voxels int
	box    volume.Box
	slice  int // with the most of them, across an axis
}

// walk calls visit for every voxel of a file in order.
func walk(ctx context.Context, path string, g volume.Geometry, visit func(z, y, x int, v float32)) error {
	z, y, x := 0, 0, 0
	return imagefile.Scan(path, func(own volume.Geometry, values []float32) error {
		if own.Size != g.Size {
			return errSize(path, own, g)
		}
		for _, v := range values {
			visit(z, y, x, v)
			if x++; x == g.Size[2] {
				x = 0
				if y++; y == g.Size[1] {
					y = 0
					z++
				}
			}
		}
		return ctx.Err()
	})
}

// findROI finds the region of interest, and its largest slice across axis normal.
func findROI(ctx context.Context, path string, g volume.Geometry, normal int) (*roi, error) {
	r := &roi{box: volume.Box{Min: g.Size}}
	areas := make([]int, g.Size[normal])
	err := walk(ctx, path, g, func(z, y, x int, v float32) {
		if !(v > 0) {
			return
		}
		p := [3]int{z, y, x}
		r.voxels++
		areas[p[normal]]++
		for d := range 3 {
			r.box.Min[d], r.box.Max[d] = min(r.box.Min[d], p[d]), max(r.box.Max[d], p[d]+1)
		}
	})
	r.slice = slices.Index(areas, slices.Max(areas))
	return r, err
}

// readPlane reads one slice across axis normal; the other two axes keep their order.
func readPlane(ctx context.Context, path string, g volume.Geometry, normal, at int) ([]float32, error) {
	s := &sampler{want: at}
	err := s.read(ctx, path, g, normal)
	return s.plane, err
}

// sampler takes voxels of a box, evenly spread, and one slice.
type sampler struct {
	box  volume.Box // of the samples
	want int        // the slice, or -1

	values          []float32
	plane           []float32
	lowest, highest float32
	nonFinite       bool
}

func (s *sampler) read(ctx context.Context, path string, g volume.Geometry, normal int) error {
	size := s.box.Size()
	stride := max(1, size[0]*size[1]*size[2]/maxSamples)
	if stride%2 == 0 {
		stride++ // no multiple of the usual row lengths, which would sample a few columns alone
	}
	seen := 0
	first := true
	return walk(ctx, path, g, func(z, y, x int, v float32) {
		if !numeric.Finite(v) {
			s.nonFinite = true
			v = 0
		}
		if first {
			s.lowest, s.highest, first = v, v, false
		}
		s.lowest, s.highest = min(s.lowest, v), max(s.highest, v)
		if [3]int{z, y, x}[normal] == s.want {
			s.plane = append(s.plane, v)
		}
		if z < s.box.Min[0] || z >= s.box.Max[0] || y < s.box.Min[1] || y >= s.box.Max[1] || x < s.box.Min[2] || x >= s.box.Max[2] {
			return
		}
		if seen%stride == 0 {
			s.values = append(s.values, v)
		}
		seen++
	})
}

// quantiles of the sorted samples.
func (s *sampler) quantiles() quantiles {
	n := len(s.values)
	if n == 0 {
		return quantiles{}
	}
	return quantiles{float64(s.values[n/100]), float64(s.values[n/2]), float64(s.values[n-1-n/100])}
}

type sizeError struct{ text string }

func (e *sizeError) Error() string { return e.text }

func errSize(path string, own, g volume.Geometry) error {
	return &sizeError{path + ": size " + volume.SizeText(own.Size) + ", but the first image of the case has " + volume.SizeText(g.Size)}
}
