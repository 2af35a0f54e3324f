package nifti

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzRead feeds arbitrary bytes to the reader: it must return an error or a volume of the size it claims, and never
// allocate more than the input can account for.
func FuzzRead(f *testing.F) {
	for _, version := range []int{1, 2} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			s := newSpec()
			s.version, s.order = version, order
			s.voxels = s.encode(ramp(24))
			f.Add(s.bytes())
			f.Add(compress(s.bytes()))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		trailer := int64(-1)
		if len(b) >= 4 {
			trailer = int64(binary.LittleEndian.Uint32(b[len(b)-4:]))
		}
		if s, err := newSource("fuzz", bytes.NewReader(b), int64(len(b)), trailer); err == nil {
			im, err := s.image()
			if err == nil && len(im.Data) != im.Voxels() {
				t.Fatalf("%d voxels for size %v", len(im.Data), im.Size)
			}
		}
		if s, err := newSource("fuzz", bytes.NewReader(b), int64(len(b)), trailer); err == nil {
			_, _ = s.mask()
		}
	})
}
