package inflate

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
	"testing/iotest"
)

// FuzzVerdict compares the verdict with that of compress/gzip, however the bytes come in: what one reads the other
// reads, except that padding and whatever else follows the last member is left unread here and an error there.
func FuzzVerdict(f *testing.F) {
	for _, b := range samples() {
		for _, level := range []int{gzip.HuffmanOnly, 0, 6} {
			p := pack(f, b[:min(len(b), 400)], level)
			f.Add(p, byte(0))
			f.Add(append(bytes.Clone(p), p...), byte(1))
			f.Add(append(bytes.Clone(p), 0, 0, 'x'), byte(3))
			f.Add(p[:len(p)-5], byte(2))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, how byte) {
		const most = 8 << 20
		if len(b) > 1<<14 {
			return
		}
		var src io.Reader = bytes.NewReader(b)
		if how&1 != 0 {
			src = iotest.OneByteReader(src)
		}
		got, err := readAll(src, how&2 != 0)
		if len(got) > most {
			return
		}
		// One member after the other, so that it is known where the last one ends.
		var want []byte
		rest := bytes.NewReader(b)
		members := 0
		for {
			for members > 0 && rest.Len() > 0 { // padding
				if c, _ := rest.ReadByte(); c != 0 {
					rest.UnreadByte()
					break
				}
			}
			left := b[len(b)-rest.Len():]
			if members > 0 && !bytes.HasPrefix(left, []byte{0x1f, 0x8b}) {
				break
			}
			z, other := gzip.NewReader(rest)
			if other == nil {
				z.Multistream(false)
				var part []byte
				part, other = io.ReadAll(io.LimitReader(z, most))
				want = append(want, part...)
			}
			if other != nil {
				if err == nil {
					t.Fatalf("%d bytes are read without an error, compress/gzip says %v", len(got), other)
				}
				return
			}
			members++
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; compress/gzip reads %d", len(got), err, len(want))
		}
	})
}
