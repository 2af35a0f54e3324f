//go:build !amd64 || noasm

package inflate

func decode(s *stretch) outcome { return decodePortable(s) }
