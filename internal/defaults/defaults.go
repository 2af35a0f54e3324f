// Package defaults is what options mean where nobody names a value, from the command line and from Go programs alike.
package defaults

import (
	"runtime"

	"github.com/universal-classifier/uc/internal/env"
)

const (
	// Device computes: a GPU that passes its test, else the CPU.
	Device = "auto"
	// PlanWorkers is how many cases are preprocessed at a time, as in nnU-Net.
	PlanWorkers = 8
)

// TrainWorkers is how many workers prepare training samples: the environment's number, else one per processor of this
// process.
func TrainWorkers() int {
	if n, ok := env.WorkersOf(); ok {
		return n
	}
	return runtime.GOMAXPROCS(0) // knows the limits of control groups
}
