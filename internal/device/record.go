package device

import "github.com/universal-classifier/uc/internal/env"

// A Recorder is a Device that can record a pass.
type Recorder interface {
	// Record runs pass, which may call operations and nothing else of the device, and from nowhere else may anything but
	// Prefetch be called meanwhile. It returns what repeats it, or nil where that is not possible; pass has to be run
	// again then, since the device may have skipped any of it. The error is that of pass, or the device's.
	Record(pass func() error) (Recording, error)
}

// RecorderOf returns what records the passes of a device, or nil where the device cannot or the environment wants
// none.
func RecorderOf(d Device) Recorder {
	if r, ok := d.(Recorder); ok && env.Graphs() {
		return r
	}
	return nil
}

// Recording repeats a pass on the tensors that it was recorded with.
type Recording interface {
	// Run repeats the pass on what the tensors hold now, and reports whether it could: once the device has moved memory of
	// its own, it does nothing any more, and has to be recorded again.
	Run() bool
	// Close releases what the device keeps for it.
	Close()
}
