package preprocess

import (
	"context"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// measured is what the first look at a case leaves behind.
type measured struct {
	Size          [3]int     `json:"size"` // of the raw image
	Spacing       [3]float64 `json:"spacing"`
	NonzeroBox    Bounds     `json:"nonzero_bbox"`
	CropBox       Bounds     `json:"crop_bbox"`
	SizeReduction float64    `json:"size_reduction"`
	Orientation   string     `json:"orientation"` // in which directions of the body x, y and z run
	NonFinite     int        `json:"non_finite"`  // voxels that are NaN or infinite and were read as 0

	distributions []distribution // per modality; only if intensities are asked for
}

// measure crops a case and, for stride > 0, samples its region of interest.
func (c *cohort) measure(i, stride int) (measured, *cropped, error) {
	crop, err := c.load(i)
	if err != nil {
		return measured{}, nil, err
	}
	m := measured{
		Size: crop.geometry.Size, Spacing: crop.geometry.Spacing,
		NonzeroBox: bounds(crop.nonzeroBox), CropBox: bounds(crop.roiBox), SizeReduction: crop.rawFraction,
		Orientation: nifti.Orientation(crop.geometry), NonFinite: crop.nonFinite,
	}
	if stride > 0 {
		for _, data := range crop.data {
			keys := sample(data, crop.mask, stride)
			sortKeys(keys)
			m.distributions = append(m.distributions, distinct(keys))
		}
	}
	return m, crop, nil
}

// cohort is a task's cases in the order of their ids.
type cohort struct {
	*job
	cases    []task.Case
	measured []measured // beside cases
}

// load reads and crops case i.
func (c *cohort) load(i int) (*cropped, error) {
	return loadCropped(c.cases[i], len(c.task.Dataset.ROILabels))
}

// fingerprint looks at every case that the records do not know yet and describes the cohort. With intensities every case
// is looked at.
func (c *cohort) fingerprint(ctx context.Context, r *records) (*plan.Fingerprint, error) {
	d := c.task.Dataset
	intensities := plan.NeedsIntensities(d.Modalities)
	stride := 0
	if intensities {
		stride = plan.Stride(nil) // corrected below if the cohort turns out to be huge
	}
	var collected *collector
	if intensities {
		collected = newCollector(c.cases, len(d.Modalities))
	}
	var look []int
	for i, kase := range c.cases {
		rec := r.Cases[kase.ID]
		if rec.Measured == nil || intensities || !c.croppedDone(kase, rec.Files) {
			look = append(look, i)
		}
	}
	if len(look) > 0 {
		c.progress.Stage("cropping", len(look))
	}
	err := c.each(ctx, look, c.needToCrop, func(i int) error {
		m, crop, err := c.measure(i, stride)
		if err != nil {
			return err
		}
		for _, n := range crop.notes {
			c.progress.Warn("case %s: %s", c.cases[i].ID, n)
		}
		if files := r.Cases[c.cases[i].ID].Files; !c.croppedDone(c.cases[i], files) {
			if err := c.saveCropped(c.cases[i], crop, files); err != nil {
				return err
			}
		}
		if !c.options.NoPreprocess {
			c.kept.offer(i, crop)
		}
		if collected != nil {
			collected.add(i, m.distributions)
			m.distributions = nil
		}
		c.measured[i] = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	fp := c.describe()
	if !intensities {
		return fp, nil
	}
	if k := plan.Stride(fp.AllSizes); k != stride {
		c.progress.Note("%d cases hold very many voxels: intensities are taken from every %dth", len(c.cases), k)
		stride = k
		collected = newCollector(c.cases, len(d.Modalities))
		if err := c.rescan(ctx, stride, collected.add); err != nil {
			return nil, err
		}
	}
	if collected.overflown() {
		collected.chooseBins()
		if err := c.rescan(ctx, stride, collected.refine); err != nil {
			return nil, err
		}
	}
	fp.IntensityProperties = collected.properties()
	return fp, nil
}

// rescan samples all cases again.
func (c *cohort) rescan(ctx context.Context, stride int, add func(i int, d []distribution)) error {
	c.progress.Stage("intensities", len(c.cases))
	return c.each(ctx, indices(len(c.cases)), c.needToCrop, func(i int) error {
		m, _, err := c.measure(i, stride)
		if err != nil {
			return err
		}
		add(i, m.distributions)
		return nil
	})
}

// describe fills in what does not depend on intensities.
func (c *cohort) describe() *plan.Fingerprint {
	d := c.task.Dataset
	fp := &plan.Fingerprint{Modalities: d.Modalities, SizeReductions: map[string]float64{}}
	for i, kase := range c.cases {
		m := c.measured[i]
		fp.CaseIDs = append(fp.CaseIDs, kase.ID)
		fp.AllSizes = append(fp.AllSizes, m.CropBox.box().Size())
		fp.AllSpacings = append(fp.AllSpacings, m.Spacing)
		fp.AllOrientations = append(fp.AllOrientations, m.Orientation)
		fp.SizeReductions[kase.ID] = m.SizeReduction
	}
	for i := 1; i < len(d.ROILabels); i++ {
		fp.AllClasses = append(fp.AllClasses, i)
	}
	for _, l := range d.Labels {
		fp.AllClassificationLabels = append(fp.AllClassificationLabels, indices(len(l.Values)))
	}
	fp.SetMaxDimensions()
	return fp
}

// sortedCases are the cases in the order of their ids, as the reference lists its files.
func sortedCases(cases []task.Case) []task.Case {
	out := slices.Clone(cases)
	slices.SortFunc(out, func(a, b task.Case) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
