package feed

import "math/rand/v2"

// drawer chooses the cases of batches. Its choice follows from the sequence and the place of the sample in the training
// alone.
type drawer struct {
	pass  int   // that order belongs to, counted from 1
	order []int // of the members
}

// passStream separates the random numbers of the order of a pass from those of the samples.
const passStream = 0x706173736573 // "passes"

// one returns the case among members for a sample of a batch. rng is the sample's own.
func (d *drawer) one(p *Sequence, members []int, at Position, index int, rng *rand.Rand) int {
	switch {
	case at.Phase == Validating && p.WholeValidation:
		return members[(at.Iteration*p.BatchSize+index)%len(members)]
	case at.Phase == Validating || p.Draws == WithReplacement || p.Draws == "":
		return members[rng.IntN(len(members))]
	}
	n := (at.Epoch*p.Iterations+at.Iteration)*p.BatchSize + index
	if pass := 1 + n/len(members); d.pass != pass {
		d.pass = pass
		d.order = rand.New(rand.NewPCG(Mix(p.Seed^passStream), uint64(pass))).Perm(len(members))
	}
	return members[d.order[n%len(members)]]
}

// Size is the number of samples of the batch at a position: the last one of a whole validation is as long as cases are
// left.
func (p Sequence) Size(at Position, valCases int) int {
	n := p.BatchSize
	if at.Phase == Validating && p.WholeValidation {
		if left := valCases - at.Iteration*n; left > 0 {
			return min(n, left)
		}
	}
	return n
}

// resize gives the batch n samples, no more than it was made for.
func (b *Batch) resize(n, sampleLen int) {
	b.Data, b.Cases = b.Data[:n*sampleLen], b.Cases[:n]
	for k := range b.Targets {
		b.Targets[k] = b.Targets[k][:n]
	}
}
