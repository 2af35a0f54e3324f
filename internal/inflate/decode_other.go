//go:build !amd64 || noasm

package inflate

// decode is portable on arm64, too: the compiler has shifts by registers and bit fields there, for which amd64 needs
// assembly, and takes 29 instructions for one or two literals, as many as that assembly does.
func decode(s *stretch) outcome { return decodePortable(s) }
