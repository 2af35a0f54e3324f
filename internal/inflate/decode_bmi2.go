//go:build amd64 && !noasm

package inflate

import (
	"unsafe"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

var decode = choose(cpulevel.Default())

func choose(l cpulevel.Level) func(*stretch) outcome {
	if l == cpulevel.Generic {
		return decodePortable
	}
	return func(s *stretch) outcome { return outcome(decodeBMI2((*byte)(unsafe.Pointer(s)))) }
}
