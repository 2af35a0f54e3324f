package npz

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zip"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/inflate"
)

// compressionLevel is klauspost/compress's fastest: on float32 images the higher levels gain a few percent in size
// for several times the work.
const compressionLevel = flate.BestSpeed

// Write writes arrays as one .npz, deflated or stored, whole or not at all.
func Write(path string, arrays []Array, compress bool) error {
	if err := checkNames(arrays); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return write(w, arrays, compress, "") })
}

// Encode returns arrays as one .npz, stored, with a comment for the whole archive, which NumPy passes over. Equal
// arrays and comments give equal bytes.
func Encode(arrays []Array, comment string) ([]byte, error) {
	if err := checkNames(arrays); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err := write(&b, arrays, false, comment)
	return b.Bytes(), err
}

func checkNames(arrays []Array) error {
	seen := map[string]bool{}
	for _, a := range arrays {
		if a.Name == "" || strings.ContainsAny(a.Name, "/\\") || seen[a.Name] {
			return fmt.Errorf("array name %q is empty, a path or used twice", a.Name)
		}
		seen[a.Name] = true
	}
	return nil
}

func write(w io.Writer, arrays []Array, compress bool, comment string) error {
	archive := zip.NewWriter(w)
	if err := archive.SetComment(comment); err != nil {
		return err
	}
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, compressionLevel)
	})
	method := zip.Store
	if compress {
		method = zip.Deflate
	}
	for _, a := range arrays {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: method})
		if err != nil {
			return err
		}
		if err := writeArray(entry, a); err != nil {
			return err
		}
	}
	return archive.Close()
}

// Read reads all arrays of a .npz, keyed by their names.
func Read(path string) (map[string]Array, error) { return ReadAtMost(path, math.MaxInt) }

// ReadAtMost reads all arrays of a .npz that may have so many elements together. More are refused by what the headers
// say, before anything is allocated or unpacked: a small file may claim, and hold, a thousand times its size.
func ReadAtMost(path string, elements int) (map[string]Array, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	arrays, _, err := decodeArchive(f, f.Size(), elements)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return arrays, nil
}

// Decode reads all arrays of a .npz that is in memory, as ReadAtMost does, and the archive's comment.
func Decode(b []byte, elements int) (arrays map[string]Array, comment string, err error) {
	return decodeArchive(bytes.NewReader(b), int64(len(b)), elements)
}

func decodeArchive(r io.ReaderAt, size int64, elements int) (map[string]Array, string, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrFormat, err)
	}
	out := make(map[string]Array, len(archive.File))
	for _, entry := range archive.File {
		name, ok := strings.CutSuffix(entry.Name, ".npy")
		if !ok {
			return nil, "", fmt.Errorf("%w: holds %q, which is not an .npy file", ErrFormat, entry.Name)
		}
		a, n, err := readEntry(entry, size, elements)
		if err != nil {
			return nil, "", fmt.Errorf("array %q: %w", name, err)
		}
		elements -= n
		a.Name = name
		out[name] = a
	}
	return out, archive.Comment, nil
}

// readEntry reads one array of at most so many elements, and returns how many it has; what the archive says of its size
// is believed only as far as fileSize bytes allow.
func readEntry(entry *zip.File, fileSize int64, elements int) (Array, int, error) {
	packed := min(entry.CompressedSize64, uint64(fileSize))
	if entry.UncompressedSize64 > (packed+1)*inflate.MaxRatio {
		return Array{}, 0, fmt.Errorf("%w: %d bytes claim to unpack to %d", ErrFormat, packed, entry.UncompressedSize64)
	}
	r, err := entry.Open()
	if err != nil {
		return Array{}, 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer r.Close()
	a, n, err := readArrayAtMost(r, int64(entry.UncompressedSize64), elements)
	if err != nil {
		return Array{}, 0, err
	}
	// Reading to the end makes the archive check its CRC.
	if extra, err := io.Copy(io.Discard, r); err != nil {
		return Array{}, 0, fmt.Errorf("%w: %w", ErrFormat, err)
	} else if extra > 0 {
		return Array{}, 0, fmt.Errorf("%w: %d bytes after the data", ErrFormat, extra)
	}
	return a, n, nil
}
