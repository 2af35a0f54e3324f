package convert

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/dicom"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/words"
)

// newBudget is the memory for volumes that are converted.
func newBudget() *memory.Budget {
	return memory.NewBudget(int64(memory.WorkShare * float64(memory.Default())))
}

// series returns the DICOM series of a case, one per modality; or why they are not found.
func (f *finder) series(ctx context.Context, id string, budget *memory.Budget) ([]File, string, error) {
	dirs := f.seriesOf(id)
	if len(dirs) > 1 {
		return nil, fmt.Sprintf("%d folders of this name hold DICOM files: %s; remove all but one", len(dirs), words.Some(dirs)), nil
	}
	dir := filepath.Join(f.root, filepath.FromSlash(dirs[0]))
	scan, err := dicom.Look(ctx, []string{dir}, dicom.ScanOptions{}, progress.Discard)
	if err != nil {
		return nil, "", err
	}
	var found []*dicom.Series
	var refused []string
	for _, s := range scan.Series {
		switch {
		case s.Localizer, s.Slices < 2:
		case len(s.Refusals) > 0:
			refused = append(refused, fmt.Sprintf("series %s: %s", seriesName(s), s.Refusals[0].Reason))
		default:
			found = append(found, s)
		}
	}
	if len(scan.Unreadable) > 0 {
		return nil, fmt.Sprintf("%s: %v", scan.Unreadable[0].File, scan.Unreadable[0].Err), nil
	}
	chosen, why := f.chooseSeries(dirs[0], found, refused)
	var files []File
	for _, s := range chosen {
		files = append(files, seriesFile(s, budget))
	}
	return files, why, nil
}

// chooseSeries finds the series of every modality: the only one, or those in folders that end as the modalities do.
func (f *finder) chooseSeries(dir string, found []*dicom.Series, refused []string) (chosen []*dicom.Series, why string) {
	var names []string
	for _, s := range found {
		names = append(names, seriesName(s))
	}
	if len(f.modalities) > 0 && f.modalities[0].Suffix != "" {
		for _, m := range f.modalities {
			var fit []*dicom.Series
			for _, s := range found {
				if hasSuffix(filepath.Base(s.Folder), "", m.Suffix) {
					fit = append(fit, s)
				}
			}
			if len(fit) != 1 {
				return nil, fmt.Sprintf("modality %s: %d DICOM series in folders of %s that end in %q, expected one (series: %s)", m.Name, len(fit), dir, m.Suffix, words.Some(append(names, refused...)))
			}
			chosen = append(chosen, fit[0])
		}
		return chosen, ""
	}
	switch {
	case len(found) == 1 && len(refused) == 0 && len(f.modalities) <= 1:
		return found, ""
	case len(found)+len(refused) == 0:
		return nil, fmt.Sprintf("%s holds DICOM files, but no series that is a volume", dir)
	case len(refused) > 0 && len(found) == 0:
		return nil, fmt.Sprintf("%s: %s", dir, strings.Join(refused[:min(len(refused), 3)], "; "))
	}
	return nil, fmt.Sprintf("%s holds %d DICOM series (%s); leave one, name the modalities by the folders they lie in, or convert the series that are meant to images first", dir, len(found)+len(refused), words.Some(append(names, refused...)))
}

// seriesName tells series apart without a patient's name.
func seriesName(s *dicom.Series) string {
	name := strings.TrimSpace(strings.Join([]string{s.SeriesNumber, s.Modality, s.Description, s.Part}, " "))
	if name == "" {
		return "without a name"
	}
	return strings.Join(strings.Fields(name), " ")
}

// seriesFile is a series as a file of the task.
func seriesFile(s *dicom.Series, budget *memory.Budget) File {
	return File{Path: s.Folder, parts: s.Files, modality: strings.ToUpper(s.Modality), write: func(ctx context.Context, path string) error {
		n := s.Bytes()
		if err := budget.Acquire(ctx, n); err != nil {
			return err
		}
		defer budget.Release(n)
		return s.Write(ctx, path)
	}}
}
