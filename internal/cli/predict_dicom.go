package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/dicom"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// dicomImages is the folder, in that of the predictions, for images made from DICOM series.
const dicomImages = "images"

// fewestSlices is how many images make a series worth a prediction: single ones are scouts and reports.
const fewestSlices = 2

// areDICOM reports whether paths are DICOM files or folders of such. A folder of images with names of cases is none.
func areDICOM(paths []string) bool {
	return len(paths) > 0 && !slices.ContainsFunc(paths, func(path string) bool {
		entries, err := os.ReadDir(path)
		if err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			_, ext := imagefile.SplitExtension(e.Name())
			return ext != ""
		}) {
			return true
		}
		_, ext := imagefile.SplitExtension(path)
		return err != nil && ext != "" || !dicom.Holds(path)
	})
}

// fromDICOM converts the series in -i into images below -o, one case each. What is not a volume comes back as problems,
// in which no patient is named, and as the error.
func (f *predictFlags) fromDICOM(cmd *cobra.Command, modalities int, wantMasks bool, memory int64, r progress.Reporter) ([]task.Case, []task.Problem, error) {
	convert := fmt.Sprintf("uc convert dicom %s -o IMAGES", strings.Join(f.images, " "))
	switch {
	case wantMasks || f.masks != "":
		return nil, nil, fmt.Errorf("-i holds DICOM series, and the model or -s asks for ROI masks, which belong to images by name; first run: %s; then draw the masks on the images and predict with -i IMAGES -s MASKS", convert)
	case modalities > 1:
		return nil, nil, fmt.Errorf("-i holds DICOM series, and the model was trained with %d modalities; which series belong together only you know: convert one modality at a time, in the order of the training, "+
			"with %s --channel 0 --name-by PatientID --series-description TEXT, then --channel 1 and so on; then predict with -i IMAGES", modalities, convert)
	}
	images := filepath.Join(f.out, dicomImages)
	result, err := dicom.Convert(cmd.Context(), f.images, dicom.Options{
		Out: images, Public: f.out, NameBy: dicom.Counter, MinSlices: fewestSlices, Workers: f.threads, Memory: memory, NoWait: f.noWait,
	}, r)
	if err != nil {
		if cmd.Context().Err() == nil {
			err = fmt.Errorf("%w; or first run: %s --mapping FILE; then predict with -i IMAGES", err, convert)
		}
		return nil, nil, err
	}
	var cases []task.Case
	var found []task.Problem
	problem := func(name, reason, where string, remedies ...remedy.Remedy) {
		found = append(found, task.Problem{Field: name, Message: reason, For: remedies})
		r.Warn("%s", remedy.Notef("%s is not predicted: %s (%s)", name, reason, where).See(remedies...))
	}
	for _, x := range result.Outcomes {
		s := x.Series
		name := fmt.Sprintf("DICOM series %s %s of %d images", s.Modality, s.SeriesNumber, s.Slices)
		switch x.Status {
		case dicom.Converted, dicom.Kept:
			c, err := task.OneCase([]string{x.Image}, "", modalities, false)
			if err != nil {
				return nil, nil, err
			}
			cases = append(cases, c)
		case dicom.Skipped:
			r.Note("%s", remedy.Notef("%s is left out: %s (in %s)", name, x.Reason, s.Folder).See(x.For...))
		default:
			where := "in " + s.Folder
			if len(x.Files) > 0 {
				where = x.Files[0]
			}
			problem(name, x.Reason, where, x.For...)
		}
	}
	for _, u := range result.Unreadable {
		problem("DICOM file", "cannot be read; a series may lack it", fmt.Sprintf("%s: %v", u.File, u.Err))
	}
	switch {
	case len(found) > 0:
		err = fmt.Errorf("%d DICOM series or files of -i are not predicted, see the warnings above", len(found))
	case len(cases) == 0:
		err = errors.New("no DICOM series of -i is a volume")
	}
	if result.Mapping != "" {
		r.Note("%d DICOM series are cases now, %s tells whose; keep it private", len(cases), result.Mapping)
	}
	return cases, found, err
}
