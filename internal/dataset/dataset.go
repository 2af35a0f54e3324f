// Package dataset knows how preprocessed cases are stored in a stage folder, and reads them.
package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// Dataset gives a trainer the preprocessed cases of a task as they stand when it is opened: whatever is written to the
// folder afterwards is noticed, never mixed in. Read and the other methods may be called concurrently; Close only after
// the last Read.
type Dataset struct {
	stage      string
	ids        []string
	properties []preprocess.Properties
	arrays     []npz.Member // of each case's .npz
	shape      [4]int
	mapped     []*npz.Mapped // nil if cases are read compressed
}

// maxUnpackers bounds how many cases are looked through or unpacked at a time.
const maxUnpackers = 4

// Open opens the cases in a stage folder, to be read compressed unless Map follows. All cases must have one shape, and
// the arrays of each must be those that its properties describe.
func Open(stage string, cases []string) (*Dataset, error) {
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s: no cases asked for", stage)
	}
	d := &Dataset{stage: stage, ids: cases}
	pickled := pickledCases{stage: stage}
	for _, id := range cases {
		p, err := ReadProperties(stage, id)
		if errors.Is(err, fs.ErrNotExist) && pickled.has(id) {
			p, err = pickled.read(id)
		}
		if err != nil {
			return nil, err
		}
		shape := [4]int{len(p.UseMaskForNorm) + 1, p.SizeAfterPad[0], p.SizeAfterPad[1], p.SizeAfterPad[2]}
		if len(d.properties) == 0 {
			d.shape = shape
		} else if shape != d.shape {
			return nil, remedy.With(task.CaseErrorf(id, "%s: shape %v, but case %s has %v; preprocess the task again", PropertiesFile(stage, id), shape, cases[0], d.shape), remedy.Plan{})
		}
		m, err := npz.Stat(ArraysFile(stage, id), ArraysName)
		if err != nil {
			return nil, remedy.With(task.CaseErrorf(id, "%w; preprocess the task again", err), remedy.Plan{})
		}
		if want := p.MadeFrom[FromArrays]; want != "" && want != m.String() {
			return nil, remedy.With(task.CaseErrorf(id, "%s is not the file that %s belongs to; preprocess the task again", ArraysFile(stage, id), PropertiesFile(stage, id)), remedy.Plan{})
		}
		const header = 1 << 16 // the most that is in front of the values
		if values := int64(4 * shape[0] * shape[1] * shape[2] * shape[3]); m.Size < values || m.Size > values+header {
			return nil, remedy.With(task.CaseErrorf(id, "%s holds %d bytes unpacked, but %v float32 values are expected; preprocess the task again", ArraysFile(stage, id), m.Size, shape), remedy.Plan{})
		}
		d.properties, d.arrays = append(d.properties, p), append(d.arrays, m)
	}
	return d, nil
}

// Map maps each case into memory from a .npy next to its .npz (as nnU-Net does), so that the system's page cache holds
// what is in use. What lies there already is used if its content is that of the .npz, else the case is unpacked. The
// stage folder is locked while cases are unpacked.
func (d *Dataset) Map(ctx context.Context, r progress.Reporter) error {
	d.mapped = make([]*npz.Mapped, len(d.ids))
	err := d.each(ctx, r, "opening the cases", d.open)
	if err == nil && slices.Contains(d.mapped, nil) {
		err = d.unpackMissing(ctx, r)
	}
	if err != nil {
		d.Close()
	}
	return err
}

// unpackMissing unpacks what is not mapped yet, unless another training has done so meanwhile.
func (d *Dataset) unpackMissing(ctx context.Context, r progress.Reporter) error {
	lock, err := lockfile.Enter(ctx, d.stage, false, r)
	if err != nil {
		return fmt.Errorf("the cases cannot be unpacked: %w (use_compressed_data trains without)", err)
	}
	defer lock.Release()
	return d.each(ctx, r, "unpacking the cases", func(i int) error {
		if err := d.open(i); err != nil || d.mapped[i] != nil {
			return err
		}
		packed, unpacked := ArraysFile(d.stage, d.ids[i]), UnpackedFile(d.stage, d.ids[i])
		now, err := npz.Unpack(packed, ArraysName, unpacked)
		if err != nil {
			return fmt.Errorf("%w; the unpacked case needs %d MB (use_compressed_data trains without)", err, d.arrays[i].Size/1e6)
		}
		if now != d.arrays[i] {
			return d.replaced(i)
		}
		if err := d.open(i); err != nil || d.mapped[i] != nil {
			return err
		}
		return d.convert(i)
	})
}

// convert unpacks arrays in a form that cannot be mapped as it is, such as Fortran's order, which other programs write.
func (d *Dataset) convert(i int) error {
	data, err := d.load(ArraysFile(d.stage, d.ids[i]))
	if err != nil {
		return err
	}
	unpacked := UnpackedFile(d.stage, d.ids[i])
	if err := npz.WriteNPY(unpacked, npz.Array{Shape: d.shape[:], Data: data}); err != nil {
		return err
	}
	d.mapped[i], err = npz.OpenMapped(unpacked)
	return err
}

// each calls do for the cases that are not mapped, several at a time. If that takes a while, it is reported as a stage.
func (d *Dataset) each(ctx context.Context, r progress.Reporter, stage string, do func(i int) error) error {
	left := 0
	for _, m := range d.mapped {
		if m == nil {
			left++
		}
	}
	advance := progress.Late(r, stage, left)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxUnpackers))
	for i, id := range d.ids {
		if d.mapped[i] != nil {
			continue
		}
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(i); err != nil {
				return task.InCase(id, err)
			}
			advance(id)
			return nil
		})
	}
	return group.Wait()
}

// open maps a case if its unpacked arrays are there and those of the packed ones.
func (d *Dataset) open(i int) error {
	unpacked := UnpackedFile(d.stage, d.ids[i])
	m, err := npz.OpenUnpacked(unpacked, d.arrays[i])
	switch {
	case errors.Is(err, npz.ErrFormat) || m == nil && err == nil:
		return nil
	case err != nil:
		return err
	case !d.fits(m.Shape):
		err := fmt.Errorf("%s has shape %v, expected %v; preprocess the task again", unpacked, m.Shape, d.shape)
		m.Close()
		return err
	}
	d.mapped[i] = m
	return nil
}

// replaced says that a case was preprocessed again since the dataset was opened.
func (d *Dataset) replaced(i int) error {
	return task.CaseErrorf(d.ids[i], "%s was replaced after this training had begun; start the training again", ArraysFile(d.stage, d.ids[i]))
}

// load reads a packed case.
func (d *Dataset) load(path string) ([]float32, error) {
	arrays, err := npz.ReadAtMost(path, d.shape[0]*d.shape[1]*d.shape[2]*d.shape[3])
	if err != nil {
		return nil, err
	}
	a, ok := arrays[ArraysName]
	if !ok || !d.fits(a.Shape) {
		return nil, fmt.Errorf("%s: array data has shape %v, expected %v; preprocess the task again", path, a.Shape, d.shape)
	}
	data, ok := a.Data.([]float32)
	if !ok {
		return nil, fmt.Errorf("%s: array data is %T, expected float32; preprocess the task again", path, a.Data)
	}
	return data, nil
}

func (d *Dataset) fits(shape []int) bool {
	return len(shape) == len(d.shape) && [4]int(shape) == d.shape
}

// Len is the number of cases.
func (d *Dataset) Len() int { return len(d.ids) }

// ID is the name of case i.
func (d *Dataset) ID(i int) string { return d.ids[i] }

// Shape of every case: modalities + 1 (the mask), then the axes after transpose_forward.
func (d *Dataset) Shape() [4]int { return d.shape }

// Case is where case i comes from.
func (d *Dataset) Case(i int) provenance.Case {
	return provenance.Case{ID: d.ids[i], Files: d.properties[i].MadeFrom[FromFiles], Targets: d.properties[i].Targets}
}

// Made compares the cases with plans: other are those that were preprocessed under other plans or by another version,
// unknown those of an earlier version, which did not record its plans.
func (d *Dataset) Made(p *plan.Plans) (other, unknown []string, err error) {
	setting, err := preprocess.SettingKey(p)
	if err != nil {
		return nil, nil, err
	}
	for i, id := range d.ids {
		switch d.properties[i].MadeFrom[FromPlans] {
		case setting:
		case "":
			unknown = append(unknown, id)
		default:
			other = append(other, id)
		}
	}
	return other, unknown, nil
}

// Same reports whether cases i and j were made from the same files or hold the same values.
func (d *Dataset) Same(i, j int) (bool, error) {
	if files := d.properties[i].MadeFrom[FromFiles]; files != "" && files == d.properties[j].MadeFrom[FromFiles] {
		return true, nil
	}
	if d.arrays[i] != d.arrays[j] { // checksums and sizes
		return false, nil
	}
	first, err := d.load(ArraysFile(d.stage, d.ids[i]))
	if err != nil {
		return false, task.InCase(d.ids[i], err)
	}
	second, err := d.load(ArraysFile(d.stage, d.ids[j]))
	if err != nil {
		return false, task.InCase(d.ids[j], err)
	}
	return slices.Equal(first, second), nil
}

// Targets is the class of case i for each classification label.
func (d *Dataset) Targets(i int) []int { return d.properties[i].Targets }

// Read copies case i into dst: normalised modalities, then the mask as labels (-1 outside).
func (d *Dataset) Read(i int, dst []float32) error {
	if values := d.shape[0] * d.shape[1] * d.shape[2] * d.shape[3]; len(dst) < values {
		return task.CaseErrorf(d.ids[i], "%d values do not fit a buffer of %d", values, len(dst))
	}
	if d.mapped != nil {
		if err := d.mapped[i].CopyTo(dst); err != nil {
			return task.CaseErrorf(d.ids[i], "%s: %w", UnpackedFile(d.stage, d.ids[i]), err)
		}
		return nil
	}
	data, err := d.load(ArraysFile(d.stage, d.ids[i]))
	if err != nil {
		return task.InCase(d.ids[i], err)
	}
	if now, err := npz.Stat(ArraysFile(d.stage, d.ids[i]), ArraysName); err != nil || now != d.arrays[i] {
		return d.replaced(i)
	}
	copy(dst, data)
	return nil
}

// Close unmaps all cases.
func (d *Dataset) Close() error {
	var errs []error
	for _, m := range d.mapped {
		if m != nil { // a case that could not be opened
			errs = append(errs, m.Close())
		}
	}
	d.mapped = nil
	return errors.Join(errs...)
}

// CaseFiles are the digests of images and mask of the cases that are preprocessed in a stage folder, where they are
// recorded.
func CaseFiles(stage string) (map[string]string, error) {
	ids, err := Cases(stage)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, id := range ids {
		if p, err := ReadProperties(stage, id); err == nil && p.MadeFrom[FromFiles] != "" {
			files[id] = p.MadeFrom[FromFiles]
		}
	}
	return files, nil
}

// Cases lists the ids of the cases that are preprocessed in a stage folder, by this program or by the reference,
// sorted.
func Cases(stage string) ([]string, error) {
	entries, err := os.ReadDir(stage)
	if err != nil {
		err = remedy.With(fmt.Errorf("cases are not preprocessed: %w; preprocess the task", err), remedy.Plan{})
		if errors.Is(err, fs.ErrNotExist) {
			err = task.NotPreprocessed(err)
		}
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".npz")
		if !ok {
			continue
		}
		_, err := os.Stat(PropertiesFile(stage, id))
		if err == nil || (pickledCases{stage: stage}).has(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
