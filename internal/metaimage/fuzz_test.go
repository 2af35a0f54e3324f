package metaimage

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"
)

// memoryFile is a file in memory.
type memoryFile struct{ *bytes.Reader }

func (m memoryFile) Size() int64  { return m.Reader.Size() }
func (m memoryFile) Close() error { return nil }

// FuzzRead feeds arbitrary headers and data files to the reader: it must return an error or a volume of the size it
// claims, open no file outside of its folder, and never allocate more than the input can account for.
func FuzzRead(f *testing.F) {
	for _, how := range []string{"raw", "zlib", "zlib without size", "gzip", "text"} {
		s := newSpec()
		s.how = how
		header, data := s.build(f, "LOCAL")
		f.Add(append([]byte(header), data...), []byte{})
		header, data = s.build(f, "a.raw")
		f.Add([]byte(header), data)
	}
	f.Fuzz(func(t *testing.T, header, data []byte) {
		if len(header)+len(data) > 1<<16 {
			return
		}
		open := func(path string) (file, error) {
			switch {
			case filepath.Dir(path) != "folder":
				t.Fatalf("opens %q", path)
			case path == filepath.Join("folder", "a.mhd"):
				return memoryFile{bytes.NewReader(header)}, nil
			case len(data) == 0:
				return nil, fs.ErrNotExist
			}
			return memoryFile{bytes.NewReader(data)}, nil
		}
		path := filepath.Join("folder", "a.mhd")
		if s, err := openWith(path, open); err == nil {
			im, err := s.image()
			if err == nil && len(im.Data) != im.Voxels() {
				t.Fatalf("%d voxels for size %v", len(im.Data), im.Size)
			}
			s.Close()
		}
		if s, err := openWith(path, open); err == nil {
			_, _ = s.mask()
			s.Close()
		}
	})
}
