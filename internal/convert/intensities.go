package convert

import (
	"context"
	"fmt"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

const (
	modalityCT      = "CT"
	modalityUnknown = "unknown"

	sampled = 8    // cases that are looked at for the kind of images
	airHU   = -900 // Hounsfield units: below it is air
	boneHU  = 200  // and above it bone or contrast medium
)

// modalities settles the number of modalities, and what they are called.
func (s *sheet) modalities(ctx context.Context, rows []*row, r progress.Reporter) error {
	counts := map[int][]string{}
	for _, row := range rows {
		counts[len(row.Images)] = append(counts[len(row.Images)], row.ID)
	}
	most := 0
	for n := range counts {
		if len(counts[n]) > len(counts[most]) || len(counts[n]) == len(counts[most]) && n > most {
			most = n
		}
	}
	var p problems
	for _, row := range rows {
		if n := len(row.Images); n != most {
			p.add(task.QuoteID(row.ID), "image", fmt.Sprintf("%d images, but %d cases have %d; every case needs every modality", n, len(counts[most]), most))
		}
	}
	if err := p.err(s.cohort.Source); err != nil {
		return err
	}
	for _, m := range s.Modalities {
		s.cohort.Modalities = append(s.cohort.Modalities, m.Name)
	}
	if len(s.Modalities) > 0 {
		return nil
	}
	return s.cohort.nameModalities(ctx, func(i, m int) string { return rows[i].Images[m].Path }, len(rows), most, r)
}

// nameModalities tells CT images from others by their Hounsfield units, in a few cases.
func (c *Cohort) nameModalities(ctx context.Context, path func(i, m int) string, cases, modalities int, r progress.Reporter) error {
	n := min(cases, sampled)
	r.Stage("looking at intensities", n*modalities)
	for m := range modalities {
		var hounsfield, other []string
		for k := range n {
			file := path(k*cases/n, m)
			is, err := looksLikeCT(ctx, file)
			if err != nil {
				return err
			}
			r.Advance("")
			if is {
				hounsfield = append(hounsfield, file)
			} else {
				other = append(other, file)
			}
		}
		name := modalityUnknown
		switch {
		case len(other) == 0:
			name = modalityCT
			c.Notes = append(c.Notes, fmt.Sprintf("modality %d: CT, as the images hold Hounsfield units (--modalities names it otherwise)", m))
		case len(hounsfield) == 0:
			c.Notes = append(c.Notes, fmt.Sprintf("modality %d: %q, normalised case by case (--modalities names it; CT would be normalised by the cohort's Hounsfield units)", m, name))
		default:
			return fmt.Errorf("modality %d: %s looks like CT in Hounsfield units, %s does not; say what the images are with --modalities NAME", m, hounsfield[0], other[0])
		}
		c.Modalities = append(c.Modalities, name)
	}
	return nil
}

// looksLikeCT reports whether an image holds both air and bone in Hounsfield units.
func looksLikeCT(ctx context.Context, path string) (bool, error) {
	air, bone := false, false
	err := imagefile.Scan(path, func(_ volume.Geometry, values []float32) error {
		for _, v := range values {
			air, bone = air || v <= airHU, bone || v >= boneHU
		}
		if air && bone {
			return imagefile.ErrStop
		}
		return ctx.Err()
	})
	return air && bone, err
}
