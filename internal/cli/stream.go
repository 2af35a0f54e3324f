package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// streamPatience is how long an output may block once the job has to end.
const streamPatience = 300 * time.Millisecond

// stream is an output of the program that never stops a job: what is written after the reader of a pipe has gone, or
// after the terminal has been closed, is dropped without an error, and so is, once the job has been told to end, what a
// pipe that nobody reads does not take.
type stream struct {
	to      io.Writer
	ending  <-chan struct{}
	mu      sync.Mutex
	dropped bool
}

// file is a stream to a file, which may be a terminal.
type file struct {
	*stream
	fd uintptr
}

// Fd is the number of the open file, by which a terminal is told.
func (f file) Fd() uintptr { return f.fd }

// newStream writes to the given writer until ctx ends, and with less patience from then on.
func newStream(ctx context.Context, to io.Writer) io.Writer {
	s := &stream{to: to, ending: ctx.Done()}
	if f, ok := to.(*os.File); ok {
		return file{s, f.Fd()}
	}
	return s
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped {
		return len(p), nil
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	owned := bytes.Clone(p) // a write that is left behind still reads it
	go func() {
		n, err := s.to.Write(owned)
		done <- result{n, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-s.ending:
		select {
		case r = <-done:
		case <-time.After(streamPatience):
			s.dropped = true
			return len(p), nil
		}
	}
	if errors.Is(r.err, syscall.EPIPE) || errors.Is(r.err, syscall.EIO) {
		s.dropped = true
		return len(p), nil
	}
	return r.n, r.err
}
