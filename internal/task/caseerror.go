package task

import (
	"errors"
	"fmt"
)

// CaseError is the error of one case, which its text names first.
type CaseError struct {
	Case string
	Err  error
}

func (e *CaseError) Error() string { return fmt.Sprintf("case %s: %v", e.Case, e.Err) }
func (e *CaseError) Unwrap() error { return e.Err }

// CaseErrorf is fmt.Errorf for an error of a case.
func CaseErrorf(id, format string, args ...any) error {
	return &CaseError{id, fmt.Errorf(format, args...)}
}

// InCase returns err as an error of a case; it is unchanged if it names the case already.
func InCase(id string, err error) error {
	var named *CaseError
	if err == nil || errors.As(err, &named) && named.Case == id {
		return err
	}
	return &CaseError{id, err}
}
