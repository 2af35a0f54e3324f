package inflate

//go:generate go -C _asm run . -out ../decode_amd64.s -stubs ../decode_amd64.go -pkg inflate
