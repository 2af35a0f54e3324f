package augment

// blur smooths a channel with a Gaussian of the given sigma (voxels), reflected at the borders, as
// scipy.ndimage.gaussian_filter does.
func (p *Pipeline) blur(channel []float32, sigma float64) {
	weights := gaussian(&p.scratch.weights, sigma)
	p.scratch.correlate(channel, p.shape, weights, reflect, false)
}
