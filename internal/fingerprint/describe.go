package fingerprint

import "github.com/universal-classifier/uc/internal/task"

// Case is what the fingerprint keeps of one case. Size and spacing are z, y, x.
type Case struct {
	ID            string
	Size          [3]int     // after cropping
	Spacing       [3]float64 // mm
	Orientation   string     // directions in which x, y and z run, such as RAS
	SizeReduction float64    // voxels after cropping / before
}

// Describe is the fingerprint of the cases of a task, in the order given, without intensities.
func Describe(d *task.Dataset, cases []Case) *Fingerprint {
	fp := &Fingerprint{Modalities: d.Modalities, SizeReductions: map[string]float64{}}
	for _, c := range cases {
		fp.CaseIDs = append(fp.CaseIDs, c.ID)
		fp.AllSizes = append(fp.AllSizes, c.Size)
		fp.AllSpacings = append(fp.AllSpacings, c.Spacing)
		fp.AllOrientations = append(fp.AllOrientations, c.Orientation)
		fp.SizeReductions[c.ID] = c.SizeReduction
	}
	for i := 1; i < len(d.ROILabels); i++ {
		fp.AllClasses = append(fp.AllClasses, i)
	}
	for _, l := range d.Labels {
		classes := make([]int, len(l.Values))
		for i := range classes {
			classes[i] = i
		}
		fp.AllClassificationLabels = append(fp.AllClassificationLabels, classes)
	}
	fp.SetMaxDimensions()
	return fp
}
