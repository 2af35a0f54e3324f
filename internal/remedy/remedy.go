// Package remedy is what can be done about an error or a warning, as values that whoever shows it can spell.
//
// The text of an error says in plain words what is wrong and what to do. What that means on a command line, a command
// or a flag, is nothing that the text may know, as a Go program reads it, too: it stands next to the text as a Remedy.
// Of finds the remedies of an error, however often it was wrapped or joined.
package remedy

import (
	"fmt"
	"slices"
)

// A Remedy is one thing to do: a job to run or a setting to change.
type Remedy interface{ isRemedy() }

// Plan is to plan and preprocess a task, which does again only what has changed (Workspace.Plan of the Go API).
type Plan struct {
	Task   string // full name; empty where it is not known
	Verify bool   // read every file first
}

// Train is to train a fold, to continue its training or to validate it again (Workspace.Train of the Go API). What is
// not known is empty.
type Train struct {
	Trainer, Plans, Task, Fold string
	Mode                       Mode
}

// Mode is which part of a training is meant.
type Mode int

// The modes.
const (
	Anew     Mode = iota // from the first epoch
	Continue             // from the last checkpoint (TrainOptions.Continue)
	Validate             // only the validation (TrainOptions.ValidationOnly)
)

// Job is a job without parameters that are worth naming.
type Job int

// The jobs.
const (
	Predict        Job = iota // predict into the same folder, which keeps what is valid (Model.PredictFolder)
	PackModel                 // pack a trained model
	ImportModel               // bring in a model of the Python reference
	ConvertDICOM              // convert DICOM series
	ConvertMSD                // convert a data set of the Medical Segmentation Decathlon
	ConvertNNUNet2            // convert a data set of nnU-Net v2
)

// Set is to give an option, with a value where one is known, or to give it another value than it has.
type Set struct {
	Option Option
	Value  string
}

// Unset is to leave an option out.
type Unset struct{ Option Option }

func (Plan) isRemedy()  {}
func (Train) isRemedy() {}
func (Job) isRemedy()   {}
func (Set) isRemedy()   {}
func (Unset) isRemedy() {}

// Error is an error with what can be done about it.
type Error struct {
	Err error
	For []Remedy
}

func (e *Error) Error() string      { return e.Err.Error() }
func (e *Error) Unwrap() error      { return e.Err }
func (e *Error) Remedies() []Remedy { return e.For }

// With returns err with remedies; nil if err is nil.
func With(err error, remedies ...Remedy) error {
	if err == nil {
		return nil
	}
	return &Error{err, remedies}
}

// Note is a warning or a remark with what can be done about it; it prints as its text.
type Note struct {
	Text string
	For  []Remedy
}

// Notef returns a note without remedies; See adds them.
func Notef(format string, args ...any) Note { return Note{Text: fmt.Sprintf(format, args...)} }

// See returns the note with further remedies.
func (n Note) See(remedies ...Remedy) Note {
	return Note{n.Text, append(slices.Clip(n.For), remedies...)}
}

func (n Note) String() string     { return n.Text }
func (n Note) Remedies() []Remedy { return n.For }

// Of returns the remedies of an error, a note or anything else with a method Remedies, and of the errors that it wraps,
// in the order of the text and each once.
func Of(of any) []Remedy {
	var all []Remedy
	add := func(found []Remedy) {
		for _, r := range found {
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	switch w := of.(type) {
	case interface{ Unwrap() error }:
		add(Of(w.Unwrap()))
	case interface{ Unwrap() []error }:
		for _, err := range w.Unwrap() {
			add(Of(err))
		}
	}
	if own, ok := of.(interface{ Remedies() []Remedy }); ok {
		add(own.Remedies())
	}
	return all
}
