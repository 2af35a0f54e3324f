package rows

import "github.com/universal-classifier/uc/internal/cpulevel"

// level is what the functions of this package run on.
var level = cpulevel.Default()

// Use sets the level, at most to what the processor has, and returns the one before. It is there for tests and
// benchmarks: nothing else may use the package meanwhile.
func Use(l cpulevel.Level) (before cpulevel.Level) {
	levels := cpulevel.Available()
	before, level = level, min(l, levels[len(levels)-1])
	return before
}
