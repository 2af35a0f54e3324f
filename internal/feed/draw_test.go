package feed

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// In passes every case is drawn once before any is drawn again, over the ends of batches and epochs, by each worker
// alike.
func TestDrawsInPasses(t *testing.T) {
	p := Sequence{Epochs: 5, Iterations: 3, BatchSize: 4, Seed: 7, Draws: InPasses}
	members := []int{3, 5, 8, 9, 12, 20, 21}
	rng := rand.New(rand.NewPCG(1, 2))
	var draw drawer
	var drawn []int
	for epoch := range p.Epochs {
		for i := range p.Iterations {
			for index := range p.BatchSize {
				at := Position{Training, epoch, i}
				one := draw.one(&p, members, at, index, rng)
				if again := new(drawer).one(&p, members, at, index, rng); again != one {
					t.Fatalf("%v, sample %d: case %d, and %d for another worker", at, index, one, again)
				}
				drawn = append(drawn, one)
			}
		}
	}
	var orders [][]int
	for pass := range slices.Chunk(drawn, len(members)) {
		if len(pass) == len(members) {
			orders = append(orders, slices.Clone(pass))
			if slices.Sort(pass); !slices.Equal(pass, members) {
				t.Errorf("a pass drew %v", pass)
			}
		}
	}
	if slices.Equal(orders[0], orders[1]) {
		t.Error("two passes have one order")
	}
}

// A whole validation looks at every case once; its last batch is as long as cases are left.
func TestWholeValidation(t *testing.T) {
	p := Sequence{BatchSize: 4, ValIterations: 3, WholeValidation: true}
	members := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	var draw drawer
	var seen []int
	for i := range p.ValIterations {
		at := Position{Validating, 6, i}
		for index := range p.Size(at, len(members)) {
			seen = append(seen, draw.one(&p, members, at, index, nil))
		}
	}
	if !slices.Equal(seen, members) {
		t.Errorf("saw %v", seen)
	}
}
