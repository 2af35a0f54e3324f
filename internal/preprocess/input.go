package preprocess

// NetworkInput sets dst to what the network sees of a prepared case of the given shape: the modalities as they are, then
// the mask with -1 set to 0 and divided by the number of ROI labels + 1. dst may be data.
func NetworkInput(dst, data []float32, shape [4]int, numROILabels int) {
	voxels := shape[1] * shape[2] * shape[3]
	images := (shape[0] - 1) * voxels
	copy(dst[:images], data[:images])
	scale := float32(numROILabels + 1)
	to := dst[images : images+voxels]
	for i, v := range data[images : images+voxels] {
		to[i] = max(v, 0) / scale
	}
}
