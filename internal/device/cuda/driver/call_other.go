//go:build !((linux || windows) && (amd64 || arm64)) || nogpu

package driver

import "errors"

var errNoCUDA = errors.New("there is no CUDA for this system")

func open(string) (uintptr, error)            { return 0, errNoCUDA }
func symbol(uintptr, string) (uintptr, error) { return 0, errNoCUDA }
func call(uintptr, ...uintptr) uintptr        { panic(errNoCUDA) }
