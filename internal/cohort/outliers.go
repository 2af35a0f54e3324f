package cohort

import (
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/task"
)

// checkExtents refuses cases that are larger, whole and cropped, than the cohort's by far: the plans take the largest
// extent, and pad every other case to it.
func (c *cohort) checkExtents() error {
	whole, cropped := make([][3]float64, len(c.cases)), make([][3]float64, len(c.cases))
	for i, m := range c.measured {
		size := m.CropBox.Box().Size()
		for d := range 3 {
			whole[i][d], cropped[i][d] = float64(m.Size[d])*m.Spacing[d], float64(size[d])*m.Spacing[d]
		}
	}
	medianWhole, medianCropped := integrity.MedianSpacing(whole), integrity.MedianSpacing(cropped)
	var problems []task.Problem
	for i, kase := range c.cases {
		far := integrity.FarExtent(cropped[i], medianCropped)
		if far == "" || integrity.FarExtent(whole[i], medianWhole) == "" {
			continue
		}
		p := task.Problem{Case: kase.ID, Field: relative(kase.Images[0], c.task.Dir), Message: far + ", or give --allow-outliers " + kase.ID + " if it is right"}
		if task.Allowed(c.options.AllowOutliers, kase.ID) {
			c.progress.Warn("%s", p)
			continue
		}
		problems = append(problems, p)
	}
	if len(problems) == 0 {
		return nil
	}
	return &task.ValidationError{Subject: c.task.Dir, Problems: problems}
}

// maxTold bounds how many cases a note lists.
const maxTold = 10

// tellNonFinite says which cases hold voxels that are NaN or infinite, and what became of them.
func (c *cohort) tellNonFinite() {
	var names []string
	for i, m := range c.measured {
		if m.NonFinite > 0 {
			names = append(names, c.cases[i].ID)
		}
	}
	if n := len(names); n > 0 {
		if n > maxTold {
			names = append(names[:maxTold], "...")
		}
		c.progress.Note("%s: %d cases hold voxels that are NaN or infinite, which count as 0: %s", filepath.Base(c.task.Dir), n, strings.Join(names, ", "))
	}
}
