//go:build !amd64 || noasm

package cpu

func detected() Features { return Generic }
