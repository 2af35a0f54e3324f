//go:build amd64 && !noasm

package cpulevel

import "golang.org/x/sys/cpu"

// architecture lists the levels of amd64, lowest first.
var architecture = []Level{Generic, AVX2, AVX512, AMX}

func detected() Level {
	avx2 := cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2
	avx512 := avx2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
	switch {
	case avx512 && cpu.X86.HasAVX512BF16 && cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 && tilesPermitted():
		return AMX
	case avx512:
		return AVX512
	case avx2:
		return AVX2
	default:
		return Generic
	}
}

func bf16(l Level) bool { return (l == AVX512 || l == AMX) && cpu.X86.HasAVX512BF16 }
