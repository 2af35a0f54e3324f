package preprocess

// NetworkInput sets dst to what the network sees of a prepared case of the given shape: the modalities as they are,
// then the mask as MaskInput has it. dst may be data.
func NetworkInput(dst, data []float32, shape [4]int, numROILabels int) {
	voxels := shape[1] * shape[2] * shape[3]
	images := (shape[0] - 1) * voxels
	copy(dst[:images], data[:images])
	MaskInput(dst[images:images+voxels], data[images:images+voxels], numROILabels)
}

// MaskInput sets dst to the mask as the network sees it, in training and in prediction: -1 set to 0, and all divided by
// the number of ROI labels + 1. Without ROI labels the others stay as they are. dst may be mask.
func MaskInput(dst, mask []float32, numROILabels int) {
	scale := float32(numROILabels + 1)
	for i, v := range mask {
		dst[i] = max(v, 0) / scale
	}
}
