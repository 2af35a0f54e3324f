package volume

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBoundingBoxAndGrow(t *testing.T) {
	size := [3]int{5, 6, 7}
	mask := make([]uint8, 5*6*7)
	if _, ok := BoundingBox(mask, size); ok {
		t.Error("an empty mask has a bounding box")
	}
	mask[(2*6+1)*7+6] = 1
	mask[(4*6+3)*7+2] = 1
	box, ok := BoundingBox(mask, size)
	if want := (Box{[3]int{2, 1, 2}, [3]int{5, 4, 7}}); !ok || box != want {
		t.Errorf("got %v, want %v", box, want)
	}
	got := Box{[3]int{10, 0, 5}, [3]int{50, 19, 65}}.Grow(0.05, [3]int{51, 30, 100})
	if want := (Box{[3]int{8, 0, 2}, [3]int{51, 19, 68}}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCropTransposed(t *testing.T) {
	size := [3]int{40, 37, 45}
	data := make([]int32, size[0]*size[1]*size[2])
	for i := range data {
		data[i] = int32(i)
	}
	box := Box{[3]int{1, 2, 3}, [3]int{39, 36, 45}}
	n := box.Size()
	for _, axes := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		got := CropTransposed(data, size, box, axes)
		m := Permute(n, axes)
		for i := range m[0] {
			for j := range m[1] {
				for k := range m[2] {
					var p [3]int
					p[axes[0]], p[axes[1]], p[axes[2]] = i, j, k
					want := data[((p[0]+1)*size[1]+p[1]+2)*size[2]+p[2]+3]
					if v := got[(i*m[1]+j)*m[2]+k]; v != want {
						t.Fatalf("axes %v at %d,%d,%d: got %d, want %d", axes, i, j, k, v, want)
					}
				}
			}
		}
	}
}

func TestPad(t *testing.T) {
	dst := make([]int16, 2*3*4)
	size, target := [3]int{1, 2, 3}, [3]int{2, 3, 4}
	PadInto(dst, target, []int16{1, 2, 3, 4, 5, 6}, size, PadOffset(size, target))
	want := []int16{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0}
	if !slices.Equal(dst, want) {
		t.Errorf("got %v, want %v", dst, want)
	}
}

// floodFill is FillHoles as one would write it on a blackboard.
func floodFill(mask []uint8, size [3]int) []uint8 {
	out := slices.Repeat([]uint8{1}, len(mask))
	var stack [][3]int
	push := func(z, y, x int) {
		i := (z*size[1]+y)*size[2] + x
		if mask[i] == 0 && out[i] == 1 {
			out[i] = 0
			stack = append(stack, [3]int{z, y, x})
		}
	}
	for z := range size[0] {
		for y := range size[1] {
			for x := range size[2] {
				if z == 0 || y == 0 || x == 0 || z == size[0]-1 || y == size[1]-1 || x == size[2]-1 {
					push(z, y, x)
				}
			}
		}
	}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for d := range 3 {
			for _, step := range []int{-1, 1} {
				q := p
				q[d] += step
				if q[d] >= 0 && q[d] < size[d] {
					push(q[0], q[1], q[2])
				}
			}
		}
	}
	return out
}

func TestFillHoles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		size := [3]int{1 + rng.IntN(9), 1 + rng.IntN(9), 1 + rng.IntN(12)}
		mask := make([]uint8, size[0]*size[1]*size[2])
		density := 0.3 + 0.6*rng.Float64()
		for j := range mask {
			if rng.Float64() < density {
				mask[j] = 1
			}
		}
		want := floodFill(mask, size)
		FillHoles(mask, size)
		if !slices.Equal(mask, want) {
			t.Fatalf("case %d, size %v: FillHoles differs from a flood fill", i, size)
		}
	}
}

func BenchmarkFillHoles(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	size := [3]int{160, 256, 256}
	mask := make([]uint8, size[0]*size[1]*size[2])
	work := make([]uint8, len(mask))
	for i := range mask {
		if rng.Float64() < 0.95 {
			mask[i] = 1
		}
	}
	b.SetBytes(int64(len(mask)))
	for b.Loop() {
		copy(work, mask)
		FillHoles(work, size)
	}
}
