package task

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// geometryTolerance is how far spacing, origin (mm) and direction cosines may differ between files of one case.
const geometryTolerance = 1e-3

// Verify reads every file of the task and checks what dataset.json cannot show: one grid per case over modalities and mask,
// finite voxels, an image that is not zero everywhere, a mask that is not empty and holds declared values only, and no
// file in the folders that belongs to no case. All that is wrong comes back in one *ValidationError. Different
// orientations within the cohort are a warning. Memory is constant; threads files are read at a time (0: all cores).
func (t *Task) Verify(ctx context.Context, threads int, r progress.Reporter) error {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	d := t.Dataset
	r.Stage("verifying dataset integrity", len(d.Cases))
	found := make([]problems, len(d.Cases))
	orientations := make([]string, len(d.Cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(threads)
	for i := range d.Cases {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			v := caseVerifier{t: t, c: &d.Cases[i]}
			v.run(ctx)
			found[i], orientations[i] = v.problems, v.orientation
			if ctx.Err() == nil {
				r.Advance(d.Cases[i].ID)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	all := t.stragglers()
	for _, p := range found {
		all = append(all, p...)
	}
	warnOrientations(d.Cases, orientations, r)
	return all.err(t.Dir)
}

// caseVerifier checks the files of one case.
type caseVerifier struct {
	problems
	t           *Task
	c           *Case
	grid        *volume.Geometry // of the first file
	gridFile    string
	orientation string
	zero        bool
}

func (v *caseVerifier) run(ctx context.Context) {
	v.zero = true
	for _, path := range v.c.Images {
		v.scan(ctx, path, v.image)
	}
	if len(v.problems) == 0 && v.zero {
		v.add(v.c.ID, "image", "every voxel is zero; nothing can be learned from it, remove the case or export it again")
	}
	if v.c.Mask != "" {
		v.scan(ctx, v.c.Mask, v.mask)
	}
}

// rel is the path within the task folder.
func (v *caseVerifier) rel(path string) string {
	if rel, err := filepath.Rel(v.t.Dir, path); err == nil {
		return filepath.ToSlash(rel)
	}
	return path
}

// scan reads one file, compares its grid and lets check look at its voxels; check's result is called at the end.
func (v *caseVerifier) scan(ctx context.Context, path string, check func(path string) (visit func([]float32), done func())) {
	visit, done := check(path)
	first := true
	err := imagefile.Scan(path, func(g volume.Geometry, values []float32) error {
		if first {
			first = false
			v.compare(path, g)
		}
		visit(values)
		return ctx.Err()
	})
	if err != nil {
		v.add(v.c.ID, "", "%s", strings.Replace(err.Error(), path, v.rel(path), 1))
		return
	}
	done()
}

// image counts voxels that are no numbers.
func (v *caseVerifier) image(path string) (func([]float32), func()) {
	bad, at, index := 0, 0, 0
	visit := func(values []float32) {
		for i, x := range values {
			if x != 0 {
				v.zero = false
			}
			if x-x != 0 { // NaN or infinite
				if bad == 0 {
					at = index + i
				}
				bad++
			}
		}
		index += len(values)
	}
	return visit, func() {
		if bad > 0 {
			v.add(v.c.ID, v.rel(path), "%d voxels are NaN or infinite, the first at index %s, expected numbers; replace them", bad, v.position(at))
		}
	}
}

// position is a voxel's index as x, y, z.
func (v *caseVerifier) position(i int) string {
	s := v.grid.Size
	return fmt.Sprintf("(%d, %d, %d)", i%s[2], i/s[2]%s[1], i/s[2]/s[1])
}

// mask collects the values of a mask.
func (v *caseVerifier) mask(path string) (func([]float32), func()) {
	declared := float32(len(v.t.Dataset.ROILabels))
	undeclared := map[float32]int{}
	foreground, background := false, false
	last := float32(0)
	visit := func(values []float32) {
		for _, x := range values {
			if x == last && x == 0 {
				background = true
				continue
			}
			last = x
			switch {
			case x == 0:
				background = true
			case x > 0 && x < declared && x == float32(math.Trunc(float64(x))):
				foreground = true
			case len(undeclared) < 10:
				if x != x {
					x = float32(math.Inf(1)) // NaN is no key
				}
				undeclared[x]++
			}
		}
	}
	return visit, func() {
		if len(undeclared) > 0 {
			var values []string
			for x := range undeclared {
				values = append(values, fmt.Sprintf("%g", x))
			}
			slices.Sort(values)
			v.add(v.c.ID, v.rel(path), "holds the values %s, but labels declares 0 to %d; declare them or correct the mask", strings.Join(values, ", "), len(v.t.Dataset.ROILabels)-1)
		}
		if !foreground && len(undeclared) == 0 {
			v.add(v.c.ID, v.rel(path), "the mask is empty, expected a region of interest; draw it or remove the case")
		}
		if !v.t.Dataset.HasMasks && (background || len(undeclared) > 0) {
			v.add(v.c.ID, v.rel(path), "holds more than foreground, but %s says that the masks were generated; remove %s if the masks are real", OriginalFile, OriginalFile)
		}
	}
}

// compare checks the grid of a file against the first file's.
func (v *caseVerifier) compare(path string, g volume.Geometry) {
	if v.grid == nil {
		v.grid, v.gridFile = &g, path
		v.orientation = nifti.Orientation(g)
		return
	}
	const remedy = "the files of a case must share one grid; resample one onto the other"
	a, b := v.rel(path), v.rel(v.gridFile)
	switch {
	case g.Size != v.grid.Size:
		v.add(v.c.ID, a, "size %s, but %s has %s; %s", xyz(g.Size), b, xyz(v.grid.Size), remedy)
	case differ(g.Spacing[:], v.grid.Spacing[:]):
		v.add(v.c.ID, a, "spacing (z, y, x) %.6g mm, but %s has %.6g; %s", g.Spacing, b, v.grid.Spacing, remedy)
	case differ(g.Origin[:], v.grid.Origin[:]):
		v.add(v.c.ID, a, "origin %.6g mm, but %s has %.6g; %s", g.Origin, b, v.grid.Origin, remedy)
	case differ(g.Direction[:], v.grid.Direction[:]):
		v.add(v.c.ID, a, "direction %.4g, but %s has %.4g; %s", g.Direction, b, v.grid.Direction, remedy)
	}
}

// xyz writes a size as image viewers do.
func xyz(size [3]int) string { return fmt.Sprintf("%dx%dx%d", size[2], size[1], size[0]) }

func differ(a, b []float64) bool {
	for i := range a {
		if !(math.Abs(a[i]-b[i]) <= geometryTolerance) {
			return true
		}
	}
	return false
}

// stragglers are image files in the folders of images and masks that belong to no case.
func (t *Task) stragglers() problems {
	used := map[string]bool{}
	dirs := map[string]bool{filepath.Join(t.Dir, ImagesDir): true, filepath.Join(t.Dir, LabelsDir): true}
	for _, c := range t.Dataset.Cases {
		for _, path := range append(slices.Clone(c.Images), c.Mask) {
			if path != "" {
				used[path] = true
				dirs[filepath.Dir(path)] = true
			}
		}
	}
	var sorted []string
	for dir := range dirs {
		sorted = append(sorted, dir)
	}
	slices.Sort(sorted)
	var p problems
	for _, dir := range sorted {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // labelsTr need not exist
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if _, ext := imagefile.SplitExtension(e.Name()); ext != "" && !strings.HasPrefix(e.Name(), ".") && !used[path] {
				rel, _ := filepath.Rel(t.Dir, path)
				p.add("", filepath.ToSlash(rel), "belongs to no case of dataset.json; list the case, or move the file away")
			}
		}
	}
	return p
}

// warnOrientations says which cases are stored in another orientation than most.
func warnOrientations(cases []Case, orientations []string, r progress.Reporter) {
	counts := map[string]int{}
	for _, o := range orientations {
		if o != "" {
			counts[o]++
		}
	}
	if len(counts) < 2 {
		return
	}
	most := ""
	for o, n := range counts {
		if n > counts[most] || n == counts[most] && o < most {
			most = o
		}
	}
	var odd []string
	for i, o := range orientations {
		if o != "" && o != most {
			odd = append(odd, cases[i].ID+" "+o)
		}
	}
	r.Warn("%d of %d cases are not stored in the orientation of the others (%s): %s; reorient them, axes are not turned when reading",
		len(odd), len(cases), most, strings.Join(odd, ", "))
}
