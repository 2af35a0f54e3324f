package augment

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/augment/rows"
	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/testutil"
)

// tolerance is the largest difference to the reference that counts as equal.
const tolerance = 1e-4

// vector is one entry of the reference's meta.json.
type vector struct {
	Name         string
	Transform    string
	Angles       []float64
	Scale        *float64
	Dim          int
	Displacement string
	Noise        string
	Alpha, Sigma float64
	Multiplier   float64
	Factor       float64
	Gamma        float64
	Invert       bool `json:"invert_image"`
	Retain       bool `json:"retain_stats"`
	Zoom         float64
	IgnoreAxes   []int `json:"ignore_axes"`
	Axes         []int
	V            float64
	Classes      int `json:"num_seg_classes"`
}

type reference struct {
	vectors []vector
	arrays  map[string]npz.Array
	shape   [3]int
}

func loadReference(t *testing.T) reference {
	t.Helper()
	var meta struct{ Vectors []vector }
	text, err := os.ReadFile(testutil.Shared(t, "reference", "augmentation", "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	arrays, err := npz.Read(testutil.Shared(t, "reference", "augmentation", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	s := arrays["patch/data"].Shape
	return reference{meta.Vectors, arrays, [3]int{s[1], s[2], s[3]}}
}

func (r *reference) floats(t *testing.T, name string) []float32 {
	t.Helper()
	a, ok := r.arrays[name]
	if !ok {
		t.Fatalf("no array %s", name)
	}
	return a.Floats()
}

// sample returns modalities and mask of the patch in one array.
func (r *reference) sample(t *testing.T) []float32 {
	return append(append([]float32{}, r.floats(t, "patch/data")...), r.floats(t, "patch/seg")...)
}

func TestReferenceVectors(t *testing.T) {
	ref := loadReference(t)
	eachLevel(t, func(t *testing.T) {
		for _, v := range ref.vectors {
			t.Run(v.Name, func(t *testing.T) { checkVector(t, &ref, v) })
		}
	})
}

func checkVector(t *testing.T, ref *reference, v vector) {
	sample := ref.sample(t)
	n := len(sample) / 3
	data, mask := sample[:2*n], sample[2*n:]
	channels := [][]float32{data[:n], data[n:]}
	p := NewPipeline(DefaultParams(v.Dim == 2 || len(v.IgnoreAxes) > 0, nil, 2), ref.shape, 2)
	switch transform, _, _ := strings.Cut(v.Transform, ":"); transform {
	case "spatial":
		s := Spatial{Rotation: v.Angles != nil, Scaling: v.Scale != nil, Scale: 1}
		copy(s.Angles[:], v.Angles)
		if v.Scale != nil {
			s.Scale = *v.Scale
		}
		p.resample(&s, displacement(t, p, ref, v), sample)
		want := ref.floats(t, v.Name+"/seg")
		if wrong := count(mask, want); wrong > 0 {
			t.Errorf("mask: %d of %d voxels differ", wrong, n)
		}
	case "elastic offsets of spatial_elastic_noise":
		compare(t, displacement(t, p, ref, v), ref.floats(t, v.Name+"/offsets"), tolerance)
		return
	case "gaussian_blur":
		for _, c := range channels {
			p.blur(c, v.Sigma)
		}
	case "brightness_multiplicative":
		for _, c := range channels {
			brightness(c, v.Multiplier)
		}
	case "contrast":
		for _, c := range channels {
			contrast(c, v.Factor)
		}
	case "gamma":
		for _, c := range channels {
			gamma(c, v.Gamma, v.Invert, v.Retain)
		}
	case "simulate_low_resolution":
		for _, c := range channels {
			p.lowResolution(c, v.Zoom)
		}
	case "mirror":
		var axes [3]bool
		for _, a := range v.Axes {
			axes[a] = true
		}
		p.mirror(axes, sample)
		if wrong := count(mask, ref.floats(t, v.Name+"/seg")); wrong > 0 {
			t.Errorf("mask: %d voxels differ", wrong)
		}
	case "gaussian_noise":
		checkNoiseLaw(t, ref.floats(t, v.Name+"/field"), v.V)
		return
	default:
		if v.Name != "tail" {
			t.Fatalf("unknown transform %q", v.Transform)
		}
		p.params.MaskForNorm = []bool{true, false}
		p.params.ROILabels = v.Classes - 1
		p.maskOutside(sample)
		compare(t, data, ref.floats(t, "tail/data_after_mask"), 0)
		p.finishMask(sample)
		compare(t, sample, ref.floats(t, "tail/data"), 1e-7)
		return
	}
	compare(t, data, ref.floats(t, v.Name+"/data"), tolerance)
}

// displacement returns the field that a vector gives or makes of its noise, or nil.
func displacement(t *testing.T, p *Pipeline, ref *reference, v vector) []float32 {
	if v.Displacement != "" {
		return ref.floats(t, v.Displacement)
	}
	if v.Noise == "" {
		return nil
	}
	field := append([]float32{}, ref.floats(t, v.Noise)...)
	for i, u := range field {
		field[i] = 2*u - 1
	}
	shape := p.shape
	if p.params.Dummy2D {
		shape[0] = 1
	}
	p.scratch.elasticField(field, shape, v.Alpha, v.Sigma, p.params.Dummy2D)
	return field
}

// checkNoiseLaw compares the spread of the reference's noise with that of ours.
func checkNoiseLaw(t *testing.T, field []float32, sd float64) {
	ours := make([]float32, len(field))
	p := NewPipeline(DefaultParams(false, nil, 1), [3]int{1, 1, len(field)}, 1)
	p.addNoise(ours, sd, Seed{1, 2})
	theirs, mine := rows.Describe(field), rows.Describe(ours)
	// Five standard errors of a standard deviation.
	if limit := 5 * sd * math.Sqrt(1/float64(len(field))); math.Abs(theirs.SD-mine.SD) > limit || math.Abs(mine.Mean-theirs.Mean) > limit {
		t.Errorf("noise %+v, reference %+v", mine, theirs)
	}
}

func compare(t *testing.T, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	worst, at := 0., 0
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= worst) {
			worst, at = d, i
		}
	}
	t.Logf("max difference %.2g", worst)
	if !(worst <= tolerance) {
		t.Errorf("value %d is %v, want %v", at, got[at], want[at])
	}
}

// count returns how many voxels differ.
func count(got, want []float32) (wrong int) {
	for i := range got {
		if got[i] != want[i] {
			wrong++
		}
	}
	return wrong
}

// eachLevel runs a test with every set of machine instructions.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	for _, level := range cpulevel.Available() {
		t.Run(level.String(), func(t *testing.T) {
			defer cpulevel.Use(level)()
			f(t)
		})
	}
}
