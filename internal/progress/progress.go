// Package progress reports to the person at the keyboard how far long work has come.
package progress

// Reporter receives the steps of a long job. Implementations are safe for concurrent use.
type Reporter interface {
	// Stage begins a stage of total items; total 0 means the number is not known.
	Stage(name string, total int)
	// Advance says that one item of the current stage is done.
	Advance(item string)
	// Note prints a line for people.
	Note(format string, args ...any)
	// Warn prints a warning that needs no answer now.
	Warn(format string, args ...any)
}

// Discard drops everything.
var Discard Reporter = discard{}

type discard struct{}

func (discard) Stage(string, int)   {}
func (discard) Advance(string)      {}
func (discard) Note(string, ...any) {}
func (discard) Warn(string, ...any) {}
