//go:build !amd64 || noasm

package cpulevel

func detected() Level { return Generic }

func bf16() bool { return false }
