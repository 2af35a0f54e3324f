package plan

import (
	"fmt"
	"strings"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// Sources are what the plans decide of a network: what it is shown, and what its answers mean. Networks whose plans
// differ in any of it must never be averaged. What merely lists the cohort is not among them.
func (p *Plans) Sources() (provenance.Sources, error) {
	var norms []string
	var intensities []fingerprint.Statistics
	for m := range p.Modalities {
		norm := p.NormalizationSchemes[m]
		if p.UseMaskForNorm[m] {
			norm += " over the mask"
		}
		norms = append(norms, norm)
		var s fingerprint.Statistics
		if p.NormalizationSchemes[m] == NormCT && p.DatasetProperties != nil {
			s = p.DatasetProperties.IntensityProperties[m].Statistics
		}
		intensities = append(intensities, s)
	}
	cohort, err := provenance.DigestJSON(intensities)
	if err != nil {
		return nil, err
	}
	masks := "generated"
	if p.RealMasks {
		masks = "real"
	}
	stage := p.Stage()
	augmentation := "3D"
	if stage.DoDummy2D {
		augmentation = "2D"
	}
	return provenance.Sources{
		"modalities":            task.ModalitiesText(p.Modalities),
		"normalisation":         strings.Join(norms, ", "),
		"CT intensities":        cohort,
		"classification labels": task.LabelsText(p.Labels),
		"masks":                 fmt.Sprintf("%s, labels %v", masks, p.AllClasses),
		"image size":            volume.ShapeText(stage.ImageSize),
		"spacing":               fmt.Sprintf("%v x %v x %v", stage.CurrentSpacing[0], stage.CurrentSpacing[1], stage.CurrentSpacing[2]),
		"order of the axes":     fmt.Sprint(p.TransposeForward),
		"augmentation":          augmentation,
	}, nil
}
