//go:build !amd64 || noasm

package kernel

import "github.com/universal-classifier/uc/internal/cpulevel"

func addKernelSets(*[cpulevel.AVX512 + 1]*Set) {}
