package plan

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/resample"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// Numbers of the reference's planner (ClassificationExperimentPlanner3D over nnU-Net's ExperimentPlanner3D_v21).
const (
	voxelBudget          = 240 * 240 * 240 // what the reference found to fit its card with a batch of 2
	minBatch             = 2
	anisotropicTarget    = 10   // percentile of the spacings of an anisotropic axis
	clampedExcess        = 1e-5 // mm added to an anisotropic axis that would become the finer one
	maskForNormThreshold = 3. / 4
)

// Subject is what the plans take from the task rather than from its images.
type Subject struct {
	TaskName  string
	Labels    []task.Label
	RealMasks bool
}

// Make plans a task from its fingerprint, with the reference's rules.
func Make(fp *fingerprint.Fingerprint, s Subject) (*Plans, error) {
	if err := fp.Check(); err != nil {
		return nil, err
	}
	target := targetSpacing(fp)
	var largest [3]float64
	for i, size := range fp.AllSizes {
		for d := range 3 {
			largest[d] = max(largest[d], fp.AllSpacings[i][d]/target[d]*float64(size[d]))
		}
	}
	forward := [3]int{coarsest(target)}
	at := 1
	for d := range 3 {
		if d != forward[0] {
			forward[at] = d
			at++
		}
	}
	var backward [3]int
	for i, d := range forward {
		backward[d] = i
	}
	for d := range 3 {
		if largest[d] > fingerprint.MaxSide*float64(fingerprint.MaxSide) {
			return nil, fmt.Errorf("the largest case would have %.3g voxels along one axis at the cohort's median spacing %v mm; check the spacings in the image headers", largest[d], target)
		}
	}
	stage := makeStage(volume.Permute(target, forward), volume.Permute(largest, forward))
	if err := checkShape(stage.ImageSize); err != nil {
		return nil, err
	}
	p := &Plans{
		NumStages:               1,
		NumModalities:           len(fp.Modalities),
		Modalities:              fp.Modalities,
		DatasetProperties:       fp,
		OriginalSpacings:        fp.AllSpacings,
		OriginalSizes:           fp.AllSizes,
		OriginalOrientations:    fp.AllOrientations,
		PreprocessedDataFolder:  path.Join("preprocessed", s.TaskName),
		NumClasses:              len(fp.AllClasses),
		AllClasses:              fp.AllClasses,
		AllClassificationLabels: fp.AllClassificationLabels,
		TransposeForward:        forward,
		TransposeBackward:       backward,
		DataIdentifier:          DataIdentifier,
		PlansPerStage:           indexed.List[StagePlan]{stage},
		PreprocessorName:        preprocessorName,
		TaskName:                s.TaskName,
		Labels:                  s.Labels,
		RealMasks:               s.RealMasks,
	}
	for _, l := range fp.AllClassificationLabels {
		p.NumClassificationClasses = append(p.NumClassificationClasses, len(l))
	}
	for _, m := range fp.Modalities {
		p.NormalizationSchemes = append(p.NormalizationSchemes, normalisation(m))
		p.UseMaskForNorm = append(p.UseMaskForNorm, useMask(m, fp.SizeReductions))
	}
	p.listFiles(fp.CaseIDs)
	return p, nil
}

// listFiles names the preprocessed files of the cases.
func (p *Plans) listFiles(cases []string) {
	p.ListOfNpzFiles = nil
	for _, id := range cases {
		p.ListOfNpzFiles = append(p.ListOfNpzFiles, path.Join(p.DataIdentifier+"_stage0", id+".npz"))
	}
}

// Follow returns plans with the settings of given (a trained task's) for the task that own was made for, under an
// identifier of their own, as nnU-Net's ExperimentPlanner3D_v21_Pretrained. The classification labels, the ROI labels
// and the masks' reality are the task's own.
func Follow(given, own *Plans, identifier string) (*Plans, error) {
	if !plainName(identifier) {
		return nil, fmt.Errorf("identifier %q for the given plans: expected letters, digits, dots, - and _", identifier)
	}
	if len(given.Modalities) != len(own.Modalities) {
		return nil, fmt.Errorf("the given plans are for %d modalities (%s), task %s has %d (%s)", len(given.Modalities),
			strings.Join(given.Modalities, ", "), own.TaskName, len(own.Modalities), strings.Join(own.Modalities, ", "))
	}
	p := *given
	p.DataIdentifier = pretrainedDataName + identifier
	p.NumClasses, p.AllClasses = own.NumClasses, own.AllClasses
	p.NumClassificationClasses, p.AllClassificationLabels = own.NumClassificationClasses, own.AllClassificationLabels
	p.TaskName, p.Labels, p.RealMasks, p.MasksUnknown = own.TaskName, own.Labels, own.RealMasks, own.MasksUnknown
	p.PreprocessedDataFolder = own.PreprocessedDataFolder
	p.OriginalSizes, p.OriginalSpacings = own.OriginalSizes, own.OriginalSpacings
	p.OriginalOrientations = own.OriginalOrientations
	p.listFiles(own.DatasetProperties.CaseIDs)
	return &p, nil
}

// targetSpacing is the median spacing per axis, but for a coarse axis of few slices the 10th percentile.
func targetSpacing(fp *fingerprint.Fingerprint) [3]float64 {
	var target, size [3]float64
	column := func(d int, of func(i, d int) float64) []float64 {
		out := make([]float64, len(fp.AllSizes))
		for i := range out {
			out[i] = of(i, d)
		}
		return out
	}
	spacing := func(i, d int) float64 { return fp.AllSpacings[i][d] }
	for d := range 3 {
		target[d] = fingerprint.Percentile(column(d, spacing), 50)
		size[d] = fingerprint.Percentile(column(d, func(i, d int) float64 { return float64(fp.AllSizes[i][d]) }), 50)
	}
	worst := coarsest(target)
	otherSpacing, otherSize := 0.0, math.Inf(1)
	for d := range 3 {
		if d != worst {
			otherSpacing = max(otherSpacing, target[d])
			otherSize = min(otherSize, size[d])
		}
	}
	if target[worst] > resample.AnisotropyThreshold*otherSpacing && size[worst]*resample.AnisotropyThreshold < otherSize {
		t := fingerprint.Percentile(column(worst, spacing), anisotropicTarget)
		if t < otherSpacing {
			t = otherSpacing + clampedExcess
		}
		target[worst] = t
	}
	return target
}

// coarsest is the first axis of the largest spacing.
func coarsest(spacing [3]float64) int {
	worst := 0
	for d := 1; d < 3; d++ {
		if spacing[d] > spacing[worst] {
			worst = d
		}
	}
	return worst
}

// makeStage fits the largest shape into the voxel budget and sets the batch size.
func makeStage(spacing, largest [3]float64) StagePlan {
	s := StagePlan{OriginalSpacing: spacing, CurrentSpacing: spacing}
	voxels := 1.0
	for d := range 3 {
		s.ImageSize[d] = int(math.Ceil(largest[d]))
		voxels *= float64(s.ImageSize[d])
	}
	ratio := math.Cbrt(voxelBudget / voxels)
	if ratio < 1 {
		voxels = 1
		for d := range 3 {
			s.ImageSize[d] = int(math.Ceil(float64(s.ImageSize[d]) * ratio))
			s.CurrentSpacing[d] = spacing[d] / ratio
			voxels *= float64(s.ImageSize[d])
		}
		ratio = voxelBudget / voxels // not its cube root: the reference's own inconsistency
	}
	s.BatchSize = max(minBatch, int(math.Floor(minBatch*ratio)))
	s.DoDummy2D = float64(slices.Max(s.ImageSize[:]))/float64(s.ImageSize[0]) > resample.AnisotropyThreshold
	return s
}

func normalisation(modality string) string {
	switch modality {
	case "CT", "ct":
		return NormCT
	case "noNorm":
		return NormNone
	}
	return NormNonCT
}

// useMask decides whether only voxels inside the mask take part in a modality's normalisation: where cropping took a
// quarter of the median image, the rest is likely to hold much empty space as well.
func useMask(modality string, reductions map[string]float64) bool {
	if strings.Contains(modality, "CT") {
		return false
	}
	all := make([]float64, 0, len(reductions))
	for _, r := range reductions {
		all = append(all, r)
	}
	return len(all) > 0 && numeric.Median(all) < maskForNormThreshold
}
