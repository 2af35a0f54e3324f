package train

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/preprocess"
)

// writeToyCase writes case i of the toy task as preprocessing would, its voxels drawn by value.
func writeToyCase(t *testing.T, stage string, i int, value func(*rand.Rand) float32) {
	t.Helper()
	const side, voxels = 16, 16 * 16 * 16
	rng := rand.New(rand.NewPCG(uint64(i), 1))
	data := make([]float32, 2*voxels)
	for k := range data {
		data[k] = value(rng)
		if k >= voxels {
			data[k] = float32(rng.IntN(3) - 1)
		}
	}
	id := fmt.Sprintf("case_%02d", i)
	if err := npz.Write(filepath.Join(stage, id+".npz"), []npz.Array{{Name: "data", Shape: []int{2, side, side, side}, Data: data}}, true); err != nil {
		t.Fatal(err)
	}
	// The clock of file systems is coarse; a case rewritten at once must not look as old as what was unpacked from it
	// before.
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(filepath.Join(stage, id+".npz"), later, later); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(preprocess.Properties{Case: id, Targets: []int{i % 2, i % 3}, UseMaskForNorm: indexed.List[bool]{false}, SizeAfterPad: [3]int{side, side, side}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stage, id+".json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
}
