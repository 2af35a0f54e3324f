package preprocess

import (
	"strconv"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/provenance"
)

// Version is that of the arrays that this package writes. A change of their numbers raises it, and with it every case
// is redone.
const Version = 2 // 2: NaN and infinities are 0 from the start, cropping included

// SettingKey identifies everything in the plans that a case's arrays depend on.
func SettingKey(p *plan.Plans) (string, error) {
	var intensities []fingerprint.Statistics
	for m, scheme := range p.NormalizationSchemes {
		var s fingerprint.Statistics
		if scheme == plan.NormCT {
			s = p.DatasetProperties.IntensityProperties[m].Statistics
		}
		intensities = append(intensities, s)
	}
	stage := p.Stage()
	digest, err := provenance.DigestJSON([]any{Version, stage.ImageSize, stage.CurrentSpacing, p.TransposeForward, p.NormalizationSchemes, p.UseMaskForNorm, intensities})
	return provenance.Hex(digest), err
}

// Sources are what the plans decide of a network (plan.Plans.Sources), and the version of the preprocessing.
func Sources(p *plan.Plans) (provenance.Sources, error) {
	s, err := p.Sources()
	if err == nil {
		s[VersionSource] = strconv.Itoa(Version)
	}
	return s, err
}

// VersionSource is the name of the version in Sources.
const VersionSource = "version of the preprocessing"
