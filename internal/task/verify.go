package task

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/volume"
)

// Verify reads every file of the task to the end and checks what dataset.json and the headers cannot show: images that
// are not zero everywhere, masks that are not empty, lie where their images do and hold declared values only, and no
// image in the folders that belongs to no case. The external test set, if there is one, is checked likewise, and so are
// its headers. All that is wrong comes back in one *ValidationError. Memory is constant; threads files are read at a
// time (0: all cores). Headers are for CheckHeaders. watch, unless nil, is shown every image.
func (t *Task) Verify(ctx context.Context, threads int, watch Watch, r progress.Reporter) error {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	d := t.Dataset
	cases := slices.Concat(d.Cases, d.Test)
	r.Stage("verifying dataset integrity", len(cases))
	found := make([]problems, len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(threads)
	for i := range cases {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			v := caseVerifier{t: t, c: &cases[i], watch: watch, test: i >= len(d.Cases)}
			if v.test {
				v.problems = t.lookAtHeaders(cases[i]).problems
			}
			if len(v.problems) == 0 {
				v.run(ctx)
			}
			found[i] = v.problems
			if ctx.Err() == nil {
				r.Advance(cases[i].ID)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	all := append(t.stragglers(), d.testProblems...)
	for _, p := range found {
		all = append(all, p...)
	}
	return all.err(t.Dir)
}

// Watch is shown an image of a case, of the external test set or not: visit takes its voxels in order, done its end.
type Watch func(c Case, modality int, test bool) (visit func(g volume.Geometry, values []float32), done func())

// caseVerifier checks the files of one case.
type caseVerifier struct {
	problems
	t     *Task
	c     *Case
	watch Watch
	test  bool
	zero  bool
}

func (v *caseVerifier) run(ctx context.Context) {
	v.zero = true
	for m, path := range v.c.Images {
		visit, done := func(volume.Geometry, []float32) {}, func() {}
		if v.watch != nil {
			visit, done = v.watch(*v.c, m, v.test)
		}
		v.scan(ctx, path, visit, func(path string) (func([]float32), func()) {
			look, _ := v.image(path)
			return look, done
		})
	}
	if len(v.problems) == 0 && v.zero {
		v.add(v.c.ID, "image", "every voxel is zero; nothing can be learned from it, remove the case or export it again")
	}
	if v.c.Mask != "" {
		v.maskPlace()
		v.scan(ctx, v.c.Mask, func(volume.Geometry, []float32) {}, v.mask)
	}
}

// maskPlace refuses a mask whose origin is not that of its image, which is otherwise only warned of.
func (v *caseVerifier) maskPlace() {
	image, err := imagefile.ReadHeader(v.c.Images[0])
	if err != nil {
		return // reported already
	}
	if mask, err := imagefile.ReadHeader(v.c.Mask); err == nil {
		if _, elsewhere := integrity.MaskMismatch(mask.Geometry, v.t.rel(v.c.Images[0]), image.Geometry); elsewhere != "" {
			v.add(v.c.ID, v.t.rel(v.c.Mask), "%s", elsewhere)
		}
	}
}

// scan reads one file and lets watch and check look at its voxels; check's result is called at the end.
func (v *caseVerifier) scan(ctx context.Context, path string, watch func(volume.Geometry, []float32), check func(path string) (visit func([]float32), done func())) {
	visit, done := check(path)
	err := imagefile.Scan(path, func(g volume.Geometry, values []float32) error {
		visit(values)
		watch(g, values)
		return ctx.Err()
	})
	if err != nil {
		v.add(v.c.ID, "", "%s", strings.Replace(err.Error(), path, v.t.rel(path), 1))
		return
	}
	done()
}

// image looks for voxels that are not zero.
func (v *caseVerifier) image(string) (func([]float32), func()) {
	visit := func(values []float32) {
		for _, x := range values {
			if x != 0 {
				v.zero = false
				return
			}
		}
	}
	return visit, func() {}
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
			v.add(v.c.ID, v.t.rel(path), "holds the values %s, but labels declares 0 to %d; declare them or correct the mask", strings.Join(values, ", "), len(v.t.Dataset.ROILabels)-1)
		}
		if !foreground && len(undeclared) == 0 {
			v.add(v.c.ID, v.t.rel(path), "the mask is empty, expected a region of interest; draw it or remove the case")
		}
		if !v.t.Dataset.HasMasks && (background || len(undeclared) > 0) {
			v.add(v.c.ID, v.t.rel(path), "holds more than foreground, but %s says that the masks were generated; remove %s if the masks are real", OriginalFile, OriginalFile)
		}
	}
}

// stragglers are the images in the folders of images and masks, and in those below, that belong to no case.
func (t *Task) stragglers() problems {
	used := map[string]bool{}
	dirs := map[string]bool{}
	enter := func(dir string) {
		if real, err := filepath.EvalSymlinks(dir); err == nil { // imagesTr and ImagesTr may be one
			dirs[real] = true
		}
	}
	enter(filepath.Join(t.Dir, ImagesDir))
	enter(filepath.Join(t.Dir, LabelsDir))
	for _, c := range slices.Concat(t.Dataset.Cases, t.Dataset.Excluded) {
		for _, path := range append(slices.Clone(c.Images), c.Mask) {
			if path == "" {
				continue
			}
			used[path] = true
			if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
				used[filepath.Join(real, filepath.Base(path))] = true
			}
			enter(filepath.Dir(path))
		}
	}
	sorted := slices.Sorted(maps.Keys(dirs))
	var p problems
	for _, dir := range sorted {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // labelsTr need not exist
		}
		var files []string
		names := map[string]bool{}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			names[e.Name()] = used[path]
			if !used[path] && !e.IsDir() && isImage(path) {
				files = append(files, e.Name())
			}
		}
		files = slices.DeleteFunc(files, func(name string) bool { return isPreview(name, names) })
		files = append(files, foldersBelow(dir, sorted...)...)
		for _, name := range files {
			if path := filepath.Join(dir, filepath.FromSlash(name)); !used[path] {
				p.add("", QuoteID(t.rel(path)), "belongs to no case of dataset.json; list the case, or move the file away")
			}
		}
	}
	return p
}

// maxStragglers bounds how many stragglers WarnOfStragglers names.
const maxStragglers = 10

// WarnOfStragglers names the images in the task's folders that belong to no case, which Verify refuses.
func (t *Task) WarnOfStragglers(r progress.Reporter) {
	all := t.stragglers()
	if len(all) == 0 {
		return
	}
	var names []string
	for _, p := range all[:min(len(all), maxStragglers)] {
		names = append(names, p.Field)
	}
	if len(all) > maxStragglers {
		names = append(names, "...")
	}
	r.Warn("%s: %d images belong to no case of dataset.json and are not used: %s", t.Dir, len(all), strings.Join(names, ", "))
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
