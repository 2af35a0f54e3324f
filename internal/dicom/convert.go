package dicom

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Options say which series become images, and under which names.
type Options struct {
	ScanOptions
	Out         string   // folder for the images
	Public      string   // folder that goes to others, where the mapping must not lie; "" for Out
	Mapping     string   // file that links cases to patients; "" for MappingPath of the first source
	NameBy      string   // one of NamingNames
	Channel     int      // the modality's number in file names
	Modalities  []string // CT, MR, PT, ...; none for all
	Description string   // part of the series' description, in small or capital letters; "" for all
	MinSlices   int      // series with fewer images are skipped
	Workers     int      // series at a time; 0 for one per processor
	Memory      int64    // bytes; 0 for memory.Default
	NoWait      bool     // do not wait for a folder that is in use
	DryRun      bool     // decide, write nothing
}

// Status is what became of a series.
type Status string

// What becomes of series.
const (
	Converted Status = "converted"
	Kept      Status = "kept"      // converted before, from the same files
	Planned   Status = "planned"   // would be converted, in a dry run
	Skipped   Status = "skipped"   // not asked for
	Refused   Status = "refused"   // not a volume
	Failed    Status = "failed"    // a volume that could not be read or written
	stopped   Status = "not begun" // interrupted before its turn
)

// Outcome is what became of a series.
type Outcome struct {
	Series *Series
	Status Status
	Case   string   // its name, if it has an image
	Image  string   // path of the image
	Reason string   // why it is skipped, refused or failed; names no patient and no file of the source
	Files  []string // that show the reason, some of them
	For    []remedy.Remedy
	row    mappingRow
}

// Result is what became of all that was found.
type Result struct {
	*Scan
	Outcomes []*Outcome
	Mapping  string // path, "" if there was nothing to write down
}

// Count is how many series came to an end.
func (r *Result) Count(s Status) int {
	n := 0
	for _, o := range r.Outcomes {
		if o.Status == s {
			n++
		}
	}
	return n
}

// Convert writes the series in the sources that are asked for and that are volumes as CASE_XXXX.nii.gz, with the
// channel for XXXX. What is refused or fails is in the result and stops nothing; the error is for what concerns all. An
// image that an earlier conversion made from the same files stays.
func Convert(ctx context.Context, sources []string, o Options, r progress.Reporter) (*Result, error) {
	if o.Mapping == "" {
		var err error
		if o.Mapping, err = MappingPath(sources[0]); err != nil {
			return nil, err
		}
	}
	if public := cmp.Or(o.Public, o.Out); within(o.Mapping, public) {
		return nil, remedy.With(fmt.Errorf("the mapping CSV %s, which names patients, would lie among the results in %s; name a file elsewhere", o.Mapping, public), remedy.Set{Option: remedy.Mapping})
	}
	if !o.DryRun {
		if err := os.MkdirAll(o.Out, 0o755); err != nil {
			return nil, err
		}
		lock, err := lockfile.Enter(ctx, o.Out, o.NoWait, r)
		if err != nil {
			return nil, err
		}
		defer lock.Release()
		if err := atomicfile.RemoveLeftovers(o.Out); err != nil {
			return nil, err
		}
	}
	m, err := readMapping(o.Mapping)
	if err == nil && !o.DryRun {
		err = m.tryWriting()
	}
	if err != nil {
		return nil, err
	}
	o.Skip = cmp.Or(o.Public, o.Out)
	scan, err := Look(ctx, sources, o.ScanOptions, r)
	if err != nil {
		return nil, err
	}
	result := &Result{Scan: scan}
	for _, s := range scan.Series {
		result.Outcomes = append(result.Outcomes, o.decide(s))
	}
	if err := o.nameAll(result.Outcomes, m); err != nil {
		return nil, err
	}
	if result.Count(Planned)+result.Count(Kept) == 0 {
		return result, nil
	}
	result.Mapping = o.Mapping
	if o.DryRun {
		return result, nil
	}
	for _, x := range result.Outcomes {
		if x.Status == Planned || x.Status == Kept {
			m.put(x.row)
		}
	}
	if err := m.write(); err != nil { // before the images, so that none is ever without its patient
		return nil, err
	}
	convertErr := o.convertAll(ctx, result.Outcomes, r)
	for _, x := range result.Outcomes {
		if _, err := os.Stat(x.Image); x.Status == Failed && err != nil {
			m.drop(x.row.image)
		}
	}
	return result, errors.Join(convertErr, m.write())
}

// decide says what becomes of a series before it is named.
func (o *Options) decide(s *Series) *Outcome {
	x := &Outcome{Series: s, Status: Planned}
	skip := func(format string, args ...any) *Outcome {
		x.Status, x.Reason = Skipped, fmt.Sprintf(format, args...)
		return x
	}
	switch {
	case len(o.Modalities) > 0 && !slices.ContainsFunc(o.Modalities, func(m string) bool { return strings.EqualFold(m, s.Modality) }):
		return skip("modality %s", s.Modality)
	case o.Description != "" && !strings.Contains(strings.ToLower(s.Description), strings.ToLower(o.Description)):
		return skip("the description does not hold %q", o.Description)
	case s.Localizer:
		return skip("localizer")
	case s.Slices > 0 && s.Slices < o.MinSlices:
		x.For = []remedy.Remedy{remedy.Set{Option: remedy.MinSlices}}
		return skip("%d images, fewer than the least number of %d", s.Slices, o.MinSlices)
	}
	if len(s.Refusals) > 0 {
		var reasons []string
		for _, r := range s.Refusals {
			reasons = append(reasons, r.Reason)
			x.Files = append(x.Files, r.Files...)
			x.For = append(x.For, r.For...)
		}
		x.Status, x.Reason = Refused, strings.Join(reasons, "; ")
	}
	return x
}

// nameAll names the cases, the same as in earlier conversions where there were any.
func (o *Options) nameAll(all []*Outcome, m *mapping) error {
	n := &namer{by: o.NameBy, taken: map[string]bool{}}
	suffix := fmt.Sprintf("_%04d.nii.gz", o.Channel)
	for _, r := range m.rows {
		if r.image == r.caseName+suffix || o.NameBy == Counter {
			n.take(r.caseName)
		}
	}
	entries, err := os.ReadDir(o.Out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name, isCase := strings.CutSuffix(e.Name(), suffix)
		if isCase && m.of(e.Name()) == nil && o.NameBy == Counter {
			n.take(name)
		}
	}
	for _, x := range all {
		if x.Status != Planned {
			continue
		}
		note := ""
		if old := m.earlier(x.Series, o.NameBy, suffix); old != nil {
			x.Case = old.caseName
		} else if x.Case, note, err = n.name(x.Series); err != nil {
			x.Status, x.Reason, x.For = Failed, err.Error(), remedy.Of(err)
			continue
		}
		if note != "" {
			x.Series.Notes = append(x.Series.Notes, note)
		}
		image := x.Case + suffix
		x.Image = filepath.Join(o.Out, image)
		x.row = newRow(x.Series, x.Case, image, x.Series.digest(o.KeepTilt))
		_, statErr := os.Stat(x.Image)
		switch old := m.of(image); {
		case statErr != nil:
		case old == nil:
			x.Status, x.Reason = Failed, fmt.Sprintf("%s exists, but not as an image of this series by %s; move it away, or choose another folder", x.Image, m.path)
			x.For = []remedy.Remedy{remedy.Set{Option: remedy.Output}}
		case old.by == x.row.by:
			x.Status = Kept
		}
	}
	return nil
}

var counted = regexp.MustCompile(`^case\d{4,}$`)

// earlier is the row of a series in an earlier conversion with names of the same kind, nil if there is none.
func (m *mapping) earlier(s *Series, by, suffix string) *mappingRow {
	base := ""
	if i := slices.IndexFunc(namings, func(n naming) bool { return n.name == by }); i >= 0 {
		base = sanitised(namings[i].of(s))
	}
	for i := range m.rows {
		r := &m.rows[i]
		if r.series != harmless(s.SeriesUID) || r.part != harmless(s.Part) || r.image != r.caseName+suffix {
			continue
		}
		rest, begins := strings.CutPrefix(r.caseName, base)
		if by == Counter && counted.MatchString(r.caseName) || by != Counter && begins && (rest == "" || rest[0] == '-') {
			return r
		}
	}
	return nil
}

// digestVersion changes with what Read makes of the same files.
const digestVersion = "1"

// digest identifies what an image is made from.
func (s *Series) digest(keepTilt bool) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %v %s\n", digestVersion, keepTilt && s.Tilt != 0, s.Part)
	for _, c := range s.slices {
		fmt.Fprintf(h, "%s %d %d\n", c.file.sopInstance, c.frame, c.file.size)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// convertAll converts what is planned, as many series at a time as there are workers and memory for.
func (o *Options) convertAll(ctx context.Context, all []*Outcome, r progress.Reporter) error {
	budget := o.Memory
	if budget == 0 {
		budget = memory.Default()
	}
	shared := memory.NewBudget(int64(memory.WorkShare * float64(budget)))
	workers := o.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var todo []*Outcome
	for _, x := range all {
		if x.Status == Planned {
			x.Status, todo = stopped, append(todo, x)
		}
	}
	r.Stage("conversion", len(todo))
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(workers)
	for _, x := range todo {
		bytes := x.Series.Bytes()
		if err := shared.Acquire(ctx, bytes); err != nil { // in order, so that none is overtaken
			if ctx.Err() != nil {
				break
			}
			x.fail(err)
			r.Advance(x.Case)
			continue
		}
		g.Go(func() error {
			err := x.Series.Write(ctx, x.Image)
			shared.Release(bytes)
			if ctx.Err() != nil && err != nil {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			x.Status = Converted
			if err != nil {
				x.fail(err)
			}
			r.Advance(x.Case)
			return nil
		})
	}
	g.Wait()
	if err := ctx.Err(); err != nil {
		done := 0
		for _, x := range todo {
			if x.Status == Converted {
				done++
			}
		}
		return fmt.Errorf("conversion interrupted after %d of %d series, which are kept: %w", done, len(todo), err)
	}
	return nil
}

// fail takes down why a series has no image.
func (x *Outcome) fail(err error) {
	x.Status, x.Reason, x.For = Failed, err.Error(), remedy.Of(err)
	var of *fileError
	if errors.As(err, &of) {
		x.Reason, x.Files = of.err.Error(), []string{of.path}
	}
}

// Write reads the series and writes it to path as NIfTI: int16 where every value is whole and fits, else float32.
func (s *Series) Write(ctx context.Context, path string) error {
	v, err := s.Read(ctx)
	if err != nil {
		return err
	}
	if v.Int16 != nil {
		return nifti.WriteInt16(path, v.Geometry, v.Int16)
	}
	return nifti.WriteImage(path, &volume.Image{Geometry: v.Geometry, Data: v.Float})
}
