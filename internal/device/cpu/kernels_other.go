//go:build !amd64 || noasm

package cpu

func addKernelSets(*[AVX512 + 1]*kernels) {}
