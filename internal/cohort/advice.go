package cohort

import (
	"math"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// advisedMargin is for what plans made from raw headers may lack against those made after cropping: rounding of sizes
// to whole voxels.
const advisedMargin = 1.05

// enough is a budget, in bytes, that suffices for every case in every stage, as far as the headers tell. A case that
// does not fit the budget is met when it is cropped, before there are plans; that it could be cropped would not help
// if it then could not be resampled.
func (co *cohort) enough() int64 {
	most, _ := Outlook(co.task)
	return most
}

// Outlook is what the headers of a task's images tell of its preprocessing before anything is read: a budget in bytes
// that suffices for every case, and plans for the whole images. Cropping only makes cases smaller, so the true plans
// ask for no more. The plans are nil if none can be made.
func Outlook(t *task.Task) (enough int64, p *plan.Plans) {
	fp := &fingerprint.Fingerprint{Modalities: t.Dataset.Modalities}
	most := int64(0)
	for _, one := range t.Dataset.Cases {
		g, err := imagefile.ReadGeometry(one.Images[0])
		if err != nil {
			continue // told when the case is read
		}
		fp.AllSizes, fp.AllSpacings = append(fp.AllSizes, g.Size), append(fp.AllSpacings, g.Spacing)
		most = max(most, preprocess.CropBytesOf(g.Size, len(t.Dataset.Modalities)))
	}
	p, err := plan.Make(fp, plan.Subject{TaskName: t.Name, Labels: t.Dataset.Labels})
	if err == nil {
		for i, size := range fp.AllSizes {
			whole := measured{Size: size, Spacing: fp.AllSpacings[i], CropBox: preprocess.BoundsOf(volume.Box{Max: size})}
			most = max(most, needOf(whole, p))
		}
	}
	return int64(math.Ceil(advisedMargin * float64(most) / memory.WorkShare)), p
}
