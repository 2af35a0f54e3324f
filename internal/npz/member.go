package npz

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zip"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/inflate"
)

// Member identifies the content of an array in a .npz, as the archive's directory has it: checksum and size of the .npy
// that it unpacks to.
type Member struct {
	CRC32 uint32
	Size  int64
}

// String is the checksum and the size, "3c0f5a11:4194432".
func (m Member) String() string { return fmt.Sprintf("%08x:%d", m.CRC32, m.Size) }

// Stat identifies an array of a .npz without reading it.
func Stat(path, name string) (Member, error) {
	var m Member
	err := withMember(path, name, func(entry *zip.File) error {
		m = memberOf(entry)
		return nil
	})
	return m, err
}

func memberOf(entry *zip.File) Member {
	return Member{entry.CRC32, int64(entry.UncompressedSize64)}
}

// withMember opens a .npz for one of its arrays.
func withMember(path, name string, do func(entry *zip.File) error) error {
	f, err := infile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	archive, err := zip.NewReader(f, f.Size())
	if err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
	}
	for _, entry := range archive.File {
		if entry.Name == name+".npy" {
			return do(entry)
		}
	}
	return fmt.Errorf("%s: %w: no array %q", path, ErrFormat, name)
}

// Unpack writes an array of a .npz as the .npy that it is, whole or not at all, and says what it wrote.
func Unpack(path, name, to string) (Member, error) {
	var m Member
	err := withMember(path, name, func(entry *zip.File) error {
		m = memberOf(entry)
		if int64(entry.CompressedSize64) < 0 || entry.UncompressedSize64 > (entry.CompressedSize64+1)*inflate.MaxRatio {
			return fmt.Errorf("%s: %w: %d bytes claim to unpack to %d", path, ErrFormat, entry.CompressedSize64, entry.UncompressedSize64)
		}
		r, err := entry.Open()
		if err != nil {
			return fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
		}
		defer r.Close()
		return atomicfile.Write(to, func(w io.Writer) error {
			n, err := io.CopyN(w, r, m.Size+1) // to its end, where the archive's checksum is compared
			if err != nil && !errors.Is(err, io.EOF) || n != m.Size {
				return fmt.Errorf("%s: %w: array %q holds %d bytes of %d: %v", path, ErrFormat, name, n, m.Size, err)
			}
			return nil
		})
	})
	return m, err
}

// OpenUnpacked maps the .npy file at path as OpenMapped does, if its whole content is the unpacked m. Else the result
// is nil.
func OpenUnpacked(path string, m Member) (*Mapped, error) {
	f, err := infile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if same, err := contains(f, m); err != nil || !same {
		return nil, err
	}
	return mapFile(f, path)
}

// contains reports whether the whole of an open file is m.
func contains(f *infile.File, m Member) (bool, error) {
	if f.Size() != m.Size {
		return false, nil
	}
	sum := crc32.NewIEEE()
	if _, err := io.CopyBuffer(struct{ io.Writer }{sum}, io.NewSectionReader(f, 0, m.Size), make([]byte, 1<<20)); err != nil {
		return false, err
	}
	return sum.Sum32() == m.CRC32, nil
}
