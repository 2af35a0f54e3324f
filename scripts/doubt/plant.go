package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reliability"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// plant changes the images of a case.
type plant struct {
	name   string
	change func(v *preprocess.Volumes, random *rand.Rand)
}

// each changes the voxels of every image.
func each(f func(v float32, random *rand.Rand) float32) func(*preprocess.Volumes, *rand.Rand) {
	return func(v *preprocess.Volumes, random *rand.Rand) {
		for _, im := range v.Images {
			for i, x := range im.Data {
				im.Data[i] = f(x, random)
			}
		}
	}
}

var plants = []plant{
	{"as it is", func(*preprocess.Volumes, *rand.Rand) {}},
	{"spacing z x 3 in the header", func(v *preprocess.Volumes, _ *rand.Rand) {
		for _, im := range v.Images {
			im.Geometry.Spacing[0] *= 3
		}
		if v.Mask != nil {
			v.Mask.Geometry.Spacing[0] *= 3
		}
	}},
	{"intensities of another modality (-1000 + 8 x)", each(func(v float32, _ *rand.Rand) float32 { return 8*v - 1000 })},
	{"intensities inverted", func(v *preprocess.Volumes, random *rand.Rand) {
		for _, im := range v.Images {
			highest, lowest := slices.Max(im.Data), slices.Min(im.Data)
			for i, x := range im.Data {
				im.Data[i] = highest + lowest - x
			}
		}
	}},
	{"noise in place of the scan, same mean and range", func(v *preprocess.Volumes, random *rand.Rand) {
		for _, im := range v.Images { // its own voxels, in another order
			random.Shuffle(len(im.Data), func(i, j int) { im.Data[i], im.Data[j] = im.Data[j], im.Data[i] })
		}
	}},
	{"mirrored along x", func(v *preprocess.Volumes, _ *rand.Rand) {
		for _, im := range v.Images {
			mirrorX(im.Data, im.Geometry.Size[2])
		}
		if v.Mask != nil {
			mirrorX(v.Mask.Data, v.Mask.Geometry.Size[2])
		}
	}},
}

func mirrorX[T any](data []T, width int) {
	for first := 0; first < len(data); first += width {
		slices.Reverse(data[first : first+width])
	}
}

// outliers plants outliers in cases that had no part in what is known, and counts which are flagged.
func (s *study) outliers(ctx context.Context, t *task.Task, random *rand.Rand) error {
	m, rest := s.divide(random)
	all := plants
	if s.other != "" {
		all = append(slices.Clone(plants), plant{"scan of another organ", func(v *preprocess.Volumes, _ *rand.Rand) {
			other, err := imagefile.ReadImage(s.other)
			if err != nil {
				panic(err)
			}
			for k, im := range v.Images {
				v.Images[k] = onto(other, im)
			}
		}})
	}
	counts := make([]found, len(all))
	opened := map[string]*predict.Model{}
	defer func() {
		for _, m := range opened {
			m.Close()
		}
	}()
	for _, p := range rest[:min(s.planted, len(rest))] {
		network := opened[p.Fold]
		if network == nil {
			var err error
			if network, err = predict.Open(s.model, predict.Options{Folds: []string{p.Fold}, DisableTTA: true}, progress.Discard); err != nil {
				return err
			}
			opened[p.Fold] = network
		}
		at := slices.IndexFunc(t.Dataset.Cases, func(c task.Case) bool { return c.ID == p.Case })
		c := t.Dataset.Cases[at]
		if !network.WantMasks() {
			c.Mask = ""
		}
		for k, plant := range all {
			v, err := read(c)
			if err != nil {
				return err
			}
			plant.change(v, random)
			r, err := network.Volumes(ctx, c.ID, v)
			if err != nil {
				return fmt.Errorf("%s: %w", plant.name, err)
			}
			m.Judge(&r.Prediction, []string{p.Fold}, r.Values())
			counts[k].count(r.Prediction.Doubt)
		}
	}
	fmt.Printf("\n| planted in %d cases | flagged by plain numbers | by features | by either |\n|---|---|---|---|\n", counts[0].cases)
	for k, plant := range all {
		n := float64(counts[k].cases)
		fmt.Printf("| %s | %.2f | %.2f | %.2f |\n", plant.name, float64(counts[k].measures)/n, float64(counts[k].features)/n, float64(counts[k].any)/n)
	}
	return nil
}

// found is how many of the cases are flagged.
type found struct{ measures, features, any, cases int }

func (f *found) count(d *evaluate.Doubt) {
	f.cases++
	if d == nil || d.Outlier == nil {
		return
	}
	if p := d.Outlier.Measures; p != nil && float64(*p) <= reliability.FalseAlarms {
		f.measures++
	}
	if p := d.Outlier.Features; p != nil && float64(*p) <= reliability.FalseAlarms {
		f.features++
	}
	if d.Outlier.Flag {
		f.any++
	}
}

// read reads the files of a case.
func read(c task.Case) (*preprocess.Volumes, error) {
	v := &preprocess.Volumes{}
	for _, path := range c.Images {
		im, err := imagefile.ReadImage(path)
		if err != nil {
			return nil, err
		}
		v.Images = append(v.Images, im)
	}
	if c.Mask == "" {
		return v, nil
	}
	var err error
	v.Mask, err = imagefile.ReadMask(c.Mask)
	return v, err
}

// onto puts the voxels of a scan on the grid of another, from its centre, cut and padded with its first voxel.
func onto(from, grid *volume.Image) *volume.Image {
	out := &volume.Image{Geometry: grid.Geometry, Data: make([]float32, len(grid.Data))}
	size, had := grid.Geometry.Size, from.Geometry.Size
	i := 0
	for z := range size[0] {
		for y := range size[1] {
			for x := range size[2] {
				a, b, c := z+(had[0]-size[0])/2, y+(had[1]-size[1])/2, x+(had[2]-size[2])/2
				out.Data[i] = from.Data[0]
				if a >= 0 && b >= 0 && c >= 0 && a < had[0] && b < had[1] && c < had[2] {
					out.Data[i] = from.Data[(a*had[1]+b)*had[2]+c]
				}
				i++
			}
		}
	}
	return out
}
