package task

import (
	"errors"
	"fmt"

	"github.com/universal-classifier/uc/internal/remedy"
)

// FailedCase is a case of a folder that there is no result for.
type FailedCase struct {
	Case  string          `json:"case"`
	Error string          `json:"error"` // all that is wrong with it
	For   []remedy.Remedy `json:"-"`
}

// Failed is the case with what went wrong.
func Failed(id string, err error) FailedCase { return FailedCase{id, err.Error(), remedy.Of(err)} }

// UnusedFile is a file in the folders of images and masks that no case was made of.
type UnusedFile struct {
	File   string          `json:"file"` // relative to its folder
	Reason string          `json:"reason"`
	For    []remedy.Remedy `json:"-"`
}

// Broken divides what was found wrong with a folder of images, sorted by case: into cases that are not whole, and files
// that belong to none. cases are those that are whole. Neither result is nil.
func Broken(cases []Case, found []Problem) ([]FailedCase, []UnusedFile) {
	whole := map[string]bool{}
	for _, c := range cases {
		whole[c.ID] = true
	}
	failed, unused := []FailedCase{}, []UnusedFile{}
	var err error
	for _, p := range found {
		if p.Case == "" || whole[p.Case] {
			unused = append(unused, UnusedFile{p.Field, p.Message, p.For})
			continue
		}
		if last := len(failed) - 1; last >= 0 && failed[last].Case == p.Case {
			err = remedy.With(fmt.Errorf("%w; %s", err, Problem{Field: p.Field, Message: p.Message}), p.For...)
			failed[last] = Failed(p.Case, err)
			continue
		}
		err = remedy.With(errors.New(p.String()), p.For...)
		failed = append(failed, Failed(p.Case, err))
	}
	return failed, unused
}
