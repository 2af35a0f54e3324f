package mirror

import (
	"reflect"
	"testing"
)

func TestApplyFlipsTheAxesNamed(t *testing.T) {
	shape := [3]int{2, 3, 4}
	src := make([]float32, 2*2*3*4)
	for i := range src {
		src[i] = float32(i)
	}
	for _, a := range []Axes{{true, false, false}, {false, true, false}, {false, false, true}, {true, true, true}} {
		dst := a.Apply(nil, src, shape)
		for c := range 2 {
			for z := range 2 {
				for y := range 3 {
					for x := range 4 {
						fz, fy, fx := z, y, x
						if a[0] {
							fz = 1 - z
						}
						if a[1] {
							fy = 2 - y
						}
						if a[2] {
							fx = 3 - x
						}
						if got, want := dst[((c*2+z)*3+y)*4+x], src[((c*2+fz)*3+fy)*4+fx]; got != want {
							t.Fatalf("%v at %d %d %d %d: %v, want %v", a, c, z, y, x, got, want)
						}
					}
				}
			}
		}
		if back := a.Apply(nil, dst, shape); !reflect.DeepEqual(back, src) {
			t.Errorf("%v twice is not the identity", a)
		}
	}
}
