package cohort

import (
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// checkExtents refuses cases that are larger, whole and cropped, than the cohort's by far: the plans take the largest
// extent, and pad every other case to it.
func (co *cohort) checkExtents() error {
	whole, cropped := make([][3]float64, len(co.cases)), make([][3]float64, len(co.cases))
	for i, m := range co.measured {
		size := m.CropBox.Box().Size()
		for d := range 3 {
			whole[i][d], cropped[i][d] = float64(m.Size[d])*m.Spacing[d], float64(size[d])*m.Spacing[d]
		}
	}
	medianWhole, medianCropped := integrity.MedianSpacing(whole), integrity.MedianSpacing(cropped)
	var problems []task.Problem
	for i, c := range co.cases {
		far := integrity.FarExtent(cropped[i], medianCropped)
		if far == "" || integrity.FarExtent(whole[i], medianWhole) == "" {
			continue
		}
		p := task.Problem{Case: c.ID, Field: relative(c.Images[0], co.task.Dir), Message: far + ", or allow it as an outlier if it is right",
			For: []remedy.Remedy{remedy.Set{Option: remedy.AllowOutliers, Value: c.ID}}}
		if task.Allowed(co.options.AllowOutliers, c.ID) {
			co.progress.Warn("%s", p)
			continue
		}
		problems = append(problems, p)
	}
	if len(problems) == 0 {
		return nil
	}
	return &task.ValidationError{Subject: co.task.Dir, Problems: problems}
}

// maxTold bounds how many cases a note lists.
const maxTold = 10

// tellNonFinite says which cases hold voxels that are NaN or infinite, and what became of them.
func (co *cohort) tellNonFinite() {
	var names []string
	for i, m := range co.measured {
		if m.NonFinite > 0 {
			names = append(names, co.cases[i].ID)
		}
	}
	if n := len(names); n > 0 {
		if n > maxTold {
			names = append(names[:maxTold], "...")
		}
		co.progress.Note("%s: %d cases hold voxels that are NaN or infinite, which count as 0: %s", filepath.Base(co.task.Dir), n, strings.Join(names, ", "))
	}
}
