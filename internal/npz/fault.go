package npz

import (
	"errors"
	"runtime/debug"
)

// ErrLost is returned when mapped data can no longer be read: the file was cut short or its disk has gone.
var ErrLost = errors.New("the file was cut short, or its disk fails, while it was in use")

// CopyTo copies the data into dst, which holds no fewer values. What would end the process if Data were touched, a page
// that the file no longer has, is an error that wraps ErrLost.
func (m *Mapped) CopyTo(dst []float32) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of this goroutine alone
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // how the runtime tells a fault from other panics
			err = ErrLost
		default:
			panic(fault)
		}
	}()
	copy(dst[:len(m.Data):len(dst)], m.Data)
	return nil
}
