// Package cpulevel knows the instruction sets of this processor, as far as UC_CPU allows them.
package cpulevel

import (
	"slices"
	"sync/atomic"

	"github.com/universal-classifier/uc/internal/env"
)

// Level is a set of machine instructions. Levels of one architecture build on each other; between architectures their
// order means nothing.
type Level int

// The levels. AVX2 comes with FMA and BMI2; AVX512 is F, BW, DQ and VL, with all these. AMX is its tiles
// and their products of bfloat16, with AVX512_BF16. NEON is what every arm64 has.
const (
	Generic Level = iota
	AVX2
	AVX512
	AMX
	NEON

	Count int = iota // how many there are
)

var names = [Count]string{Generic: "generic", AVX2: "avx2", AVX512: "avx512", AMX: "amx", NEON: "neon"}

func (l Level) String() string { return names[l] }

// Names lists the names of all levels, also of those that other processors have.
func Names() []string { return names[:] }

// Parse reads the name of a level.
func Parse(name string) (Level, bool) {
	l := slices.Index(names[:], name)
	return Level(max(l, 0)), l >= 0
}

// Available lists what this processor and this build have, lowest first. It belongs to the caller.
func Available() []Level {
	return slices.Clone(architecture[:slices.Index(architecture, detected())+1])
}

// Lowered returns l, or the best level of this processor if that is lower, or if l belongs to another architecture.
func Lowered(l Level) Level { return lowered(architecture, detected(), l) }

// lowered does it for a processor whose best level is best, among the levels of its architecture.
func lowered(architecture []Level, best, l Level) Level {
	if i := slices.Index(architecture, l); i >= 0 && i < slices.Index(architecture, best) {
		return l
	}
	return best
}

// named is the level that UC_CPU asks for: the best one where it is empty or not a name.
func named(architecture []Level, best Level, name string) Level {
	if l, ok := Parse(name); ok {
		return lowered(architecture, best, l)
	}
	return best
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
	current.CompareAndSwap(0, 1+int32(named(architecture, detected(), env.Get(env.CPU))))
	return Level(current.Load() - 1)
}

// Use makes l the default, or what Lowered makes of it, until restore is called. It is there for tests and benchmarks,
// which can thus go through Available in one process. Devices and workers keep the level that was the default when they
// were opened.
func Use(l Level) (restore func()) {
	before := Default()
	current.Store(1 + int32(Lowered(l)))
	return func() { current.Store(1 + int32(before)) }
}

// BF16 reports whether the default level and the processor have products of bfloat16, see BF16At.
func BF16() bool { return BF16At(Default()) }

// BF16At reports whether the processor has products of bfloat16 that go with the level: AVX512_BF16 with AVX512
// and AMX, FEAT_BF16 with NEON.
func BF16At(l Level) bool { return bf16(l) }
