// Package fault lets tests fail the file operations of the program.
//
// Whoever opens, reads, writes, syncs, renames, removes or locks a file of the workflow, or makes a folder, asks At
// first. There is nothing to it in a program that is shipped: the hook is nil, and nothing but a test may install one.
// A hook within the process was chosen over a preloaded library or a tracer because it works on every system, needs no
// tools, and counts the same operations in every run; over a file system handed down through every package because that
// would put an interface between every function and its files for the tests' sake alone.
package fault

// Op is a kind of file operation.
type Op string

// The operations.
const (
	Open   Op = "open"
	Read   Op = "read"
	Create Op = "create"
	Write  Op = "write"
	Sync   Op = "sync"
	Rename Op = "rename"
	Remove Op = "remove"
	Mkdir  Op = "mkdir"
	Lock   Op = "lock"
)

// hook is set once, if at all, before the program begins.
var hook func(op Op, path string) error

// Install makes f run before every file operation; what it returns is the operation's error, nil lets it happen. Only
// tests call Install, before anything else.
func Install(f func(op Op, path string) error) { hook = f }

// At returns the error that the operation shall have, nil in every program that is not a test.
func At(op Op, path string) error {
	if hook == nil {
		return nil
	}
	return hook(op, path)
}
