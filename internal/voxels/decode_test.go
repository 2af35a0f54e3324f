package voxels

import (
	"encoding/binary"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

// TestWidenInt16 converts every value with every set of machine instructions.
func TestWidenInt16(t *testing.T) {
	for _, l := range cpulevel.Available() {
		t.Run(l.String(), func(t *testing.T) {
			defer cpulevel.Use(l)()
			widenInt16(t)
		})
	}
}

// widenInt16 has rows of every length modulo what is done at once.
func widenInt16(t *testing.T) {
	src := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(src[2*i:], uint16(i))
	}
	for from := 0; from < 1<<16; {
		n := min(from%67+1, 1<<16-from)
		dst := make([]float32, n+1)
		dst[n] = 0.5
		decodeInt16(dst[:n], src[2*from:][:2*n])
		for i, v := range dst[:n] {
			if v != float32(int16(from+i)) {
				t.Fatalf("value %d of %d: %v, expected %d", i, n, v, int16(from+i))
			}
		}
		if dst[n] != 0.5 {
			t.Fatalf("written behind %d values", n)
		}
		from += n
	}
}
