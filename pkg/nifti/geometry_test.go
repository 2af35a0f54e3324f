package nifti

import (
	"math"
	"testing"
)

// TestPlacement compares origin and direction with what ITK reports for the same header fields.
func TestPlacement(t *testing.T) {
	rootHalf := math.Sqrt(0.5)
	tests := []struct {
		name      string
		change    func(*spec)
		origin    [3]float64
		direction [9]float64
		orient    string
	}{
		{"no form at all", func(s *spec) { s.srow = [3][4]float64{{9, 9, 9, 9}} }, [3]float64{}, identity, "LPS"},
		{"sform, RAS", func(s *spec) {
			s.sform = 1
			s.srow = [3][4]float64{{0.5, 0, 0, 10}, {0, 1.5, 0, -20}, {0, 0, 2.5, 30}}
		}, [3]float64{-10, 20, 30}, [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1}, "RAS"},
		{"sform, axes swapped", func(s *spec) {
			s.sform = 2
			s.srow = [3][4]float64{{0, 0, 2.5, 1}, {-0.5, 0, 0, 2}, {0, 1.5, 0, 3}}
		}, [3]float64{-1, -2, 3}, [9]float64{0, 0, -1, 1, 0, 0, 0, 1, 0}, "PSR"},
		{"qform identity", func(s *spec) { s.qform, s.qoffset = 1, [3]float64{1, 2, 3} },
			[3]float64{-1, -2, 3}, [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1}, "RAS"},
		{"qform, half turn about z", func(s *spec) { s.qform, s.quatern = 1, [3]float64{0, 0, 1} },
			[3]float64{}, identity, "LPS"},
		{"qform, quarter turn about x, mirrored", func(s *spec) {
			s.qform, s.quatern = 1, [3]float64{rootHalf, 0, 0}
			s.pixdim[0] = -1
		}, [3]float64{}, [9]float64{-1, 0, 0, 0, 0, -1, 0, 1, 0}, "RSA"},
		{"both: the scanner's sform wins", func(s *spec) {
			s.qform, s.sform, s.qoffset = 1, 1, [3]float64{7, 7, 7}
			s.srow = [3][4]float64{{0.5, 0, 0, 10}, {0, 1.5, 0, -20}, {0, 0, 2.5, 30}}
		}, [3]float64{-10, 20, 30}, [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1}, "RAS"},
		{"both: an aligned sform that differs loses", func(s *spec) {
			s.qform, s.sform, s.qoffset = 1, 4, [3]float64{7, 7, 7}
			s.srow = [3][4]float64{{-0.5, 0, 0, 10}, {0, 1.5, 0, -20}, {0, 0, 2.5, 30}}
		}, [3]float64{-7, -7, 7}, [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1}, "RAS"},
		{"both: a sheared sform loses", func(s *spec) {
			s.qform, s.sform, s.qoffset = 1, 1, [3]float64{7, 7, 7}
			s.srow = [3][4]float64{{0.5, 0.3, 0, 10}, {0, 1.5, 0, -20}, {0, 0, 2.5, 30}}
		}, [3]float64{-7, -7, 7}, [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1}, "RAS"},
		{"sform of zeros", func(s *spec) { s.sform = 1 }, [3]float64{}, identity, "LPS"},
	}
	for _, test := range tests {
		for _, version := range []int{1, 2} {
			s := newSpec()
			s.version = version
			test.change(&s)
			h, err := ReadHeader(s.write(t, "a.nii"))
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			for i := range test.origin {
				if !near(h.Origin[i], test.origin[i]) {
					t.Errorf("%s: origin %v, want %v", test.name, h.Origin, test.origin)
					break
				}
			}
			for i := range test.direction {
				if !near(h.Direction[i], test.direction[i]) {
					t.Errorf("%s: direction %v, want %v", test.name, h.Direction, test.direction)
					break
				}
			}
			if h.Spacing != [3]float64{2.5, 1.5, 0.5} {
				t.Errorf("%s: spacing %v", test.name, h.Spacing)
			}
			if got := Orientation(h.Geometry); got != test.orient {
				t.Errorf("%s: orientation %s, want %s", test.name, got, test.orient)
			}
		}
	}
}

func TestSpacingIsRepaired(t *testing.T) {
	s := newSpec()
	s.pixdim = [8]float64{1, 0, -2, math.NaN()}
	h, err := ReadHeader(s.write(t, "a.nii"))
	if err != nil || h.Spacing != [3]float64{1, 2, 1} {
		t.Errorf("spacing %v, %v", h.Spacing, err)
	}
	s = newSpec()
	s.units = 3 // micrometres
	h, err = ReadHeader(s.write(t, "a.nii"))
	if err != nil || !near(h.Spacing[0], 0.0025) {
		t.Errorf("spacing %v, %v", h.Spacing, err)
	}
}
