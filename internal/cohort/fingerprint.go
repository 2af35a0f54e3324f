package cohort

import (
	"context"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// measured is what the first look at a case leaves behind.
type measured struct {
	Size          [3]int            `json:"size"` // of the raw image
	Spacing       [3]float64        `json:"spacing"`
	NonzeroBox    preprocess.Bounds `json:"nonzero_bbox"`
	CropBox       preprocess.Bounds `json:"crop_bbox"`
	SizeReduction float64           `json:"size_reduction"`
	Orientation   string            `json:"orientation"` // in which directions of the body x, y and z run
	NonFinite     int               `json:"non_finite"`  // voxels that are NaN or infinite and were read as 0

	distributions []fingerprint.Distribution // per modality; only if intensities are asked for
}

// measure crops a case and, for stride > 0, samples its region of interest.
func (c *cohort) measure(i, stride int) (measured, *preprocess.Cropped, error) {
	crop, err := c.load(i)
	if err != nil {
		return measured{}, nil, err
	}
	m := measured{
		Size: crop.Geometry.Size, Spacing: crop.Geometry.Spacing,
		NonzeroBox: preprocess.BoundsOf(crop.NonzeroBox), CropBox: preprocess.BoundsOf(crop.ROIBox), SizeReduction: crop.RawFraction,
		Orientation: nifti.Orientation(crop.Geometry), NonFinite: crop.NonFinite,
	}
	if stride > 0 {
		for _, data := range crop.Data {
			m.distributions = append(m.distributions, fingerprint.Sample(data, crop.Mask, stride))
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
func (c *cohort) load(i int) (*preprocess.Cropped, error) {
	return preprocess.Load(c.cases[i], len(c.task.Dataset.ROILabels))
}

// fingerprint looks at every case that the records do not know yet and describes the cohort. With intensities every
// case is looked at.
func (c *cohort) fingerprint(ctx context.Context, r *manifest) (*fingerprint.Fingerprint, error) {
	d := c.task.Dataset
	intensities := fingerprint.NeedsIntensities(d.Modalities)
	stride := 0
	if intensities {
		stride = fingerprint.Stride(nil) // corrected below if the cohort turns out to be huge
	}
	var collected *fingerprint.Collector
	if intensities {
		collected = fingerprint.NewCollector(c.cases, len(d.Modalities), fingerprint.MaxDistinct)
	}
	var look []int
	for i, kase := range c.cases {
		rec := r.Cases[kase.ID]
		if !c.croppedDone(kase, rec.Files) {
			look = append(look, i)
			continue
		}
		if rec.Measured == nil || intensities {
			m, known := c.measuredBefore(i, stride, rec.Files)
			if !known {
				look = append(look, i)
				continue
			}
			if collected != nil {
				collected.Add(i, m.distributions)
				m.distributions = nil
			}
			c.measured[i] = m
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
		for _, n := range crop.Notes {
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
			collected.Add(i, m.distributions)
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
	if k := fingerprint.Stride(fp.AllSizes); k != stride {
		c.progress.Note("%d cases hold very many voxels: intensities are taken from every %dth", len(c.cases), k)
		stride = k
		collected = fingerprint.NewCollector(c.cases, len(d.Modalities), fingerprint.MaxDistinct)
		if err := c.rescan(ctx, r, stride, collected.Add); err != nil {
			return nil, err
		}
	}
	if collected.Overflown() {
		collected.ChooseBins()
		if err := c.rescan(ctx, r, stride, collected.Refine); err != nil {
			return nil, err
		}
	}
	fp.IntensityProperties = collected.Properties()
	return fp, nil
}

// rescan samples all cases again, but for those whose samples a shard has left.
func (c *cohort) rescan(ctx context.Context, r *manifest, stride int, add func(i int, d []fingerprint.Distribution)) error {
	var look []int
	for i, one := range c.cases {
		if m, known := c.measuredBefore(i, stride, r.Cases[one.ID].Files); known {
			add(i, m.distributions)
		} else {
			look = append(look, i)
		}
	}
	c.progress.Stage("intensities", len(look))
	return c.each(ctx, look, c.needToCrop, func(i int) error {
		m, _, err := c.measure(i, stride)
		if err != nil {
			return err
		}
		add(i, m.distributions)
		return nil
	})
}

// describe fills in what does not depend on intensities.
func (c *cohort) describe() *fingerprint.Fingerprint {
	cases := make([]fingerprint.Case, len(c.cases))
	for i, kase := range c.cases {
		m := c.measured[i]
		cases[i] = fingerprint.Case{ID: kase.ID, Size: m.CropBox.Box().Size(), Spacing: m.Spacing, Orientation: m.Orientation, SizeReduction: m.SizeReduction}
	}
	return fingerprint.Describe(c.task.Dataset, cases)
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
