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
func (co *cohort) measure(i, stride int) (measured, *preprocess.Cropped, error) {
	crop, err := co.load(i)
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

// look measures case i, whose files are those given, for the first time: it warns of what is odd about it, and keeps
// the cropped case where that is wanted.
func (co *cohort) look(i, stride int, files []source) (measured, *preprocess.Cropped, error) {
	m, crop, err := co.measure(i, stride)
	if err != nil {
		return measured{}, nil, err
	}
	c := co.cases[i]
	for _, n := range crop.Notes {
		co.progress.Warn("case %s: %s", c.ID, n)
	}
	if !co.croppedDone(c, files) {
		err = co.saveCropped(c, crop, files)
	}
	return m, crop, err
}

// cohort is a task's cases in the order of their ids.
type cohort struct {
	*job
	cases    []task.Case
	measured []measured // parallel to cases
}

// load reads and crops case i.
func (co *cohort) load(i int) (*preprocess.Cropped, error) {
	return preprocess.Load(co.cases[i], len(co.task.Dataset.ROILabels))
}

// fingerprint looks at every case that the records do not know yet and describes the cohort. With intensities every
// case is looked at.
func (co *cohort) fingerprint(ctx context.Context, r *manifest) (*fingerprint.Fingerprint, error) {
	d := co.task.Dataset
	intensities := fingerprint.NeedsIntensities(d.Modalities)
	stride := 0
	if intensities {
		stride = fingerprint.Stride(nil) // corrected below if the cohort turns out to be huge
	}
	var collected *fingerprint.Collector
	if intensities {
		collected = fingerprint.NewCollector(co.cases, len(d.Modalities), fingerprint.MaxDistinct)
	}
	var look []int
	for i, c := range co.cases {
		rec := r.Cases[c.ID]
		if !co.croppedDone(c, rec.Files) {
			look = append(look, i)
			continue
		}
		if rec.Measured == nil || intensities {
			m, known := co.measuredBefore(i, stride, rec.Files)
			if !known {
				look = append(look, i)
				continue
			}
			if collected != nil {
				collected.Add(i, m.distributions)
				m.distributions = nil
			}
			co.measured[i] = m
		}
	}
	if len(look) > 0 {
		co.progress.Stage("cropping", len(look))
	}
	err := co.each(ctx, look, co.needToCrop, func(i int) error {
		m, crop, err := co.look(i, stride, r.Cases[co.cases[i].ID].Files)
		if err != nil {
			return err
		}
		if !co.options.NoPreprocess {
			co.kept.offer(i, crop)
		}
		if collected != nil {
			collected.Add(i, m.distributions)
			m.distributions = nil
		}
		co.measured[i] = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	fp := co.describe()
	if !intensities {
		return fp, nil
	}
	if k := fingerprint.Stride(fp.AllSizes); k != stride {
		co.progress.Note("%d cases hold very many voxels: intensities are taken from every %dth", len(co.cases), k)
		stride = k
		collected = fingerprint.NewCollector(co.cases, len(d.Modalities), fingerprint.MaxDistinct)
		if err := co.rescan(ctx, r, stride, collected.Add); err != nil {
			return nil, err
		}
	}
	if collected.Overflown() {
		collected.ChooseBins()
		if err := co.rescan(ctx, r, stride, collected.Refine); err != nil {
			return nil, err
		}
	}
	fp.IntensityProperties = collected.Properties()
	return fp, nil
}

// rescan samples all cases again, but for those whose samples a shard has left.
func (co *cohort) rescan(ctx context.Context, r *manifest, stride int, add func(i int, d []fingerprint.Distribution)) error {
	var look []int
	for i, one := range co.cases {
		if m, known := co.measuredBefore(i, stride, r.Cases[one.ID].Files); known {
			add(i, m.distributions)
		} else {
			look = append(look, i)
		}
	}
	co.progress.Stage("intensities", len(look))
	return co.each(ctx, look, co.needToCrop, func(i int) error {
		m, _, err := co.measure(i, stride)
		if err != nil {
			return err
		}
		add(i, m.distributions)
		return nil
	})
}

// describe fills in what does not depend on intensities.
func (co *cohort) describe() *fingerprint.Fingerprint {
	cases := make([]fingerprint.Case, len(co.cases))
	for i, c := range co.cases {
		m := co.measured[i]
		cases[i] = fingerprint.Case{ID: c.ID, Size: m.CropBox.Box().Size(), Spacing: m.Spacing, Orientation: m.Orientation, SizeReduction: m.SizeReduction}
	}
	return fingerprint.Describe(co.task.Dataset, cases)
}

// sortedCases are the cases in the order of their ids, as the reference lists its files.
func sortedCases(cases []task.Case) []task.Case {
	out := slices.Clone(cases)
	slices.SortFunc(out, func(a, b task.Case) int { return strings.Compare(a.ID, b.ID) })
	return out
}
