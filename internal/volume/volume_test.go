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

func numbered(size [3]int) []int32 {
	data := make([]int32, size[0]*size[1]*size[2])
	for i := range data {
		data[i] = int32(i)
	}
	return data
}

func TestCrop(t *testing.T) {
	size := [3]int{9, 8, 7}
	for _, box := range []Box{{[3]int{}, size}, {[3]int{1, 0, 0}, size}, {[3]int{0, 1, 2}, [3]int{9, 7, 7}}, {[3]int{3, 3, 3}, [3]int{5, 4, 6}}} {
		got := Crop(numbered(size), size, box)
		i := 0
		for z := box.Min[0]; z < box.Max[0]; z++ {
			for y := box.Min[1]; y < box.Max[1]; y++ {
				for x := box.Min[2]; x < box.Max[2]; x++ {
					if want := int32((z*size[1]+y)*size[2] + x); got[i] != want {
						t.Fatalf("box %v at %d,%d,%d: got %d, want %d", box, z, y, x, got[i], want)
					}
					i++
				}
			}
		}
		if i != len(got) {
			t.Errorf("box %v: %d voxels, want %d", box, len(got), i)
		}
	}
}

func TestTranspose(t *testing.T) {
	size := [3]int{40, 37, 45}
	data := numbered(size)
	for _, axes := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		got := Transpose(data, size, axes)
		m := Permute(size, axes)
		for i := range m[0] {
			for j := range m[1] {
				for k := range m[2] {
					var p [3]int
					p[axes[0]], p[axes[1]], p[axes[2]] = i, j, k
					want := data[(p[0]*size[1]+p[1])*size[2]+p[2]]
					if v := got[(i*m[1]+j)*m[2]+k]; v != want {
						t.Fatalf("axes %v at %d,%d,%d: got %d, want %d", axes, i, j, k, v, want)
					}
				}
			}
		}
	}
}

func TestPadInPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		var size, target [3]int
		for d := range 3 {
			size[d] = 1 + rng.IntN(5)
			target[d] = size[d] + rng.IntN(4)
		}
		offset := PadOffset(size, target)
		block := numbered(size)
		want := make([]int32, target[0]*target[1]*target[2])
		got := slices.Repeat([]int32{-7}, len(want))
		copy(got[len(got)-len(block):], block)
		for i, v := range block {
			z, y, x := i/size[2]/size[1]+offset[0], i/size[2]%size[1]+offset[1], i%size[2]+offset[2]
			want[(z*target[1]+y)*target[2]+x] = v
		}
		PadInPlace(got, target, size, offset)
		if !slices.Equal(got, want) {
			t.Fatalf("%v into %v:\n got %v\nwant %v", size, target, got, want)
		}
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
