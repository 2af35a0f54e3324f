// Package cpulevel knows the instruction sets of this processor, as far as UC_CPU allows them.
package cpulevel

import (
	"sync/atomic"

	"github.com/universal-classifier/uc/internal/env"
)

// Level is a set of machine instructions; a higher one includes the lower ones.
type Level int

// The levels. AVX2 comes with FMA and BMI2; AVX512 is F, BW, DQ and VL, with all these.
const (
	Generic Level = iota
	AVX2
	AVX512
)

var names = [...]string{Generic: "generic", AVX2: "avx2", AVX512: "avx512"}

func (l Level) String() string { return names[l] }

// Parse reads the name of a level.
func Parse(name string) (Level, bool) {
	for l, known := range names {
		if known == name {
			return Level(l), true
		}
	}
	return Generic, false
}

// Available lists what this processor and this build have, lowest first.
func Available() []Level {
	return []Level{Generic, AVX2, AVX512}[:detected()+1]
}

// current is Default's level plus one; 0 until it is first asked for.
var current atomic.Int32

// Default is the best level of this processor, or the one that UC_CPU names when the processor has it. The variable is
// read once. Whatever chooses between kernels asks for it again each time, so that Use reaches all of them.
func Default() Level {
	if l := current.Load(); l != 0 {
		return Level(l - 1)
	}
	return first()
}

func first() Level {
	current.CompareAndSwap(0, 1+int32(lowered(detected(), env.Get(env.CPU))))
	return Level(current.Load() - 1)
}

// Use makes l the default, or the best level of this processor if that is lower, until restore is called. It is there
// for tests and benchmarks, which can thus go through Available in one process. Devices and workers keep the level that
// was the default when they were opened.
func Use(l Level) (restore func()) {
	before := Default()
	current.Store(1 + int32(min(l, detected())))
	return func() { current.Store(1 + int32(before)) }
}

func lowered(best Level, name string) Level {
	if l, ok := Parse(name); ok {
		return min(l, best)
	}
	return best
}

// BF16 reports whether the default level is AVX512 and the processor multiplies bfloat16 pairs (AVX512_BF16).
func BF16() bool { return Default() == AVX512 && bf16() }
