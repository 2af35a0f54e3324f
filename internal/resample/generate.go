package resample

//go:generate go run ./_asm_arm64
