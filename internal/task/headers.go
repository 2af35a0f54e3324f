package task

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// headersAtATime is how many headers are read at a time, for each processor: reading waits for the disk.
const headersAtATime = 4

// CheckHeaders reads the header of every file of the task, which takes little time, and checks what can be known
// without a voxel: one grid per case over modalities and mask, a spacing that the header does not contradict itself
// about, and one that is not far from the cohort's. All that is wrong comes back in one *ValidationError. The last two
// are only warned of for the cases that are Allowed. Different orientations within the cohort, and images that belong
// to no case, are warnings.
func (t *Task) CheckHeaders(ctx context.Context, allow []string, r progress.Reporter) error {
	cases := t.Dataset.Cases
	r.Stage("reading the headers", len(cases))
	looks := make([]headerLook, len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(headersAtATime * runtime.GOMAXPROCS(0))
	for i := range cases {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			looks[i] = t.lookAtHeaders(cases[i])
			r.Advance(cases[i].ID)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var all problems
	var spacings [][3]float64
	for _, l := range looks {
		all = append(all, l.problems...)
		if l.image != nil {
			spacings = append(spacings, l.image.Spacing)
		}
	}
	median := integrity.MedianSpacing(spacings)
	orientations := make([]string, len(cases))
	for i, l := range looks {
		if l.image == nil {
			continue
		}
		orientations[i] = nifti.Orientation(l.image.Geometry)
		var doubts problems
		doubts = append(doubts, l.doubts...)
		if far := integrity.FarSpacing(l.image.Spacing, median); far != "" && len(l.doubts) == 0 {
			doubts.add(cases[i].ID, t.rel(cases[i].Images[0]), "%s, or allow it as an outlier if it is right", far)
			doubts.see(remedy.Set{Option: remedy.AllowOutliers, Value: cases[i].ID})
		}
		if !Allowed(allow, cases[i].ID) {
			all = append(all, doubts...)
			continue
		}
		for _, d := range doubts {
			r.Warn("%s", d)
		}
	}
	warnOrientations(cases, orientations, r)
	return all.err(t.Dir)
}

// AllowAll stands for every case in a list of cases that may be outliers.
const AllowAll = "all"

// Allowed reports whether a case may be an outlier by the list allow, which holds cases or AllowAll.
func Allowed(allow []string, id string) bool {
	return slices.Contains(allow, id) || slices.Contains(allow, AllowAll)
}

// headerLook is what the headers of a case show.
type headerLook struct {
	problems                   // what cannot be
	doubts   problems          // what is hardly meant
	image    *imagefile.Header // of the first modality; nil if it cannot be read
}

func (t *Task) lookAtHeaders(c Case) headerLook {
	var l headerLook
	var grid *volume.Geometry
	files := c.Images
	if c.Mask != "" && t.Dataset.HasMasks { // generated masks follow their images
		files = append(slices.Clone(files), c.Mask)
	}
	for k, path := range files {
		h, err := imagefile.ReadHeader(path)
		if err != nil {
			l.add(c.ID, "", "%v", err)
			continue
		}
		if k == 0 {
			l.image = &h
		}
		if h.SpacingDoubt != "" && k < len(c.Images) {
			l.doubts.add(c.ID, t.rel(path), "%s; correct the header, or allow it as an outlier to take pixdim (1 mm where it is 0), as ITK does", h.SpacingDoubt)
			l.doubts.see(remedy.Set{Option: remedy.AllowOutliers, Value: c.ID})
		}
		if grid == nil {
			grid = &h.Geometry
			continue
		}
		wrong := integrity.GridMismatch(h.Geometry, t.rel(files[0]), *grid)
		if path == c.Mask {
			// A mask that lies elsewhere is warned of when it is read.
			wrong, _ = integrity.MaskMismatch(h.Geometry, t.rel(files[0]), *grid)
		}
		if wrong != "" {
			l.add(c.ID, t.rel(path), "%s", wrong)
		}
	}
	return l
}

// rel is a file's path within the task folder.
func (t *Task) rel(path string) string {
	if rel, err := filepath.Rel(t.Dir, path); err == nil {
		return filepath.ToSlash(rel)
	}
	return path
}
