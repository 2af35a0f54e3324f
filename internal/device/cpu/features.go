package cpu

import "github.com/universal-classifier/uc/internal/cpulevel"

// Features names a set of kernels after the instructions that it needs; a higher set includes the lower ones.
type Features = cpulevel.Level

// The kernel sets.
const (
	Generic = cpulevel.Generic
	AVX2    = cpulevel.AVX2
	AVX512  = cpulevel.AVX512
)
