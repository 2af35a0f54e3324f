package preprocess

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

	"github.com/universal-classifier/uc/internal/npz"
)

// Dataset gives a trainer the preprocessed cases of a task. Read and the other methods may be called concurrently; Close
// only after the last Read.
type Dataset struct {
	stage      string
	ids        []string
	properties []Properties
	shape      [4]int
	mapped     []*npz.Mapped // nil if cases are read compressed
}

// maxUnpackers bounds how many cases are unpacked at a time, each held in memory whole.
const maxUnpackers = 4

// OpenDataset opens the cases in a stage folder. Unless compressed, each is unpacked to a .npy beside its .npz if that is
// not there yet (as nnU-Net does) and mapped into memory, so that the system's page cache holds what is in use;
// compressed cases are unpacked again at every Read. All cases must have one shape.
func OpenDataset(ctx context.Context, stage string, cases []string, compressed bool) (*Dataset, error) {
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s: no cases asked for", stage)
	}
	d := &Dataset{stage: stage, ids: cases}
	pickled := pickledCases{stage: stage}
	for _, id := range cases {
		p, err := readProperties(stage, id)
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
			return nil, fmt.Errorf("case %s: %s: shape %v, but case %s has %v; run plan-and-preprocess again", id, propertiesFile(stage, id), shape, cases[0], d.shape)
		}
		d.properties = append(d.properties, p)
	}
	if compressed {
		for _, id := range cases {
			if _, err := os.Stat(arraysFile(stage, id)); err != nil {
				return nil, fmt.Errorf("case %s: %w; run plan-and-preprocess again", id, err)
			}
		}
		return d, nil
	}
	d.mapped = make([]*npz.Mapped, len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxUnpackers))
	for i, id := range cases {
		group.Go(func() error {
			m, err := d.open(ctx, id)
			if err != nil {
				return fmt.Errorf("case %s: %w", id, err)
			}
			d.mapped[i] = m
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// open maps a case's unpacked arrays, after unpacking them if they are missing or older than the packed ones.
func (d *Dataset) open(ctx context.Context, id string) (*npz.Mapped, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	packed, unpacked := arraysFile(d.stage, id), unpackedFile(d.stage, id)
	from, err := os.Stat(packed)
	if err != nil {
		return nil, fmt.Errorf("%w; run plan-and-preprocess again", err)
	}
	to, err := os.Stat(unpacked)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && !to.ModTime().Before(from.ModTime()) {
		if m, err := npz.OpenMapped(unpacked); err == nil {
			if d.fits(m.Shape) {
				return m, nil
			}
			m.Close()
		}
	}
	data, err := d.load(packed)
	if err != nil {
		return nil, err
	}
	if err := npz.WriteNPY(unpacked, npz.Array{Shape: d.shape[:], Data: data}); err != nil {
		return nil, fmt.Errorf("%w; the unpacked case needs %d MB (use_compressed_data trains without)", err, len(data)*4/1e6)
	}
	return npz.OpenMapped(unpacked)
}

// load reads a packed case.
func (d *Dataset) load(path string) ([]float32, error) {
	arrays, err := npz.ReadAtMost(path, d.shape[0]*d.shape[1]*d.shape[2]*d.shape[3])
	if err != nil {
		return nil, err
	}
	a, ok := arrays["data"]
	if !ok || !d.fits(a.Shape) {
		return nil, fmt.Errorf("%s: array data has shape %v, expected %v; run plan-and-preprocess again", path, a.Shape, d.shape)
	}
	data, ok := a.Data.([]float32)
	if !ok {
		return nil, fmt.Errorf("%s: array data is %T, expected float32; run plan-and-preprocess again", path, a.Data)
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

// Targets is the class of case i for each classification label.
func (d *Dataset) Targets(i int) []int { return d.properties[i].Targets }

// Read copies case i into dst: normalised modalities, then the mask as labels (-1 outside).
func (d *Dataset) Read(i int, dst []float32) error {
	if values := d.shape[0] * d.shape[1] * d.shape[2] * d.shape[3]; len(dst) < values {
		return fmt.Errorf("case %s: %d values do not fit a buffer of %d", d.ids[i], values, len(dst))
	}
	if d.mapped != nil {
		if err := d.mapped[i].CopyTo(dst); err != nil {
			return fmt.Errorf("case %s: %s: %w", d.ids[i], unpackedFile(d.stage, d.ids[i]), err)
		}
		return nil
	}
	data, err := d.load(arraysFile(d.stage, d.ids[i]))
	if err != nil {
		return fmt.Errorf("case %s: %w", d.ids[i], err)
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

// Cases lists the ids of the cases that are preprocessed in a stage folder, by this program or by the reference, sorted.
func Cases(stage string) ([]string, error) {
	entries, err := os.ReadDir(stage)
	if err != nil {
		return nil, fmt.Errorf("cases are not preprocessed: %w; run plan-and-preprocess for the task", err)
	}
	var ids []string
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".npz")
		if !ok {
			continue
		}
		_, err := os.Stat(propertiesFile(stage, id))
		if err == nil || (pickledCases{stage: stage}).has(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
