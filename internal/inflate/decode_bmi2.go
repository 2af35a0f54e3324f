//go:build amd64 && !noasm

package inflate

import (
	"unsafe"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

func decode(s *stretch) outcome {
	if cpulevel.Default() == cpulevel.Generic {
		return decodePortable(s)
	}
	return outcome(decodeBMI2((*byte)(unsafe.Pointer(s))))
}
