//go:build arm64 && !noasm

package cpulevel

// architecture lists the levels of arm64, lowest first.
var architecture = []Level{Generic, NEON}

func detected() Level { return NEON }

func bf16(l Level) bool { return l == NEON && featBF16 }
