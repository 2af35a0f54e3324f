package preprocess

import (
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/plan"
)

func TestNormaliseConstantAndEmpty(t *testing.T) {
	p := &plan.Plans{NormalizationSchemes: indexed.List[string]{plan.NormNonCT}, UseMaskForNorm: indexed.List[bool]{false}}
	data := slices.Repeat([]float32{1234.567}, 1001)
	normaliser{p, 0}.apply(data, make([]int16, len(data)))
	if slices.ContainsFunc(data, func(v float32) bool { return v != 0 }) {
		t.Errorf("a constant became %g", data[0])
	}
	p.UseMaskForNorm[0] = true
	data = []float32{1, 2, 3}
	normaliser{p, 0}.apply(data, []int16{-1, -1, -1})
	if !slices.Equal(data, []float32{0, 0, 0}) {
		t.Errorf("outside of the mask: %v", data)
	}
}
