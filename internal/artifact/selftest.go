package artifact

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Files of the self-test within the artifact.
const (
	selfTestDir  = "self-test"
	expectedFile = "expected.json"
	maskFile     = "mask.nii.gz"
)

// Tolerances of the self-test in float32: probabilities absolutely, logits relative to their size where that exceeds 1.
const (
	probabilityTolerance = 1e-4
	logitTolerance       = 1e-3
)

// maxTestSide bounds the sides of the self-test's image, so that the artifact stays small.
const maxTestSide = 40

// Answer is the network's answer to a case, per label and class.
type Answer struct {
	Probabilities [][]float64 `json:"probabilities"`
	Logits        [][]float64 `json:"logits"`
}

// Machine says what computes.
type Machine struct {
	Device  string // "auto", "cpu", "cuda", "cuda:1"
	Threads int
	GPU     open.GPU
}

// options are those of the self-test, which are also the defaults of the Python package: float32, one pass.
func options(modelDir, checkpoint string, on Machine) predict.Options {
	return predict.Options{Folds: DefaultFolds(modelDir), Checkpoint: checkpoint, Device: on.Device, Threads: on.Threads, GPU: on.GPU, FP32: true, DisableTTA: true}
}

// testCase is the case of the self-test in the artifact dir.
func testCase(dir string, modalities int, masks bool) task.Case {
	c := task.Case{ID: selfTestDir}
	for m := range modalities {
		c.Images = append(c.Images, filepath.Join(dir, selfTestDir, fmt.Sprintf("image_%04d.nii.gz", m)))
	}
	if masks {
		c.Mask = filepath.Join(dir, selfTestDir, maskFile)
	}
	return c
}

// answer predicts the self-test's case of the artifact dir.
func answer(ctx context.Context, dir, modelDir string, o predict.Options, r progress.Reporter) (*Answer, error) {
	m, err := predict.Open(modelDir, o, r)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	result, err := m.Case(ctx, testCase(dir, m.Modalities(), m.WantMasks()))
	if err != nil {
		return nil, err
	}
	return &Answer{result.Probabilities, result.Logits}, nil
}

// Difference is how far two answers are apart.
type Difference struct {
	Probability float64 `json:"probability"` // largest absolute difference
	Logit       float64 `json:"logit"`
	Passed      bool    `json:"passed"`
}

// compare says how far got is from want; an answer of another form never passes.
func compare(got, want *Answer) Difference {
	d := Difference{Passed: len(got.Logits) == len(want.Logits) && len(got.Probabilities) == len(want.Probabilities) && len(got.Logits) == len(got.Probabilities)}
	if !d.Passed {
		return d
	}
	for k := range want.Logits {
		if len(got.Logits[k]) != len(want.Logits[k]) || len(got.Probabilities[k]) != len(want.Probabilities[k]) {
			d.Passed = false
			return d
		}
		for i, w := range want.Probabilities[k] {
			off := math.Abs(got.Probabilities[k][i] - w)
			d.Probability = max(d.Probability, off)
			d.Passed = d.Passed && off <= probabilityTolerance
		}
		for i, w := range want.Logits[k] {
			off := math.Abs(got.Logits[k][i] - w)
			d.Logit = max(d.Logit, off)
			d.Passed = d.Passed && off <= logitTolerance*max(1, math.Abs(w))
		}
	}
	return d
}

// writeTestCase makes up a scan for the plans: blobs, waves and noise in a field of view that fits the network's input,
// on a grid a little coarser than the plans', so that resampling is tested too. Nothing of any patient is in it.
func writeTestCase(dir string, p *plan.Plans) error {
	if err := os.MkdirAll(filepath.Join(dir, selfTestDir), 0o755); err != nil {
		return err
	}
	const coarser = 1.1
	stage := p.Stage()
	g := volume.Geometry{Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	for d, axis := range p.TransposeForward {
		g.Spacing[axis] = stage.CurrentSpacing[d] * coarser
		g.Size[axis] = min(max(int(float64(stage.ImageSize[d])/coarser), 1), maxTestSide)
	}
	c := testCase(dir, len(p.Modalities), p.RealMasks)
	for m, path := range c.Images {
		if err := nifti.WriteImage(path, &volume.Image{Geometry: g, Data: madeUpScan(g, m, intensityOf(p, m))}); err != nil {
			return err
		}
	}
	if c.Mask == "" {
		return nil
	}
	mask := &volume.Mask{Geometry: g, Data: make([]int16, g.Voxels())}
	everyVoxel(g.Size, func(i int, at [3]float64) {
		if depth := math.Sqrt(at[0]*at[0] + at[1]*at[1] + at[2]*at[2]); depth < 0.8 {
			mask.Data[i] = int16(1 + min(int(depth/0.8*float64(p.NumClasses)), p.NumClasses-1)) // shells
		}
	})
	return nifti.WriteMask(c.Mask, mask)
}

// intensity is where a modality's voxels lie.
type intensity struct{ mean, sd float64 }

func intensityOf(p *plan.Plans, m int) intensity {
	if d := p.DatasetProperties; d != nil && m < len(d.IntensityProperties) {
		if s := d.IntensityProperties[m].Statistics; s.SD > 0 {
			return intensity{s.Mean, s.SD}
		}
	}
	return intensity{500, 150}
}

// madeUpScan draws a modality.
func madeUpScan(g volume.Geometry, modality int, of intensity) []float32 {
	rng := rand.New(rand.NewPCG(uint64(modality), 20))
	var waves [6]struct{ k, phase [3]float64 }
	for w := range waves {
		for d := range 3 {
			waves[w].k[d], waves[w].phase[d] = 2+6*rng.Float64(), 2*math.Pi*rng.Float64()
		}
	}
	data := make([]float32, g.Voxels())
	everyVoxel(g.Size, func(i int, at [3]float64) {
		v := -1 + 2*math.Exp(-2*(at[0]*at[0]+at[1]*at[1]+at[2]*at[2]))
		for _, w := range waves {
			product := 1.0
			for d := range 3 {
				product *= math.Cos(w.k[d]*at[d] + w.phase[d])
			}
			v += 0.5 * product
		}
		data[i] = float32(of.mean + of.sd*(v+0.3*rng.NormFloat64()))
		if data[i] == 0 {
			data[i] = float32(of.sd) // 0 would count as background
		}
	})
	return data
}

// everyVoxel calls f with the index of every voxel and its place, -1 to 1 along z, y, x.
func everyVoxel(size [3]int, f func(i int, at [3]float64)) {
	place := func(d, i int) float64 { return (2*float64(i)+1)/float64(size[d]) - 1 }
	i := 0
	for z := range size[0] {
		for y := range size[1] {
			for x := range size[2] {
				f(i, [3]float64{place(0, z), place(1, y), place(2, x)})
				i++
			}
		}
	}
}
