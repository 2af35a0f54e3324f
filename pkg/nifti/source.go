package nifti

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/inflate"
	"github.com/universal-classifier/uc/internal/voxels"
)

var (
	errPair    = errors.New("half of a .hdr/.img pair, expected a single file; save as .nii.gz")
	errAnalyze = errors.New("an Analyze 7.5 header or no NIfTI at all, expected NIfTI-1 or NIfTI-2; convert to .nii.gz")
	errMagic   = errors.New("the NIfTI-2 signature is damaged; copy or export the file again")
	errNoNIfTI = errors.New("not a NIfTI file (the first bytes are not a NIfTI-1 or NIfTI-2 header); convert to .nii.gz")
)

// aheadFrom is how many bytes of voxels are worth a goroutine that decompresses while they are converted.
const aheadFrom = 1 << 20

// source is an open file of voxels behind its checked header.
type source struct {
	*Header
	name   string
	r      io.Reader
	closer io.Closer
	gzip   *inflate.Reader // r of a compressed file, else nil
	read   int64           // bytes of the (decompressed) file consumed
	begun  bool            // voxels are being read
	exact  bool            // the file's own length agrees with the header, so all may be allocated at once
}

// open reads and checks the header of the file at path.
func open(path string) (*source, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	trailer := int64(-1)
	if size := f.Size(); size > 18 {
		var last [4]byte
		if _, err := f.ReadAt(last[:], size-4); err == nil {
			trailer = int64(binary.LittleEndian.Uint32(last[:]))
		}
	}
	s, err := newSource(path, f, f.Size(), trailer)
	if err != nil {
		f.Close()
		return nil, err
	}
	s.closer = f
	return s, nil
}

// newSource reads the header from r, a file of size bytes. trailer is the file's last four bytes, which in a gzip file
// hold the decompressed size modulo 2^32; it only decides whether voxels are allocated at once or as they come.
func newSource(name string, r io.Reader, size, trailer int64) (*source, error) {
	s := &source{name: name}
	b := bufio.NewReader(r) // to look at the first bytes; larger reads pass it by
	s.r = b
	limit := size
	if magic, _ := b.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		if size > (1<<62)/inflate.MaxRatio {
			size = (1 << 62) / inflate.MaxRatio
		}
		limit = size * inflate.MaxRatio
		z, err := inflate.NewReader(b)
		if err != nil {
			return nil, s.fail(err)
		}
		s.r, s.gzip = z, z
	}
	var raw [maxHeaderLen]byte
	if err := s.fill(raw[:4]); err != nil {
		return nil, err
	}
	n, order := headerLen(raw[:4])
	if n == 0 {
		return nil, s.wrap(errNoNIfTI)
	}
	if err := s.fill(raw[4:n]); err != nil {
		return nil, err
	}
	fields, err := decodeHeader(raw[:n], order)
	if err != nil {
		return nil, s.wrap(err)
	}
	if s.Header, err = fields.check(limit); err != nil {
		return nil, s.wrap(err)
	}
	whole := s.Offset + int64(s.Voxels())*int64(s.Datatype.Bytes())
	s.exact = s.gzip == nil || trailer == whole&0xffffffff
	return s, nil
}

// Close closes the file.
func (s *source) Close() error {
	if s.gzip != nil {
		s.gzip.Close()
	}
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// fill reads exactly len(b) bytes of the decompressed file.
func (s *source) fill(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.read += int64(n)
	if err != nil {
		return s.fail(err)
	}
	return nil
}

// voxels is the stream of the file's voxels.
func (s *source) voxels() *voxels.Stream {
	return &voxels.Stream{Layout: s.layout(), Count: s.Voxels(), Exact: s.exact, Fill: s.fillVoxels}
}

// fillVoxels is fill for voxels: the first call skips what lies before them.
func (s *source) fillVoxels(b []byte) error {
	if s.read < s.Offset {
		n, err := io.CopyN(io.Discard, s.r, s.Offset-s.read)
		s.read += n
		if err != nil {
			return s.fail(err)
		}
	}
	if !s.begun {
		s.begun = true
		if s.gzip != nil && s.Voxels()*s.Datatype.Bytes() >= aheadFrom && runtime.GOMAXPROCS(0) > 1 {
			s.gzip.Ahead()
		}
	}
	return s.fill(b)
}

// slack is how much may follow the voxels before the rest of a file is no longer read for its checksum.
const slack = 1 << 20

// finish reads what follows the voxels, so that the checksum of a compressed file is verified.
func (s *source) finish() error {
	if s.gzip == nil {
		return nil
	}
	if _, err := io.CopyN(io.Discard, s.r, slack); err != nil && !errors.Is(err, io.EOF) {
		return s.fail(err)
	}
	if s.gzip.Surplus() {
		s.notes = append(s.notes, "bytes that do not belong to it follow the compressed data; they are ignored")
	}
	return nil
}

// wrap puts the file's name before the message.
func (s *source) wrap(err error) error { return fmt.Errorf("%s: %w", s.name, err) }

// fail turns an error of reading into one that says what is wrong with the file.
func (s *source) fail(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if s.Header == nil {
			return s.wrap(fmt.Errorf("the file ends within its header (after %d bytes); it is truncated, copy or export it again", s.read))
		}
		want := s.Offset + int64(s.Voxels())*int64(s.Datatype.Bytes())
		if s.read >= want {
			return s.wrap(fmt.Errorf("the compressed file ends early, behind its last voxel; it is truncated, copy or export it again"))
		}
		return s.wrap(fmt.Errorf("the file ends after %d of %d bytes; it is truncated, copy or export it again", s.read, want))
	case errors.Is(err, inflate.ErrCorrupt):
		return s.wrap(fmt.Errorf("the gzip data is damaged after %d bytes (%w); copy or export the file again", s.read, err))
	}
	return s.wrap(err)
}
