//go:build (!amd64 && !arm64) || noasm

package cpulevel

// architecture lists the levels of a build without machine code.
var architecture = []Level{Generic}

func detected() Level { return Generic }

func bf16(Level) bool { return false }
