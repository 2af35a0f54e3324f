package cohort

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

func TestBadCasesAreNamed(t *testing.T) {
	zero := func(int, int, int) float32 { return 0 }
	none := func(int, int, int) int16 { return 0 }
	for name, c := range map[string]struct {
		spoil func(d *cohorttest.Drawn)
		other bool // write the mask on another grid
		want  []string
	}{
		"all zero":   {spoil: func(d *cohorttest.Drawn) { d.Voxel = zero }, want: []string{"case c_1", "c_1_0000.nii.gz", "every voxel is 0"}},
		"empty mask": {spoil: func(d *cohorttest.Drawn) { d.Label = none }, want: []string{"case c_1", "labelsTr", "no voxel is labelled"}},
		"infinite": {spoil: func(d *cohorttest.Drawn) {
			d.Voxel = func(z, y, x int) float32 { return float32(math.Inf(z - 5)) }
		}, want: []string{"case c_1", "every voxel is 0, NaN or infinite"}},
		"huge": {spoil: func(d *cohorttest.Drawn) { // as some tools mark missing data
			d.Voxel = func(z, y, x int) float32 { return 5 - math.MaxFloat32*float32(1-min(z, 1)) }
			d.Label = func(z, y, x int) int16 { return 1 }
		}, want: []string{"case c_1", "c_1_0000.nii.gz", "voxel (0, 0, 0) is -3.40282e+38", "replace it by 0 or NaN"}},
		"huge, but small enough to be resampled": {spoil: func(d *cohorttest.Drawn) {
			d.Voxel = func(z, y, x int) float32 { return 1 + 1e20*float32(z/(d.Size[0]-1)) }
			d.Label = func(z, y, x int) int16 { return 1 }
		}, want: []string{"case c_1", "c_1_0000.nii.gz", "is 1e+20"}},
		"undeclared label": {spoil: func(d *cohorttest.Drawn) { d.Label = func(z, y, x int) int16 { return int16(255 * (z % 2)) } }, want: []string{"case c_1", "labelsTr", "255"}},
		"negative label":   {spoil: func(d *cohorttest.Drawn) { d.Label = func(z, y, x int) int16 { return int16(1 - 2*(z%2)) } }, want: []string{"case c_1", "labelsTr", "-1"}},
		"elsewhere": {spoil: func(d *cohorttest.Drawn) {
			d.Voxel = func(z, y, x int) float32 { return float32(1 - min(z, 1)) }
			d.Label = func(z, y, x int) int16 { return int16(z / (d.Size[0] - 1)) }
		}, want: []string{"case c_1", "region of interest lies where the image"}},
		"other size": {other: true, want: []string{"case c_1", "labelsTr", "3x3x3", "grid"}},
	} {
		cases := cohorttest.Cases(3)
		if c.spoil != nil {
			c.spoil(&cases[1])
		}
		f := cohorttest.MakeTask(t, "CT", cases)
		if c.other {
			_, mask := cohorttest.CaseFiles(f, 1)
			cohorttest.Drawn{Size: [3]int{3, 3, 3}, Spacing: [3]float64{1, 1, 1}, Voxel: zero, Label: func(int, int, int) int16 { return 1 }}.Write(t, filepath.Join(t.TempDir(), "x.nii"), mask)
		}
		_, err := run(t, f, Options{})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", name, err, w)
			}
		}
		if strings.Contains(err.Error(), "c_0") || strings.Contains(err.Error(), "c_2") {
			t.Errorf("%s: error %q names a case that is fine", name, err)
		}
	}
}

// A background of NaN or of infinity is one of 0: the same crop, the same arrays.
func TestNaNBackgroundIsZero(t *testing.T) {
	for _, modality := range []string{"MRI", "CT"} {
		var want []string
		for _, background := range []float32{0, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			cases := cohorttest.Cases(3)
			for i := range cases {
				inner := cases[i].Voxel
				size := cases[i].Size
				cases[i].Voxel = func(z, y, x int) float32 {
					if z < 2 || z > size[0]-3 || y < 3 || x < 2 {
						return background
					}
					return inner(z, y, x)
				}
			}
			f := cohorttest.MakeTask(t, modality, cases)
			p, err := run(t, f, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range cases {
				id := fmt.Sprintf("c_%d", i)
				stage := f.Stage(cohorttest.Task, p.DataIdentifier)
				properties, err := dataset.ReadProperties(stage, id)
				if err != nil {
					t.Fatal(err)
				}
				if properties.NonzeroBox[0][0] != 2 || properties.NonzeroBox[1][0] != 3 {
					t.Errorf("background %g: nonzero_bbox %v", background, properties.NonzeroBox)
				}
				data := cohorttest.ReadData(t, dataset.ArraysFile(stage, id))
				got = append(got, fmt.Sprint(properties.NonzeroBox, properties.CropBox, data.Shape, data.Floats()))
			}
			if want == nil {
				want = got
			} else if !slices.Equal(got, want) {
				t.Errorf("%s: a background of %g gives other arrays than one of 0", modality, background)
			}
		}
	}
}

// Every case is named whose extent would blow up the plans, unless it is allowed, or only its region of interest is
// unusual.
func TestExtentFarFromTheCohort(t *testing.T) {
	cases := cohorttest.Cases(5)
	size := cases[3].Size
	size[2] *= 10
	long := cohorttest.Drawn{Size: size, Spacing: cases[3].Spacing, Voxel: func(z, y, x int) float32 { return 1 }, Label: func(z, y, x int) int16 { return 1 }}
	cases[3] = long
	f := cohorttest.MakeTask(t, "MRI", cases)
	_, err := run(t, f, Options{NoPreprocess: true})
	if err == nil || !strings.Contains(err.Error(), "case c_3: imagesTr/c_3_0000.nii.gz: extent") || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.AllowOutliers, Value: "c_3"})) || strings.Contains(err.Error(), "c_2") {
		t.Errorf("error %v", err)
	}
	if _, err = run(t, f, Options{NoPreprocess: true, AllowOutliers: []string{"c_3"}}); err != nil {
		t.Errorf("an outlier that is allowed: %v", err)
	}
	// A long scan whose region of interest is as those of the others.
	cases[3].Label = func(z, y, x int) int16 { return int16(min(1, max(0, 9-x))) }
	if _, err = run(t, cohorttest.MakeTask(t, "MRI", cases), Options{NoPreprocess: true}); err != nil {
		t.Errorf("a long scan that is cropped: %v", err)
	}
}

func TestSingleSlicesAreRefused(t *testing.T) {
	cases := cohorttest.Cases(3)
	for i := range cases {
		cases[i].Size[0], cases[i].Spacing = 1, [3]float64{1, 1, 1}
		cases[i].Label = func(z, y, x int) int16 { return 1 }
	}
	if _, err := run(t, cohorttest.MakeTask(t, "MRI", cases), Options{}); err == nil || !strings.Contains(err.Error(), "2 voxels or more along every axis") {
		t.Errorf("error %v", err)
	}
}

func TestMemory(t *testing.T) {
	cases := cohorttest.Cases(3)
	cases[2] = cohorttest.Drawn{Size: [3]int{60, 60, 60}, Spacing: [3]float64{1, 1, 1}, Voxel: func(z, y, x int) float32 { return float32(z + 1) }, Label: cohorttest.Ball([3]int{60, 60, 60})}
	f := cohorttest.MakeTask(t, "MRI", cases)
	_, err := run(t, f, Options{Memory: 1 << 20, Workers: 8})
	var large *memory.TooLargeError
	if !errors.As(err, &large) || !strings.Contains(err.Error(), "case c_2") || strings.Contains(err.Error(), "case c_0") {
		t.Errorf("a case larger than the budget: %v", err)
	}
	if large == nil {
		t.FailNow()
	}
	// What the error says is enough is enough.
	var need int64
	for need = large.Need; ; need += 1 << 20 {
		if _, err = run(t, f, Options{Memory: need, Workers: 8, NoPreprocess: true}); err == nil || need > 1<<30 {
			break
		}
	}
	if err != nil || need != large.Need {
		t.Errorf("the error asked for %d bytes; it took %d (%v)", large.Need, need, err)
	}
}

// The advice suffices when followed, for all stages, whichever of them needs most: a case that resampling makes larger,
// one that is cropped to little, many modalities' worth of padding.
func TestMemoryAdviceSuffices(t *testing.T) {
	large := func(size [3]int, spacing [3]float64) cohorttest.Drawn {
		return cohorttest.Drawn{Size: size, Spacing: spacing, Voxel: func(z, y, x int) float32 { return float32(z + y + 1) }, Label: cohorttest.Ball(size)}
	}
	for name, odd := range map[string]cohorttest.Drawn{
		"a large case":             large([3]int{60, 60, 60}, [3]float64{1, 1, 1}),
		"a coarse case":            large([3]int{40, 40, 40}, [3]float64{3, 3, 3}),
		"a fine case, one axis":    large([3]int{90, 20, 20}, [3]float64{0.4, 1, 1}),
		"a case of few voxels":     large([3]int{12, 12, 12}, [3]float64{8, 8, 8}),
		"long and thin, and large": large([3]int{20, 20, 90}, [3]float64{1, 1, 1}),
	} {
		cases := append(cohorttest.Cases(3), odd)
		f := cohorttest.MakeTask(t, "CT", cases)
		_, err := run(t, f, Options{Memory: 1 << 16, Workers: 2})
		var tooLarge *memory.TooLargeError
		if !errors.As(err, &tooLarge) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		advised, ok := tooLarge.Remedies()[0].(remedy.Set)
		if !ok || advised.Option != remedy.Memory {
			t.Fatalf("%s: no advice in %v", name, tooLarge)
		}
		budget, err := memory.Parse(advised.Value)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, f, Options{Memory: budget, Workers: 2}); err != nil {
			t.Errorf("%s: with the advised %s: %v", name, advised.Value, err)
		}
	}
}

func TestCancel(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	loaded, err := task.Load(f, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Preprocess(ctx, loaded, Options{}, progress.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
}

func TestUnwritableOutput(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(2))
	if err := os.MkdirAll(f.Preprocessed, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.PreprocessedTask(cohorttest.Task), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, f, Options{}); err == nil || !strings.Contains(err.Error(), f.PreprocessedTask(cohorttest.Task)) {
		t.Errorf("a file where the output folder should be: %v", err)
	}
}
