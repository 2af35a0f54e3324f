package cohort

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// scan writes a scan of smooth structures and noise as int16, and a mask of three labels in the middle of it.
func scan(tb testing.TB, dir string, size [3]int, spacing [3]float64) task.Case {
	tb.Helper()
	g := volume.Geometry{Size: size, Spacing: spacing, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	rng := rand.New(rand.NewPCG(9, 9))
	data, mask := make([]int16, g.Voxels()), make([]int16, g.Voxels())
	i := 0
	for z := range size[0] {
		for y := range size[1] {
			for x := range size[2] {
				wave := math.Sin(float64(z)/9) + math.Cos(float64(y)/13)*math.Sin(float64(x)/11)
				data[i] = int16(500 + 200*wave + 20*rng.NormFloat64())
				r := 0.0
				for d, v := range [3]int{z, y, x} {
					c := 2*float64(v)/float64(size[d]-1) - 1
					r = max(r, math.Abs(c))*0.5 + math.Hypot(r, c)*0.5
				}
				switch {
				case r < 0.3:
					mask[i] = 3
				case r < 0.6:
					mask[i] = 2
				case r < 0.99:
					mask[i] = 1
				}
				i++
			}
		}
	}
	c := task.Case{ID: "scan", Images: []string{filepath.Join(dir, "scan_0000.nii.gz")}, Mask: filepath.Join(dir, "scan.nii.gz")}
	if err := nifti.WriteInt16(c.Images[0], g, data); err != nil {
		tb.Fatal(err)
	}
	if err := nifti.WriteInt16(c.Mask, g, mask); err != nil {
		tb.Fatal(err)
	}
	return c
}

// BenchmarkCase takes scans from their files to their preprocessed files, without the look for the fingerprint.
func BenchmarkCase(b *testing.B) {
	for _, bench := range []struct {
		name     string
		modality string
		size     [3]int
		spacing  [3]float64
		target   [3]float64
		shape    [3]int
	}{
		{"MRI_256x256x160", "MRI", [3]int{160, 256, 256}, [3]float64{1.3, 1.3, 1.3}, [3]float64{1, 1, 1}, [3]int{208, 333, 333}},
		{"CT_512x512x300", "CT", [3]int{300, 512, 512}, [3]float64{1.5, 0.8, 0.8}, [3]float64{2.7, 1.44, 1.44}, [3]int{167, 285, 285}},
		{"anisotropic_320x320x40", "MRI", [3]int{40, 320, 320}, [3]float64{4, 0.7, 0.7}, [3]float64{3.6, 0.6, 0.6}, [3]int{45, 374, 374}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			dir := b.TempDir()
			c := scan(b, dir, bench.size, bench.spacing)
			p := &plan.Plans{
				Modalities: indexed.List[string]{bench.modality}, NormalizationSchemes: indexed.List[string]{plan.NormNonCT},
				UseMaskForNorm: indexed.List[bool]{false}, TransposeForward: [3]int{0, 1, 2}, NumClasses: 3,
				PlansPerStage: indexed.List[plan.StagePlan]{{ImageSize: bench.shape, CurrentSpacing: bench.target}},
				DatasetProperties: &fingerprint.Fingerprint{IntensityProperties: indexed.List[*fingerprint.Intensity]{{Statistics: fingerprint.Statistics{
					Mean: 500, SD: 150, Percentile00: 100, Percentile99: 900}}}},
			}
			if bench.modality == "CT" {
				p.NormalizationSchemes[0] = plan.NormCT
			}
			for b.Loop() {
				out, err := preprocess.Case(b.Context(), c, p)
				if err != nil {
					b.Fatal(err)
				}
				if err := (&cohort{job: &job{task: &task.Task{Dir: dir, Dataset: &task.Dataset{}}}}).save(dir, out, c, "", nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
