// Package preview makes small copies of scans for a page: cropped to the region of interest, averaged onto a coarser
// grid, 8 bits a voxel, within a number of bytes; and the full copies that a viewer is served.
package preview

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// Bounds of a preview.
const (
	maxVoxels     = 1 << 20   // of a layer, however few cases there are
	minCase       = 24 << 10  // bytes below which a preview shows nothing of use: about 25 voxels along an axis
	maxModalities = 4         // of a case
	margin        = 15.0      // mm around the region of interest, at least
	marginShare   = 0.25      // of its extent, at least
	maxCase       = 1_500_000 // bytes of a case, however few cases there are
	pictureShare  = 0.4       // of a case's bytes that its pictures take at most
)

// Heat is a map of what a network looked at, on the grid of the case's first image.
type Heat struct {
	Name  string // of whom and for what, for people
	Image *volume.Image
}

// Options of Make.
type Options struct {
	Bytes int // that all previews may take in the page, in base64
	// Heat gives the maps of a case; nil for none. It is called for one case at a time. An error is told with the case.
	Heat func(context.Context, task.Case) ([]Heat, error)
}

// Case is the preview of a case. Sizes and spacings are z, y, x on a grid whose z runs from feet to head, y from front
// to back and x from right to left.
type Case struct {
	Problem  string      // why there is nothing else
	Size     [3]int      // voxels
	Spacing  [3]float64  // mm
	Original [3]float64  // mm, of the image, in its own order of axes
	Affine   [12]float64 // rows: indices x, y, z of a voxel to mm to the right, front, head
	Cropped  bool        // shows a part of the image
	Reduced  bool        // is coarser than the image
	Images   []Layer
	ROI      *Layer // nil without a mask
	Heats    []Layer
	Thumb    []byte // JPEG of one slice
	Slices   []byte // JPEG of one slice of each direction: axial, coronal, sagittal
	NoHeat   string // why there are no heat maps although they were asked for
}

// Layer is one volume: gzipped, one byte a voxel, x fastest.
type Layer struct {
	Name         string
	Data         []byte
	Slope, Inter float64 // value = slope * byte + inter
}

// Bytes is what the case takes in a page, in base64.
func (c *Case) Bytes() int {
	n := encoded(len(c.Thumb)) + encoded(len(c.Slices))
	for _, l := range c.layers() {
		n += encoded(len(l.Data))
	}
	return n
}

func (c *Case) layers() []Layer {
	all := append(slices.Clone(c.Images), c.Heats...)
	if c.ROI != nil {
		all = append(all, *c.ROI)
	}
	return all
}

// encoded is the length of n bytes in base64.
func encoded(n int) int { return (n + 2) / 3 * 4 }

// Room is how many cases at most get a preview within a number of bytes.
func Room(bytes int) int { return bytes / encoded(minCase) }

// Make makes the previews of cases, in their order: of the first Room cases, the others are nil. Each may take the same
// share of the bytes. It reads every file twice, in constant memory. A case that cannot be read says so in its preview;
// the only error is that of ctx.
func Make(ctx context.Context, cases []task.Case, masked bool, modalities []string, o Options, r progress.Reporter) ([]*Case, error) {
	out := make([]*Case, len(cases))
	n := min(len(cases), Room(o.Bytes))
	if n == 0 {
		return out, nil
	}
	share := min(o.Bytes/n, maxCase)
	r.Stage("copying the scans to the page", n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var problems atomic.Int32
	one := make(chan struct{}, 1)
	for i, c := range cases[:n] {
		group.Go(func() error {
			var heats []Heat
			var why string
			if o.Heat != nil {
				one <- struct{}{}
				var err error
				if heats, err = o.Heat(ctx, c); err != nil {
					why = err.Error()
				}
				<-one
			}
			p, err := makeCase(ctx, c, masked, modalities, heats, share)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				problems.Add(1)
				p = &Case{Problem: err.Error()}
			}
			p.NoHeat = why
			out[i] = p
			r.Advance(c.ID)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if k := problems.Load(); k > 0 {
		r.Warn("%d of %d scans cannot be shown; the page says why", k, n)
	}
	return out, nil
}

// raw is a preview before its voxels are bytes.
type raw struct {
	size   [3]int
	images [][]float32
	names  []string
	share  []float32 // of the voxel that lies in the region of interest; nil without a mask
	label  []uint8   // of the region
	heats  [][]float32
}

func makeCase(ctx context.Context, c task.Case, masked bool, modalities []string, heats []Heat, share int) (*Case, error) {
	g, err := imagefile.ReadGeometry(c.Images[0])
	if err != nil {
		return nil, err
	}
	box := volume.Box{Max: g.Size}
	withMask := masked && c.Mask != ""
	if withMask {
		if box, err = regionBox(ctx, c.Mask, g); err != nil {
			return nil, err
		}
	}
	images := c.Images[:min(len(c.Images), maxModalities)]
	// Eight bits of a scan compress to about a half; the grid is made coarser below if that was too hopeful.
	grid := newGrid(g, box, min(maxVoxels, 3*share/len(images)))
	r := &raw{size: grid.size}
	for m, path := range images {
		data, err := average(ctx, path, grid)
		if err != nil {
			return nil, err
		}
		r.images = append(r.images, data)
		name := "image"
		if m < len(modalities) {
			name = modalities[m]
		}
		r.names = append(r.names, name)
	}
	if withMask {
		if r.share, r.label, err = region(ctx, c.Mask, grid); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, h := range heats {
		if h.Image.Size != g.Size {
			return nil, fmt.Errorf("the heat map has size %s, but the image %s", volume.SizeText(h.Image.Size), volume.SizeText(g.Size))
		}
		s := newMean(grid)
		s.add(h.Image.Data)
		r.heats, names = append(r.heats, s.mean()), append(names, h.Name)
	}
	out := &Case{Original: g.Spacing, Cropped: box.Size() != g.Size}
	for {
		r.encode(out, names)
		now := *grid
		now.size = r.size
		out.Size, out.Spacing, out.Affine, out.Reduced = now.size, now.spacing(), now.affine(), now.reduced()
		if out.Thumb == nil {
			out.Thumb, out.Slices = r.pictures(out, int(pictureShare*float64(share)))
		}
		taken := out.Bytes()
		if taken <= share || r.size == [3]int{1, 1, 1} {
			return out, nil
		}
		pictures := encoded(len(out.Thumb)) + encoded(len(out.Slices))
		fits := max(0.05, float64(share-pictures)/float64(max(1, taken-pictures)))
		voxels := float64(r.size[0] * r.size[1] * r.size[2])
		r = r.coarser(shrink(r.size, out.Spacing, max(1, int(0.95*fits*voxels))))
	}
}

// regionBox is the box around the region of interest with its margin; the whole image for an empty one.
func regionBox(ctx context.Context, path string, g volume.Geometry) (volume.Box, error) {
	whole := volume.Box{Max: g.Size}
	box := volume.Box{Min: g.Size}
	found := false
	at := 0
	err := imagefile.Scan(path, func(own volume.Geometry, values []float32) error {
		if own.Size != g.Size {
			return sizeError(path, own, g)
		}
		for _, v := range values {
			if v > 0 {
				found = true
				p := [3]int{at / (g.Size[1] * g.Size[2]), at / g.Size[2] % g.Size[1], at % g.Size[2]}
				for d := range 3 {
					box.Min[d], box.Max[d] = min(box.Min[d], p[d]), max(box.Max[d], p[d]+1)
				}
			}
			at++
		}
		return ctx.Err()
	})
	if err != nil || !found {
		return whole, err
	}
	extent := box.Size()
	for d := range 3 {
		grow := int(math.Ceil(max(margin/g.Spacing[d], marginShare*float64(extent[d]))))
		box.Min[d], box.Max[d] = max(0, box.Min[d]-grow), min(g.Size[d], box.Max[d]+grow)
	}
	return box, nil
}

func sizeError(path string, own, g volume.Geometry) error {
	return fmt.Errorf("%s: size %s, but the first image of the case has %s", path, volume.SizeText(own.Size), volume.SizeText(g.Size))
}

// mean gathers the mean of the image's voxels in each of a grid's.
type mean struct {
	walker
	sum []float64
	n   []int32
}

func newMean(g *grid) *mean {
	return &mean{walker{g: g}, make([]float64, g.voxels()), make([]int32, g.voxels())}
}

func (m *mean) add(values []float32) {
	m.visit(values, func(at int, v float32) {
		if numeric.Finite(v) {
			m.sum[at] += float64(v)
		}
		m.n[at]++
	})
}

func (m *mean) mean() []float32 {
	out := make([]float32, len(m.sum))
	for i, s := range m.sum {
		out[i] = float32(s / float64(max(1, m.n[i])))
	}
	return out
}

// average reads an image onto a grid.
func average(ctx context.Context, path string, g *grid) ([]float32, error) {
	m := newMean(g)
	err := imagefile.Scan(path, func(own volume.Geometry, values []float32) error {
		if own.Size != g.from.Size {
			return sizeError(path, own, g.from)
		}
		m.add(values)
		return ctx.Err()
	})
	return m.mean(), err
}

// region reads a mask onto a grid: the share of each voxel that lies in the region, and the highest label in it.
func region(ctx context.Context, path string, g *grid) ([]float32, []uint8, error) {
	in, n := make([]int32, g.voxels()), make([]int32, g.voxels())
	label := make([]uint8, g.voxels())
	w := walker{g: g}
	err := imagefile.Scan(path, func(own volume.Geometry, values []float32) error {
		if own.Size != g.from.Size {
			return sizeError(path, own, g.from)
		}
		w.visit(values, func(at int, v float32) {
			n[at]++
			if v > 0 {
				in[at]++
				label[at] = max(label[at], uint8(min(v, 255)))
			}
		})
		return ctx.Err()
	})
	share := make([]float32, len(in))
	for i := range in {
		share[i] = float32(in[i]) / float32(max(1, n[i]))
	}
	return share, label, err
}

// coarser averages onto a smaller grid.
func (r *raw) coarser(size [3]int) *raw {
	g := newGrid(volume.Geometry{Size: r.size, Spacing: [3]float64{1, 1, 1}}, volume.Box{Max: r.size}, math.MaxInt)
	g.size = size
	stride := [3]int{size[1] * size[2], size[2], 1}
	for d := range 3 {
		for i := range g.at[d] {
			g.at[d][i] = i * size[d] / r.size[d] * stride[d]
		}
	}
	down := func(data []float32) []float32 {
		if data == nil {
			return nil
		}
		m := newMean(g)
		m.add(data)
		return m.mean()
	}
	out := &raw{size: size, names: r.names, share: down(r.share)}
	for _, data := range r.images {
		out.images = append(out.images, down(data))
	}
	for _, data := range r.heats {
		out.heats = append(out.heats, down(data))
	}
	if r.label != nil {
		out.label = make([]uint8, g.voxels())
		values := make([]float32, len(r.label))
		for i, v := range r.label {
			values[i] = float32(v)
		}
		w := walker{g: g}
		w.visit(values, func(at int, v float32) { out.label[at] = max(out.label[at], uint8(v)) })
	}
	return out
}

// encode turns the volumes into bytes.
func (r *raw) encode(c *Case, heats []string) {
	c.Images, c.Heats, c.ROI = nil, nil, nil
	for m, data := range r.images {
		low, high := window(data)
		c.Images = append(c.Images, quantised(r.names[m], data, low, high))
	}
	for i, data := range r.heats {
		c.Heats = append(c.Heats, quantised(heats[i], data, 0, max(float64(slices.Max(data)), 1e-30)))
	}
	if r.share != nil {
		c.ROI = &Layer{Name: "region of interest", Data: packed(r.roi()), Slope: 1}
	}
}

// roi are the labels of the voxels at least half of which lie in the region.
func (r *raw) roi() []uint8 {
	out := make([]uint8, len(r.share))
	for i, s := range r.share {
		if s >= 0.5 {
			out[i] = r.label[i]
		}
	}
	return out
}

// window are the 0.5th and the 99.5th percentile of some voxels, evenly spread, or their extremes where those are one.
func window(data []float32) (low, high float64) {
	const most = 20_000
	step := len(data)/most | 1 // no multiple of the usual row lengths, which would sample a few columns alone
	sorted := make([]float32, 0, len(data)/step+1)
	for i := 0; i < len(data); i += step {
		sorted = append(sorted, data[i])
	}
	slices.Sort(sorted)
	k := len(sorted) / 200
	low, high = float64(sorted[k]), float64(sorted[len(sorted)-1-k])
	if !(high > low) {
		low, high = float64(sorted[0]), float64(sorted[len(sorted)-1])
	}
	return low, high
}

func quantised(name string, data []float32, low, high float64) Layer {
	l := Layer{Name: name, Inter: low, Slope: (high - low) / 255}
	if !(l.Slope > 0) {
		l.Slope = 1
	}
	l.Data = packed(levels(data, low, l.Slope))
	return l
}

func levels(data []float32, low, slope float64) []uint8 {
	out := make([]uint8, len(data))
	for i, v := range data {
		out[i] = uint8(min(255, max(0, math.Round((float64(v)-low)/slope))))
	}
	return out
}

func packed(data []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, _ = z.Write(data)                                  // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}
