package dicom

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"

	"github.com/universal-classifier/uc/internal/infile"
)

// errTruncated is wrapped by errors about files that end too early.
var errTruncated = errors.New("the file is truncated")

// source is the content of a file from some place on, or what a part of it inflates to. Lengths that a file claims are
// checked against what is left before anything is made of them.
type source struct {
	file *infile.File
	buf  *bufio.Reader
	at   int64 // place in the content
	end  int64 // length of the content, -1 if it is deflated and so not known
}

// openSource opens a file at its first byte.
func openSource(path string) (*source, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{file: f, end: f.Size()}
	s.buf = bufio.NewReaderSize(io.NewSectionReader(f, 0, f.Size()), 1<<13)
	return s, nil
}

func (s *source) Close() error { return s.file.Close() }

// inflate makes what follows the content; places are counted from here.
func (s *source) inflate() {
	rest := io.NewSectionReader(s.file, s.at, s.file.Size()-s.at)
	s.buf = bufio.NewReaderSize(flate.NewReader(rest), 1<<16)
	s.at, s.end = 0, -1
}

// left is how many bytes there are at most from here on.
func (s *source) left() int64 {
	if s.end < 0 {
		return 1 << 62
	}
	return s.end - s.at
}

// read fills b.
func (s *source) read(b []byte) error {
	n, err := io.ReadFull(s.buf, b)
	s.at += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %d bytes are missing after byte %d", errTruncated, len(b)-n, s.at)
	}
	return err
}

// seekTo continues at another place, in deflated content only at one further on.
func (s *source) seekTo(at int64) error {
	switch n := at - s.at; {
	case s.end >= 0 && at > s.end:
		return fmt.Errorf("%w: %d bytes, but %d are announced", errTruncated, s.end, at)
	case n >= 0 && n <= int64(s.buf.Buffered()), n >= 0 && s.end < 0:
		skipped, err := io.CopyN(io.Discard, s.buf, n)
		s.at += skipped
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %d bytes are missing", errTruncated, n-skipped)
		}
		return err
	case s.end < 0:
		return fmt.Errorf("cannot go back in deflated data")
	}
	s.buf.Reset(io.NewSectionReader(s.file, at, s.file.Size()-at))
	s.at = at
	return nil
}

// skip goes n bytes further.
func (s *source) skip(n int64) error { return s.seekTo(s.at + n) }

// peek shows the next n bytes, or fewer at the end.
func (s *source) peek(n int) []byte {
	b, _ := s.buf.Peek(n)
	return b
}
