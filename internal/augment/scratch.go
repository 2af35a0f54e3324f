package augment

import "github.com/universal-classifier/uc/internal/augment/rows"

// scratch is the working memory of a Pipeline. Parts grow to what a transform needs when it is first drawn
// and are kept.
type scratch struct {
	volume       []float32 // spline coefficients, or a volume between two passes
	displacement []float32 // elastic field (axes, ...)
	block        []float32 // a plane, or a slab of rows, with what lies beyond its borders
	line         []float32 // a row with what lies beyond its ends
	out          []float32 // a row of results
	codes        rows.Codes
	labels       *[256]float32 // of the codes
	weights      []float32     // a filter
	axes         [3]axisTable
	picks        [3][]int  // voxels of a coarse grid along the axes
	picked       []float32 // a row of the coarse grid
	places       *rows.Places
	source       rows.Line
	parts, rows  [][]float32 // of the modalities that are gathered together
	generator    rows.Generator
}

// room makes *s n elements long, grown if need be, and returns it; its values are arbitrary.
func room[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n)
	}
	*s = (*s)[:n]
	return *s
}
