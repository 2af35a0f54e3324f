package augment

import "github.com/universal-classifier/uc/internal/preprocess"

// maskOutside sets the modalities that were normalised within the mask to 0 where the mask is negative.
func (p *Pipeline) maskOutside(data []float32) {
	mask := p.channel(data, p.modalities)
	for c, masked := range p.params.MaskForNorm {
		if !masked {
			continue
		}
		channel := p.channel(data, c)
		for i, label := range mask {
			if label < 0 {
				channel[i] = 0
			}
		}
	}
}

// outside is the label of voxels outside the cropped image or its region of interest.
const outside = -1

// finishMask makes the mask what the network sees of it; see preprocess.MaskInput.
func (p *Pipeline) finishMask(data []float32) {
	mask := p.channel(data, p.modalities)
	preprocess.MaskInput(mask, mask, p.params.ROILabels)
}
