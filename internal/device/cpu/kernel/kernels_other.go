//go:build (!amd64 && !arm64) || noasm

package kernel

import "github.com/universal-classifier/uc/internal/cpulevel"

func addKernelSets(*[cpulevel.Count]*Set) {}
