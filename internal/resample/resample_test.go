package resample

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/volume"
)

const units = "../../testdata/resample_units"

type unitCalls struct {
	Single []struct {
		ID        int    `json:"id"`
		InShape   []int  `json:"in_shape"`
		NewShape  [3]int `json:"new_shape"`
		IsSeg     bool   `json:"is_seg"`
		Order     int    `json:"order"`
		Axis      []int  `json:"axis"`
		SeparateZ bool   `json:"do_separate_z"`
	} `json:"resample_data_or_seg"`
	Patient []struct {
		ID       int        `json:"id"`
		Original [3]float64 `json:"original_spacing"`
		Target   [3]float64 `json:"target_spacing"`
		InShape  [3]int     `json:"in_shape"`
		OutShape [3]int     `json:"out_shape"`
	} `json:"resample_patient"`
	Pad []struct {
		Shape  [3]int `json:"shape"`
		Target [3]int `json:"target"`
		First  [3]int `json:"first_index"`
		Last   [3]int `json:"last_index"`
	} `json:"central_pad"`
}

func loadUnits(t *testing.T, file string) (unitCalls, map[string]npz.Array) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(units, "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	var calls unitCalls
	if err := json.Unmarshal(b, &calls); err != nil {
		t.Fatal(err)
	}
	arrays, err := npz.Read(filepath.Join(units, file))
	if err != nil {
		t.Fatal(err)
	}
	return calls, arrays
}

func labelsOf(data []float32) []int16 {
	out := make([]int16, len(data))
	for i, v := range data {
		out[i] = int16(v)
	}
	return out
}

func resampled(data []float32, size, to [3]int, axis int) []float32 {
	out := make([]float32, to[0]*to[1]*to[2])
	Data(out, data, size, to, axis)
	return out
}

// compareData returns the largest difference, relative to the spread of the wanted values.
func compareData(t *testing.T, name string, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	low, high := limits(want)
	worst := 0.0
	for i := range got {
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
	}
	if relative := worst / max(float64(high-low), 1e-6); relative > 2e-6 {
		t.Errorf("%s: max difference %g (%g of the range)", name, worst, relative)
	} else {
		return relative
	}
	return 0
}

func compareLabels(t *testing.T, name string, got, want []int16) {
	t.Helper()
	if !slices.Equal(got, want) {
		wrong := 0
		for i := range got {
			if got[i] != want[i] {
				wrong++
			}
		}
		t.Errorf("%s: %d of %d voxels differ", name, wrong, len(want))
	}
}

func TestUnits(t *testing.T) {
	calls, arrays := loadUnits(t, "arrays.npz")
	if len(calls.Single) < 100 {
		t.Fatalf("only %d calls found", len(calls.Single))
	}
	worst := 0.0
	for _, c := range calls.Single {
		if order := map[bool]int{false: 3, true: 1}[c.IsSeg]; c.Order != order {
			continue // an order that preprocessing never uses
		}
		in, want := arrays[fmt.Sprintf("in_%03d", c.ID)], arrays[fmt.Sprintf("out_%03d", c.ID)]
		axis := -1
		if c.SeparateZ {
			axis = c.Axis[0]
		}
		size := [3]int(in.Shape[1:])
		n, m := len(in.Floats())/in.Shape[0], len(want.Floats())/in.Shape[0]
		for channel := range in.Shape[0] {
			name := fmt.Sprintf("call %d channel %d (%v to %v, axis %d)", c.ID, channel, size, c.NewShape, axis)
			from, expected := in.Floats()[channel*n:][:n], want.Floats()[channel*m:][:m]
			if c.IsSeg {
				compareLabels(t, name, Labels(labelsOf(from), size, c.NewShape, axis), labelsOf(expected))
			} else {
				worst = max(worst, compareData(t, name, resampled(from, size, c.NewShape, axis), expected))
			}
		}
	}
	t.Logf("largest difference %.2g of the range", worst)
}

func TestPatientUnits(t *testing.T) {
	calls, arrays := loadUnits(t, "patient_arrays.npz")
	if len(calls.Patient) < 10 {
		t.Fatalf("only %d calls found", len(calls.Patient))
	}
	for _, c := range calls.Patient {
		name := fmt.Sprintf("patient %d (%v mm to %v mm)", c.ID, c.Original, c.Target)
		to := Shape(c.InShape, c.Original, c.Target)
		if to != c.OutShape {
			t.Errorf("%s: shape %v, want %v", name, to, c.OutShape)
			continue
		}
		axis := SeparateAxis(c.Original, c.Target)
		get := func(what string) []float32 { return arrays[fmt.Sprintf("%s_%02d", what, c.ID)].Floats() }
		compareData(t, name, resampled(get("data"), c.InShape, to, axis), get("out_data"))
		compareLabels(t, name, Labels(labelsOf(get("seg")), c.InShape, to, axis), labelsOf(get("out_seg")))
	}
	for _, c := range calls.Pad {
		offset := volume.PadOffset(c.Shape, c.Target)
		for d := range 3 {
			if offset[d] != c.First[d] || offset[d]+c.Shape[d]-1 != c.Last[d] {
				t.Errorf("pad %v to %v: starts at %v, want %v", c.Shape, c.Target, offset, c.First)
			}
		}
	}
}

func TestConstantStaysConstant(t *testing.T) {
	size, to := [3]int{7, 70, 130}, [3]int{9, 50, 140}
	data := slices.Repeat([]float32{1234.5}, size[0]*size[1]*size[2])
	for axis := -1; axis < 3; axis++ {
		for i, v := range resampled(data, size, to, axis) {
			if v != 1234.5 {
				t.Fatalf("axis %d: voxel %d became %g", axis, i, v)
			}
		}
	}
}

// TestAxesAreAlike turns the array: the result must turn with it, whichever way the lines lie in memory.
func TestAxesAreAlike(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	size, to := [3]int{31, 67, 130}, [3]int{31, 67, 130}
	data := make([]float32, size[0]*size[1]*size[2])
	for i := range data {
		data[i] = rng.Float32()
	}
	for d, n := range []int{44, 50, 171} {
		to := to
		to[d] = n
		want := resampled(data, size, to, -1)
		for _, turn := range []struct{ axes, back [3]int }{{[3]int{1, 2, 0}, [3]int{2, 0, 1}}, {[3]int{2, 0, 1}, [3]int{1, 2, 0}}} {
			turned := resampled(volume.Transpose(data, size, turn.axes), volume.Permute(size, turn.axes), volume.Permute(to, turn.axes), -1)
			if got := volume.Transpose(turned, volume.Permute(to, turn.axes), turn.back); !slices.Equal(got, want) {
				t.Errorf("axis %d, turned by %v: the result differs", d, turn.axes)
			}
		}
	}
}

func BenchmarkData(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	size, to := [3]int{80, 128, 128}, [3]int{104, 166, 166}
	data := make([]float32, size[0]*size[1]*size[2])
	for i := range data {
		data[i] = rng.Float32()
	}
	b.SetBytes(int64(4 * to[0] * to[1] * to[2]))
	out := make([]float32, to[0]*to[1]*to[2])
	for b.Loop() {
		Data(out, data, size, to, -1)
	}
}

func BenchmarkLabels(b *testing.B) {
	size, to := [3]int{80, 128, 128}, [3]int{104, 166, 166}
	mask := make([]int16, size[0]*size[1]*size[2])
	for i := range mask {
		z, y, x := i/(128*128)-40, i/128%128-64, i%128-64
		switch r := math.Sqrt(float64(z*z + y*y + x*x)); {
		case r < 20:
			mask[i] = 2
		case r < 38:
			mask[i] = 1
		case r > 60:
			mask[i] = -1
		}
	}
	b.SetBytes(int64(2 * to[0] * to[1] * to[2]))
	for b.Loop() {
		Labels(mask, size, to, -1)
	}
}
