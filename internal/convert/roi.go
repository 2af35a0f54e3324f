package convert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/words"
)

const (
	maxMaskValues = 64 // different values in a mask; more are an image
	maxMaskLabel  = 31 // a mask with larger values, such as 255, is written with the numbers 1, 2, ... in their place
)

// maskValues reads every mask, and settles what their values are called and whether they are written with others.
func (s *sheet) maskValues(ctx context.Context, rows []*row, r progress.Reporter) error {
	if !slices.ContainsFunc(rows, func(r *row) bool { return !r.Mask.IsZero() }) {
		return nil
	}
	r.Stage("reading masks", len(rows))
	found := make([][]int16, len(rows))
	why := make([]string, len(rows))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, row := range rows {
		group.Go(func() error {
			if row.Mask.IsZero() {
				return nil
			}
			var err error
			if found[i], why[i], err = valuesOf(ctx, row.Mask.Path); err != nil {
				why[i] = err.Error()
			}
			r.Advance(row.ID)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var p problems
	var all []int16
	for i, row := range rows {
		switch {
		case row.Mask.IsZero():
		case why[i] != "":
			p.add(task.QuoteID(row.ID), "mask", why[i])
		case len(found[i]) == 0 || len(found[i]) == 1 && found[i][0] == 0:
			p.add(task.QuoteID(row.ID), "mask", row.Mask.Path+" is empty; draw the region of interest, or take the case out of the table")
		}
		all = append(all, found[i]...)
	}
	slices.Sort(all)
	all = slices.DeleteFunc(slices.Compact(all), func(v int16) bool { return v == 0 })
	if len(s.MaskLabels) > 0 {
		s.roiLabels = append([]string{"background"}, s.MaskLabels...)
	}
	if len(all) > 0 && len(p) == 0 {
		s.settleMasks(rows, all, found, &p)
	}
	s.cohort.ROILabels = s.roiLabels
	return p.err(s.cohort.Source)
}

// settleMasks names the values of the masks, which are all but 0, sorted.
func (s *sheet) settleMasks(rows []*row, all []int16, found [][]int16, p *problems) {
	if s.roiLabels == nil && (all[0] < 0 || all[len(all)-1] > maxMaskLabel) || len(s.MaskLabels) == len(all) && int(all[len(all)-1]) > len(all) {
		to := map[int16]int16{0: 0}
		for i, v := range all {
			to[v] = int16(i + 1)
		}
		for _, row := range rows {
			if !row.Mask.IsZero() {
				row.Mask.Values = to
			}
		}
		numbers := make([]int16, len(all))
		for i := range numbers {
			numbers[i] = int16(i + 1)
		}
		s.cohort.Notes = append(s.cohort.Notes, remedy.Notef("masks: %s written as %s", valuesText(all), valuesText(numbers)))
		all = numbers
	} else if s.roiLabels != nil {
		for i, row := range rows {
			for _, v := range found[i] {
				if v < 0 || int(v) >= len(s.roiLabels) {
					p.add(task.QuoteID(row.ID), "mask", fmt.Sprintf("%s holds the value %d, but there are names for 0 to %d; name it, or correct the mask", row.Mask.Path, v, len(s.roiLabels)-1))
				}
			}
		}
	}
	if s.roiLabels != nil {
		return
	}
	s.roiLabels = []string{"background"}
	for v := 1; v <= int(all[len(all)-1]); v++ {
		name := "region of interest"
		if int(all[len(all)-1]) > 1 {
			name = fmt.Sprintf("region %d", v)
		}
		s.roiLabels = append(s.roiLabels, name)
	}
}

func valuesText(values []int16) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprint(v))
	}
	if len(out) == 1 {
		return "the value " + out[0]
	}
	return "the values " + words.Some(out)
}

var errTooMany = errors.New("too many values")

// valuesOf lists the values of a mask, or says why it is none.
func valuesOf(ctx context.Context, path string) (values []int16, why string, err error) {
	seen := map[float32]bool{}
	last := float32(math.NaN())
	err = imagefile.Scan(path, func(_ volume.Geometry, part []float32) error {
		for _, v := range part {
			if v == last {
				continue
			}
			last = v
			if !seen[v] {
				if v != float32(math.Trunc(float64(v))) || v < math.MinInt16 || v > math.MaxInt16 {
					why = fmt.Sprintf("%s holds the value %v, expected whole numbers: it is an image, not a mask", path, v)
					return errTooMany
				}
				if len(seen) == maxMaskValues {
					why = fmt.Sprintf("%s holds more than %d different values: it is an image, not a mask", path, maxMaskValues)
					return errTooMany
				}
				seen[v] = true
			}
		}
		return ctx.Err()
	})
	if errors.Is(err, errTooMany) {
		return nil, why, nil
	}
	for v := range seen {
		values = append(values, int16(v))
	}
	slices.Sort(values)
	return values, "", err
}
