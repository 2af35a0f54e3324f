package cohort

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/pkg/nifti"
)

func TestMeasuresOfRawCases(t *testing.T) {
	cases := cohorttest.Cases(3)
	was := cases[1].Voxel
	cases[1].Voxel = func(z, y, x int) float32 { // an offset, a border of nothing, and a NaN inside
		switch {
		case x < 2:
			return 0
		case z == 5 && y == 6 && x == 7:
			return float32(math.NaN())
		}
		return 1e4 + was(z, y, x)
	}
	f := cohorttest.MakeTask(t, "MRI", cases)
	mustRun(t, f, Options{})
	for i, c := range cases {
		p, err := dataset.ReadProperties(f.Stage(cohorttest.Task, plan.DataIdentifier), []string{"c_0", "c_1", "c_2"}[i])
		if err != nil {
			t.Fatal(err)
		}
		image, _ := cohorttest.CaseFiles(f, i)
		stored, err := nifti.ReadImage(image) // spacings are float32 in the file
		if err != nil {
			t.Fatal(err)
		}
		var all, inside []float64
		for z := range c.Size[0] {
			for y := range c.Size[1] {
				for x := range c.Size[2] {
					v := float64(c.Voxel(z, y, x))
					if v != v {
						v = 0
					}
					all = append(all, v)
					if c.Label(z, y, x) > 0 {
						inside = append(inside, v)
					}
				}
			}
		}
		voxel := stored.Spacing[0] * stored.Spacing[1] * stored.Spacing[2]
		m := p.Measures
		for _, v := range []struct {
			what      string
			got, want float64
		}{
			{"ROI volume", m.ROIVolume, voxel * float64(len(inside))}, {"image volume", m.ImageVolume, voxel * float64(len(all))},
			{"ROI mean", m.ROIMean[0], meanOf(inside)}, {"image mean", m.ImageMean[0], meanOf(all)},
			{"ROI sd", m.ROISD[0], sdOf(inside)}, {"image sd", m.ImageSD[0], sdOf(all)},
		} {
			if !(math.Abs(v.got-v.want) <= 1e-9*math.Abs(v.want)) {
				t.Errorf("case %d: %s %.12g, want %.12g", i, v.what, v.got, v.want)
			}
		}
	}
}

func meanOf(v []float64) (sum float64) {
	for _, x := range v {
		sum += x / float64(len(v))
	}
	return sum
}

func sdOf(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += (x - meanOf(v)) * (x - meanOf(v))
	}
	return math.Sqrt(sum / float64(len(v)))
}

// A case from before measures were recorded is redone, and its properties are as those of a new one.
func TestCasesWithoutMeasuresAreRedone(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	p := mustRun(t, f, Options{})
	stage := f.Stage(cohorttest.Task, p.DataIdentifier)
	want, err := os.ReadFile(dataset.PropertiesFile(stage, "c_1"))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(want, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "measures")
	earlier, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dataset.PropertiesFile(stage, "c_1"), earlier, 0o644); err != nil {
		t.Fatal(err)
	}
	touched := cohorttest.Age(t, f.PreprocessedTask(cohorttest.Task))
	mustRun(t, f, Options{})
	if got := touched(); !slices.Equal(sorted(got), []string{"c_1.json", "c_1.npz"}) {
		t.Errorf("written again: %v", got)
	}
	if got, err := os.ReadFile(filepath.Join(stage, "c_1.json")); err != nil || string(got) != string(want) {
		t.Errorf("%v; the properties are\n%s\nwant\n%s", err, got, want)
	}
}
