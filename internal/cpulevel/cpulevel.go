// Package cpulevel knows the instruction sets of this processor, as far as UC_CPU allows them.
package cpulevel

import (
	"sync"

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

// Default is the best level of this processor, or the one that UC_CPU names when the processor has it. The variable is
// read once.
var Default = sync.OnceValue(func() Level { return lowered(detected(), env.Get(env.CPU)) })

func lowered(best Level, name string) Level {
	if l, ok := Parse(name); ok {
		return min(l, best)
	}
	return best
}

// BF16 reports whether the default level is AVX512 and the processor multiplies bfloat16 pairs (AVX512_BF16).
func BF16() bool { return Default() == AVX512 && bf16() }
