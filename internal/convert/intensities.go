package convert

import (
	"context"
	"fmt"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
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
	var images [][]File
	for _, row := range rows {
		images = append(images, row.Images)
	}
	return s.cohort.nameModalities(ctx, images, most, r)
}

// nameModalities names modalities as DICOM does, or else tells CT images from others by their Hounsfield units, in a
// few cases.
func (c *Cohort) nameModalities(ctx context.Context, images [][]File, modalities int, r progress.Reporter) error {
	n := min(len(images), sampled)
	r.Stage("looking at intensities", n*modalities)
	for m := range modalities {
		named, done, err := c.dicomModality(images, m)
		if err != nil {
			return err
		}
		if done {
			c.Modalities = append(c.Modalities, named)
			continue
		}
		var hounsfield, other []string
		for k := range n {
			f := images[k*len(images)/n][m]
			is := f.modality == modalityCT
			if f.modality == "" {
				if is, err = looksLikeCT(ctx, f.Path); err != nil {
					return err
				}
			}
			r.Advance("")
			if is {
				hounsfield = append(hounsfield, f.Path)
			} else {
				other = append(other, f.Path)
			}
		}
		name := modalityUnknown
		switch {
		case len(other) == 0:
			name = modalityCT
			c.Notes = append(c.Notes, remedy.Notef("modality %d: CT, as the images hold Hounsfield units", m).See(remedy.Set{Option: remedy.Modalities}))
		case len(hounsfield) == 0:
			c.Notes = append(c.Notes, remedy.Notef("modality %d: %q, normalised case by case (CT would be normalised by the cohort's Hounsfield units)", m, name).See(remedy.Set{Option: remedy.Modalities}))
		default:
			return remedy.With(fmt.Errorf("modality %d: %s looks like CT in Hounsfield units, %s does not; say what the images are", m, hounsfield[0], other[0]), remedy.Set{Option: remedy.Modalities})
		}
		c.Modalities = append(c.Modalities, name)
	}
	return nil
}

// dicomModality is the modality that all DICOM series have; done is false if some images are of other formats.
func (c *Cohort) dicomModality(images [][]File, m int) (name string, done bool, err error) {
	first := ""
	for _, of := range images {
		f := of[m]
		switch {
		case f.modality == "":
			return "", false, nil
		case name == "":
			name, first = f.modality, f.Path
		case name != f.modality:
			return "", false, remedy.With(fmt.Errorf("modality %d: %s is %s, but %s is %s; convert cohorts of one modality, or say what the images are", m, first, name, f.Path, f.modality), remedy.Set{Option: remedy.Modalities})
		}
	}
	c.Notes = append(c.Notes, remedy.Notef("modality %d: %s, as DICOM has it", m, name).See(remedy.Set{Option: remedy.Modalities}))
	return name, true, nil
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
