package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/universal-classifier/uc/internal/artifact"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/task"
)

// maxAtOnce bounds how many requests are worked on at a time: while the network has one case, others are read and
// preprocessed.
const maxAtOnce = 4

// Server answers requests. Make one with New.
type Server struct {
	version string
	gpu     open.GPU
	models  models
	working chan struct{} // holds a token per request that is worked on
	all     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	out     io.Writer
	failed  error // of writing
	running map[int64]context.CancelFunc
}

// New returns a server that names the version of the program, looks for cards as gpu says and writes to out.
func New(version string, gpu open.GPU, out io.Writer) *Server {
	limitThreads()
	return &Server{
		version: version, gpu: gpu, out: out, running: map[int64]context.CancelFunc{},
		working: make(chan struct{}, max(2, min(maxAtOnce, runtime.GOMAXPROCS(0)))),
	}
}

// Run reads requests from in and answers them, several at a time, until in ends, a request says shutdown, or ctx ends.
// At the end of in it returns at once, whatever is being worked on: the client is gone. shutdown waits for the answers.
func (s *Server) Run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.write(hello{Protocol, s.version})
	lines, readErr := make(chan []byte), make(chan error, 1)
	go func() { readErr <- readLines(in, lines, ctx.Done()) }()
	for {
		select {
		case line := <-lines:
			if stop, err := s.take(ctx, line); stop {
				return err
			}
		case err := <-readErr:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readLines sends the lines of in, without their ends, until in ends, which is not an error.
func readLines(in io.Reader, lines chan<- []byte, done <-chan struct{}) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLineBytes)
	for scanner.Scan() {
		select {
		case lines <- bytes.Clone(scanner.Bytes()):
		case <-done:
			return nil
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a request is longer than %d bytes", maxLineBytes)
	}
	return scanner.Err()
}

// take begins to answer a line; stop says that it was the last.
func (s *Server) take(ctx context.Context, line []byte) (stop bool, err error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return false, nil
	}
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		s.fail(0, inputError("not a request: %v", err))
		return s.broken()
	}
	switch q.Method {
	case methodPredict:
		s.begin(ctx, q)
	case methodCancel:
		var p cancelParams
		if err := decode(q.Params, &p); err != nil {
			s.fail(q.ID, err)
			break
		}
		s.mu.Lock()
		cancel := s.running[p.ID]
		s.mu.Unlock()
		if cancel != nil { // else it is done already
			cancel()
		}
		s.write(message{ID: q.ID, Result: struct{}{}})
	case methodShutdown:
		s.all.Wait()
		s.write(message{ID: q.ID, Result: struct{}{}})
		_, err := s.broken()
		return true, err
	default:
		s.fail(q.ID, inputError("method %q: expected %s, %s or %s", q.Method, methodPredict, methodCancel, methodShutdown))
	}
	return s.broken()
}

// broken reports whether the answers reach nobody.
func (s *Server) broken() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed != nil, s.failed
}

// begin works on a request for a prediction in a separate goroutine.
func (s *Server) begin(ctx context.Context, q request) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	if s.running[q.ID] != nil {
		s.mu.Unlock()
		cancel()
		s.fail(q.ID, inputError("id %d is that of a request under way", q.ID))
		return
	}
	s.running[q.ID] = cancel
	s.mu.Unlock()
	s.all.Go(func() {
		r, err := s.predict(ctx, q)
		s.mu.Lock()
		delete(s.running, q.ID) // before the answer, so that the id is free once that is read
		s.mu.Unlock()
		cancel()
		if err != nil {
			s.fail(q.ID, err)
			return
		}
		s.write(message{ID: q.ID, Result: r})
	})
}

// predict answers a request for a prediction.
func (s *Server) predict(ctx context.Context, q request) (r *result, err error) {
	defer func() {
		if p := recover(); p != nil { // one bad case must not take the others with it
			r, err = nil, fmt.Errorf("internal error, please report it: %v\n%s", p, debug.Stack())
		}
	}()
	var p predictParams
	if err := decode(q.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	select {
	case s.working <- struct{}{}:
		defer func() { <-s.working }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e, err := s.open(ctx, q.ID, &p)
	if err != nil {
		return nil, err
	}
	defer s.models.release(e)
	got, err := e.model.Case(ctx, task.Case{ID: caseID(p.Images[0]), Images: p.Images, Mask: p.Mask})
	if err != nil {
		if kindOf(err) == kindFailed { // the device may be lost; the next request opens it again
			s.models.drop(e)
		}
		return nil, err
	}
	for _, w := range got.Warnings {
		reporter{s, q.ID}.Warn("%s", w)
	}
	r = &result{Probabilities: singlePrecision(got.Probabilities), Folds: e.model.Folds(), Precision: e.model.Precision()}
	r.Calibrated, r.Doubt = got.Calibrated, got.Doubt
	for _, l := range e.model.Labels() {
		r.Labels = append(r.Labels, label{l.Name, l.Values})
	}
	return r, nil
}

// open finds the model of a request and has it opened.
func (s *Server) open(ctx context.Context, id int64, p *predictParams) (*entry, error) {
	told := reporter{s, id}
	dir, err := artifact.Locate(p.Artifact, artifact.Model{Network: p.Model, Trainer: p.Trainer, Plans: p.Plans}, told)
	if err != nil {
		return nil, err
	}
	var folds []string
	if p.Folds != nil {
		folds = *p.Folds
	} else {
		folds = artifact.DefaultFolds(dir)
	}
	k := key{dir: dir, folds: strings.Join(folds, " "), checkpoint: p.Checkpoint, device: p.Device, threads: p.Threads, mixed: p.MixedPrecision, mirroring: p.Mirroring}
	state, err := stateOf(dir, p.Checkpoint)
	if err != nil {
		return nil, err
	}
	e, err := s.models.acquire(ctx, k, state, predict.Options{
		Folds: folds, Checkpoint: p.Checkpoint, Device: p.Device, Threads: p.Threads, GPU: s.gpu, FP32: !p.MixedPrecision, DisableTTA: !p.Mirroring, KeepFolds: true,
	}, told)
	if err == nil && p.Folds == nil && folds == nil {
		e.averaged.Do(func() {
			told.Warn("%s has no folder %q: the probabilities are the mean over folds %s", dir, task.FoldAll, strings.Join(e.model.Folds(), ", "))
		})
	}
	return e, err
}

// check refuses requests that need no look at the files, and fills in defaults.
func (p *predictParams) check() error {
	switch {
	case p.Artifact == "":
		return inputError("no artifact")
	case len(p.Images) == 0:
		return inputError("no image; expected one file per modality")
	case p.Threads < 0:
		return inputError("threads is %d, expected 1 or more", p.Threads)
	}
	for _, path := range append([]string{p.Artifact}, p.Images...) {
		if !filepath.IsAbs(path) {
			return inputError("path %q is not absolute", path)
		}
	}
	if p.Mask != "" && !filepath.IsAbs(p.Mask) {
		return inputError("path %q is not absolute", p.Mask)
	}
	if p.Folds != nil {
		if _, err := task.CheckFolds(*p.Folds); err != nil {
			return inputError("%v", err)
		}
	}
	if p.Checkpoint == "" {
		p.Checkpoint = checkpoint.Final
	}
	return artifact.CheckName("checkpoint", p.Checkpoint)
}

// caseID names a case by the file of its first image.
func caseID(path string) string {
	name, _ := imagefile.SplitExtension(filepath.Base(path))
	return name
}

// singlePrecision rounds to float32, which is what the reference returns.
func singlePrecision(labels [][]float64) [][]float64 {
	out := make([][]float64, len(labels))
	for k, of := range labels {
		for _, v := range of {
			out[k] = append(out[k], float64(float32(v)))
		}
	}
	return out
}

// usageError is a request that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func inputError(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// decode reads the params of a request; a name that does not exist is an error.
func decode(raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return inputError("params: %v", err)
	}
	return nil
}

// kindOf sorts an error.
func kindOf(err error) string {
	var usage *usageError
	var name *artifact.NameError
	var input *predict.InputError
	switch {
	case errors.Is(err, context.Canceled):
		return kindCancelled
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, checkpoint.ErrNotFound):
		return kindNotFound
	case errors.As(err, &usage), errors.As(err, &name), errors.As(err, &input):
		return kindInput
	}
	return kindFailed
}

func (s *Server) fail(id int64, err error) {
	s.write(message{ID: id, Error: &failure{kindOf(err), err.Error()}})
}

// write sends a line.
func (s *Server) write(v any) {
	line, err := json.Marshal(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.failed == nil {
		_, err = s.out.Write(append(line, '\n'))
	}
	if err != nil && s.failed == nil {
		s.failed = fmt.Errorf("cannot answer: %w", err)
	}
}

// reporter sends what is said while a request is worked on.
type reporter struct {
	server *Server
	id     int64
}

func (reporter) Stage(string, int) {}
func (reporter) Advance(string)    {}

func (r reporter) Note(format string, args ...any) {
	r.server.write(message{ID: r.id, Note: fmt.Sprintf(format, args...)})
}

func (r reporter) Warn(format string, args ...any) {
	r.server.write(message{ID: r.id, Warning: fmt.Sprintf(format, args...)})
}
