package task

import "errors"

// What a task may lack for a call, so that callers can tell such errors from others.
var (
	ErrNotPreprocessed = errors.New("the task is not preprocessed")
	ErrNotTrained      = errors.New("the task is not trained")
)

// lacking is an error of which errors.Is finds, in addition to what it wraps, that something is lacking. Its words are
// err's alone.
type lacking struct{ err, state error }

func (e *lacking) Error() string   { return e.err.Error() }
func (e *lacking) Unwrap() []error { return []error{e.err, e.state} }

// NotPreprocessed makes err one that wraps ErrNotPreprocessed, in the same words.
func NotPreprocessed(err error) error { return &lacking{err, ErrNotPreprocessed} }

// NotTrained makes err one that wraps ErrNotTrained, in the same words.
func NotTrained(err error) error { return &lacking{err, ErrNotTrained} }
