package preprocess

import (
	"testing"

	"github.com/universal-classifier/uc/internal/volume"
)

func TestMeasuresOfNothing(t *testing.T) {
	m := measureImages([]*volume.Image{{Geometry: volume.Geometry{Size: [3]int{1, 1, 2}, Spacing: [3]float64{1, 2, 3}}, Data: []float32{0, 4}}})
	m.measureROI(volume.Geometry{Spacing: [3]float64{1, 2, 3}}, [][]float32{{1, 2}}, []int16{0, -1})
	if m.ImageVolume != 12 || m.ImageMean[0] != 2 || m.ImageSD[0] != 2 || m.ROIVolume != 0 || m.ROIMean[0] != 0 || m.ROISD[0] != 0 {
		t.Errorf("%+v", m)
	}
}
