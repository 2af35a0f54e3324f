package augment

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

// finishMask turns label -1 into 0 and divides by the number of ROI labels with background, if that is asked for.
func (p *Pipeline) finishMask(data []float32) {
	mask := p.channel(data, p.modalities)
	divisor := float32(1)
	if p.params.ROILabels > 0 {
		divisor = float32(p.params.ROILabels + 1)
	}
	for i, label := range mask {
		if label == outside {
			label = 0
		}
		mask[i] = label / divisor
	}
}
