package voxels

//go:generate go -C _asm run . -out ../widen_amd64.s -stubs ../widen_amd64.go -pkg voxels
//go:generate go run ./_asm_arm64
