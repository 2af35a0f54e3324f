package convert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// challengeDataset is what is read of the dataset.json of nnU-Net v2 and of the Medical Segmentation Decathlon.
type challengeDataset struct {
	Name        string                     `json:"name"`
	Description string                     `json:"description"`
	Channels    map[string]json.RawMessage `json:"channel_names"` // v2
	Modality    map[string]json.RawMessage `json:"modality"`      // Decathlon
	Labels      map[string]json.RawMessage `json:"labels"`        // v2: name -> value; Decathlon: value -> name
	FileEnding  string                     `json:"file_ending"`   // v2
	Training    json.RawMessage            `json:"training"`      // Decathlon
	Dataset     json.RawMessage            `json:"dataset"`       // v2, where cases name their files
}

// NNUNetV2 reads a data set of nnU-Net v2: dir holds dataset.json, imagesTr and, if the masks are to be the region of
// interest, labelsTr. o.Table has the classes, of which nnU-Net knows nothing; its rows for cases in imagesTs are the
// external test set. o.Masks other than None is ignored.
func NNUNetV2(ctx context.Context, dir string, o TableOptions, r progress.Reporter) (*Cohort, error) {
	d, err := readChallenge(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, task.DatasetFile)
	var p problems
	switch {
	case d.Channels == nil && d.Modality != nil:
		return nil, remedy.With(fmt.Errorf("%s: has modality in place of channel_names, as the Medical Segmentation Decathlon and nnU-Net v1 have it; convert it as such", path), remedy.ConvertMSD)
	case d.Dataset != nil:
		p.add("", "dataset", "the cases name their files, which is not read; put the files into imagesTr and labelsTr")
	}
	if _, ext := imagefile.SplitExtension("x" + d.FileEnding); !strings.EqualFold(ext, d.FileEnding) || d.FileEnding == "" {
		p.add("", "file_ending", fmt.Sprintf("%q, expected one of %s; convert the images", d.FileEnding, strings.Join(imagefile.Extensions, ", ")))
	}
	channels := numbered(d.Channels, "channel_names", &p)
	roi := namedValues(d.Labels, &p)
	if err := p.err(path); err != nil {
		return nil, err
	}
	return challenge(ctx, "nnunet-v2", dir, d, channels, roi, false, o, r)
}

// Decathlon reads a data set of the Medical Segmentation Decathlon: dir holds dataset.json, imagesTr with one file per
// case, in which several modalities lie along a fourth axis, and labelsTr. o.Table has the classes, see NNUNetV2. Data
// sets of nnU-Net v1 (CASE_0000.nii.gz) are read, too.
func Decathlon(ctx context.Context, dir string, o TableOptions, r progress.Reporter) (*Cohort, error) {
	d, err := readChallenge(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, task.DatasetFile)
	if d.Modality == nil && d.Channels != nil {
		return nil, remedy.With(fmt.Errorf("%s: has channel_names in place of modality, as nnU-Net v2 has it; convert it as such", path), remedy.ConvertNNUNet2)
	}
	var p problems
	channels := numbered(d.Modality, "modality", &p)
	roi := numbered(d.Labels, "labels", &p)
	if err := p.err(path); err != nil {
		return nil, err
	}
	return challenge(ctx, "msd", dir, d, channels, roi, true, o, r)
}

func readChallenge(dir string) (*challengeDataset, error) {
	path := filepath.Join(dir, task.DatasetFile)
	d := &challengeDataset{}
	err := jsonfile.Read(path, d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: not found; name the folder that holds dataset.json, imagesTr and labelsTr", path)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// numbered reads {"0": "CT", "1": "PET"}.
func numbered(given map[string]json.RawMessage, field string, p *problems) []string {
	names := make([]string, len(given))
	if len(given) == 0 {
		p.add("", field, `missing; expected an object such as {"0": "CT"}`)
		return nil
	}
	for key, raw := range given {
		i, err := strconv.Atoi(key)
		var name string
		switch {
		case err != nil || i < 0 || i >= len(names):
			p.add("", field, fmt.Sprintf("key %q, expected the numbers 0 to %d", key, len(names)-1))
		case json.Unmarshal(raw, &name) != nil || strings.TrimSpace(name) == "":
			p.add("", field, fmt.Sprintf("%q is %s, expected a name", key, raw))
		default:
			names[i] = strings.TrimSpace(name)
		}
	}
	return names
}

// namedValues reads {"background": 0, "liver": 1, "tumour": [1, 2]}: regions may consist of several values, which then
// get names of their own.
func namedValues(given map[string]json.RawMessage, p *problems) []string {
	byValue := map[int]string{}
	largest := 0
	take := func(v int, name string) {
		if v < 0 || v > maxMaskLabel {
			p.add("", "labels", fmt.Sprintf("%q is %d, expected 0 to %d", name, v, maxMaskLabel))
			return
		}
		if other, twice := byValue[v]; name != "" && twice && other != "" {
			p.add("", "labels", fmt.Sprintf("%q and %q are both %d", min(other, name), max(other, name), v))
			return
		}
		if name != "" || byValue[v] == "" {
			byValue[v] = name
		}
		largest = max(largest, v)
	}
	for name, raw := range given {
		var one int
		var several []int
		switch {
		case json.Unmarshal(raw, &one) == nil:
			take(one, name)
		case json.Unmarshal(raw, &several) == nil && len(several) == 1:
			take(several[0], name)
		case json.Unmarshal(raw, &several) == nil:
			for _, v := range several {
				take(v, "")
			}
		default:
			p.add("", "labels", fmt.Sprintf("%q is %s, expected a whole number, or a list of them", name, raw))
		}
	}
	names := make([]string, largest+1)
	for v := range names {
		if names[v] = byValue[v]; names[v] == "" {
			names[v] = fmt.Sprintf("region %d", v)
		}
	}
	names[0] = "background"
	return names
}

// challenge reads the cases of a data set by the table of their classes.
func challenge(ctx context.Context, format, dir string, d *challengeDataset, channels, roi []string, volumes bool, o TableOptions, r progress.Reporter) (*Cohort, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &Cohort{Format: format, Source: dir, Description: d.Description}
	c.Name, c.ID = challengeName(filepath.Base(abs), d.Name)
	if b, err := infile.ReadFile(filepath.Join(dir, task.DatasetFile), infile.MaxText); err == nil {
		c.inputs = append(c.inputs, string(b))
	}
	for _, name := range channels {
		o.Modalities = append(o.Modalities, Modality{Name: name})
	}
	masks := o.Masks != None
	o.Masks = ""
	s := &sheet{TableOptions: o, cohort: c, volumes: volumes && len(channels) > 1}
	for _, p := range []part{{images: "imagesTr", masks: "labelsTr"}, {images: "imagesTs", masks: "labelsTs", test: true}} {
		p.images, p.masks = filepath.Join(dir, p.images), filepath.Join(dir, p.masks)
		if !infile.IsDir(p.images) && p.test {
			continue
		}
		if !masks || p.test && !infile.IsDir(p.masks) {
			p.masks = ""
		}
		s.parts = append(s.parts, p)
	}
	if masks {
		s.roiLabels = roi
	}
	if slices.Contains(roi, "ignore") && masks {
		c.Warnings = append(c.Warnings, `labels has "ignore": voxels that are not annotated count as part of the region of interest`)
	}
	return s.read(ctx, r)
}

// challengeName splits Dataset004_Liver and Task04_Liver; other folders have the name that dataset.json gives.
func challengeName(folder, name string) (string, int) {
	for _, prefix := range []string{"Dataset", "Task"} {
		rest, ok := strings.CutPrefix(folder, prefix)
		number, after, split := strings.Cut(rest, "_")
		if id, err := strconv.Atoi(number); ok && split && err == nil && id >= 0 {
			return after, id
		}
	}
	if name != "" {
		return name, 0
	}
	return folder, 0
}
