// Package feed prepares the batches of a training ahead of the network, in order, by workers that change no bit of
// them.
package feed

// Draws is how training cases are chosen.
type Draws string

// The ways of drawing.
const (
	WithReplacement Draws = "with_replacement" // each case of a batch independently
	InPasses        Draws = "in_passes"        // every case once, in random order, then again
)

// Sequence says how many batches a training has and what they hold.
type Sequence struct {
	Epochs                    int
	Iterations, ValIterations int // of an epoch
	BatchSize                 int
	Seed                      uint64
	Draws                     Draws // of training cases; empty is WithReplacement
	WholeValidation           bool  // the validation iterations see every validation case once
}
