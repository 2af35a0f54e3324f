package rows

import "os"

// Level is a set of machine instructions; a higher one includes the lower ones.
type Level int

// The levels. AVX512 needs F, BW, DQ and VL.
const (
	Generic Level = iota
	AVX2
	AVX512
)

var levelNames = [...]string{Generic: "generic", AVX2: "avx2", AVX512: "avx512"}

func (l Level) String() string { return levelNames[l] }

// EnvLevel names the environment variable that lowers the level: generic, avx2 or avx512.
const EnvLevel = "UC_CPU"

// level is what the functions of this package run on.
var level = defaultLevel(os.Getenv(EnvLevel))

func defaultLevel(name string) Level {
	for l := Generic; l < detected(); l++ {
		if l.String() == name {
			return l
		}
	}
	return detected()
}

// Levels lists what this processor has, lowest first.
func Levels() []Level {
	return []Level{Generic, AVX2, AVX512}[:detected()+1]
}

// Use sets the level and returns the one before. It is there for tests and benchmarks: nothing else may use the package
// meanwhile.
func Use(l Level) (before Level) {
	before, level = level, min(l, detected())
	return before
}
