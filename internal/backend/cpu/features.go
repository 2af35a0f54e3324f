package cpu

import (
	"os"
	"sync"
)

// Features is a set of kernels; a higher set includes the lower ones.
type Features int

// The kernel sets. AVX512 needs F, BW, DQ and VL.
const (
	Generic Features = iota
	AVX2
	AVX512
)

// EnvFeatures names the environment variable that lowers the kernel set: generic, avx2 or avx512.
const EnvFeatures = "UC_CPU"

func (f Features) String() string {
	switch f {
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	default:
		return "generic"
	}
}

// ParseFeatures reads the name of a kernel set.
func ParseFeatures(name string) (Features, bool) {
	for _, f := range []Features{Generic, AVX2, AVX512} {
		if f.String() == name {
			return f, true
		}
	}
	return Generic, false
}

// AvailableFeatures lists the kernel sets that this processor can run, lowest first.
func AvailableFeatures() []Features {
	var sets []Features
	for f := Generic; f <= detected(); f++ {
		sets = append(sets, f)
	}
	return sets
}

// DefaultFeatures returns the best kernel set of this processor, or the one that UC_CPU names when the processor has it.
// The variable is read once.
var DefaultFeatures = sync.OnceValue(func() Features {
	if f, ok := ParseFeatures(os.Getenv(EnvFeatures)); ok {
		return min(f, detected())
	}
	return detected()
})
