package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/volume"
)

// Bounds of what plans may hold; far beyond what any cohort needs, near enough to refuse nonsense.
const (
	maxLabels  = 1 << 12
	maxClasses = 1 << 14 // so that ROI labels fit int16
	maxBatch   = 1 << 16
)

// minSide is the shortest axis that the network takes (internal/ops checks it): its blocks each look at neighbours on
// every axis.
const minSide = 2

// checkShape refuses a shape of preprocessed cases that the network cannot take.
func checkShape(s [3]int) error {
	if min(s[0], s[1], s[2]) < minSide {
		return fmt.Errorf("image size %s, but the network needs %d voxels or more along every axis; it is for volumes, not for single slices, so stack the slices, or check the masks and the spacings in the headers",
			volume.ShapeText(s), minSide)
	}
	return nil
}

// fits refuses plans of which not even one case fits into the free memory, in bytes: nothing can be done by them, and
// whoever tried would be killed by the system.
func (p *Plans) fits(free int64) error {
	size := p.Stage().ImageSize
	need := 4 * float64(p.InputChannels()) * float64(size[0]) * float64(size[1]) * float64(size[2])
	if need > float64(free) {
		return fmt.Errorf("image_size %v with %d channels: one case takes %s, but %s of memory are free; correct the plans, or plan the task again",
			size, p.InputChannels(), memory.Format(int64(need)), memory.Format(free))
	}
	return nil
}

// Check reports the first number or name that later code could not rely on.
func (p *Plans) Check() error {
	if len(p.PlansPerStage) != 1 {
		return fmt.Errorf("plans_per_stage has %d entries, expected 1", len(p.PlansPerStage))
	}
	s := p.PlansPerStage[0]
	if err := errors.Join(fingerprint.CheckSize("image_size", s.ImageSize), fingerprint.CheckSpacing("current_spacing", s.CurrentSpacing), checkShape(s.ImageSize)); err != nil {
		return err
	}
	if s.BatchSize < 1 || s.BatchSize > maxBatch {
		return fmt.Errorf("batch_size is %d, expected 1 to %d", s.BatchSize, maxBatch)
	}
	for d := range 3 {
		if !slices.Contains(p.TransposeForward[:], d) || !slices.Contains(p.TransposeBackward[:], d) || p.TransposeBackward[p.TransposeForward[d]] != d {
			return fmt.Errorf("transpose_forward %v and transpose_backward %v are not an order of three axes and its inverse", p.TransposeForward, p.TransposeBackward)
		}
	}
	n := len(p.Modalities)
	if n < 1 || n > fingerprint.MaxModalities {
		return fmt.Errorf("%d modalities, expected 1 to %d", n, fingerprint.MaxModalities)
	}
	if len(p.NormalizationSchemes) != n || len(p.UseMaskForNorm) != n {
		return fmt.Errorf("%d normalization_schemes and %d use_mask_for_norm for %d modalities", len(p.NormalizationSchemes), len(p.UseMaskForNorm), n)
	}
	for i, scheme := range p.NormalizationSchemes {
		switch scheme {
		case NormNone, NormNonCT:
		case NormCT:
			if p.DatasetProperties == nil || len(p.DatasetProperties.IntensityProperties) != n {
				return fmt.Errorf("modality %d is normalised as CT, but dataset_properties holds no intensityproperties", i)
			}
		default:
			return fmt.Errorf("normalization scheme %q of modality %d, expected %s, %s or %s", scheme, i, NormCT, NormNonCT, NormNone)
		}
	}
	if p.DatasetProperties != nil {
		if err := p.DatasetProperties.Check(); err != nil {
			return fmt.Errorf("dataset_properties: %w", err)
		}
	}
	if p.NumClasses < 1 || p.NumClasses > maxClasses {
		return fmt.Errorf("num_classes is %d, expected 1 to %d ROI labels", p.NumClasses, maxClasses)
	}
	if len(p.Labels) < 1 || len(p.Labels) > maxLabels {
		return fmt.Errorf("%d classification_labels, expected 1 to %d", len(p.Labels), maxLabels)
	}
	for i, l := range p.Labels {
		if len(l.Values) < 1 || len(l.Values) > maxClasses {
			return fmt.Errorf("classification label %d (%q) has %d values", i, l.Name, len(l.Values))
		}
	}
	if p.DataIdentifier == "" || !plainName(p.DataIdentifier) {
		return fmt.Errorf("data_identifier is %q, expected a plain name", p.DataIdentifier)
	}
	return nil
}

// plainName reports whether s can be a file's name without leaving its folder.
func plainName(s string) bool {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return s != "" && s[0] != '.'
}
