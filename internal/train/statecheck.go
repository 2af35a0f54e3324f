package train

import "fmt"

// maxBatch is far more cases than any batch has.
const maxBatch = 1 << 16

// check refuses a state that no training leaves, before anything is computed or allocated by its numbers.
func (s state) check() error {
	p := s.Recipe
	switch {
	case p.Epochs < 1 || p.Iterations < 1 || p.ValIterations < 0 || p.BatchSize < 1 || p.BatchSize > maxBatch:
		return fmt.Errorf("its recipe has %d epochs of %d and %d iterations with a batch of %d; the file is damaged", p.Epochs, p.Iterations, p.ValIterations, p.BatchSize)
	case s.Epoch < 0 || len(s.TrainLosses) != s.Epoch || len(s.ValLosses) != s.Epoch:
		return fmt.Errorf("it has %d epochs, but losses of %d and %d; the file is damaged", s.Epoch, len(s.TrainLosses), len(s.ValLosses))
	case len(s.TrainPart) > p.Iterations || len(s.ValPart) > p.ValIterations:
		return fmt.Errorf("it stands at iterations %d and %d of %d and %d; the file is damaged", len(s.TrainPart), len(s.ValPart), p.Iterations, p.ValIterations)
	}
	return nil
}
