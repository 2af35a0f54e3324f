package device

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/remedy"
)

// Error is what a device panics with when it cannot continue: its methods have no errors, since nothing can be done
// about them where they are called. The exported methods of the networks (package i3d) return it as their error, so
// that nobody above them need know of it.
type Error struct {
	Device string
	Err    error
	Remedy string // what the user can do; empty where there is nothing to say
	For    []remedy.Remedy
}

func (e *Error) Error() string {
	text := fmt.Sprintf("device %s: %v", e.Device, e.Err)
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

func (e *Error) Unwrap() error             { return e.Err }
func (e *Error) Remedies() []remedy.Remedy { return e.For }

// Recover turns the panic of a device that failed into an error; call it deferred.
func Recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}
