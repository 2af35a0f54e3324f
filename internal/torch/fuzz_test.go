package torch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
)

// FuzzFiles hands any bytes to the readers of weights and pickles, as files: no panic, whole tensors, and no memory
// that the size of the file does not explain.
func FuzzFiles(f *testing.F) {
	f.Add(torchZip(f, smallStateDict, map[string]string{"0": "\x00\x00\x80\x3f\x00\x00\x00\x40"}))
	f.Add([]byte("\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."))
	f.Add([]byte("\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R."))
	f.Add([]byte("\x80\x02}X\x01\x00\x00\x00aG?\xf0\x00\x00\x00\x00\x00\x00s."))
	path := filepath.Join(f.TempDir(), "w")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Skip(err)
		}
		n := testutil.Allocated(func() {
			if sd, err := ReadAny(path); err == nil {
				for _, name := range sd.Names() {
					if err := sd.Get(name).Check(); err != nil {
						t.Error(err)
					}
				}
			}
			ReadPickle(path)
		})
		if n > 256<<20 {
			t.Fatalf("%d bytes made the readers allocate %d", len(b), n)
		}
	})
}
