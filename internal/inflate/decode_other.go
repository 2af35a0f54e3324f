//go:build !amd64 || noasm

package inflate

import "github.com/universal-classifier/uc/internal/cpulevel"

var decode = choose(cpulevel.Default())

func choose(cpulevel.Level) func(*stretch) outcome { return decodePortable }
