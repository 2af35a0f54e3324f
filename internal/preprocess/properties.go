package preprocess

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/volume"
)

// Properties says how one case was preprocessed. Sizes, spacings and boxes are z, y, x; those after resampling are in the
// order of the plans' transpose_forward; itk_* are x, y, z.
type Properties struct {
	Case                   string             `json:"case"`
	Targets                []int              `json:"targets"` // class per classification label; null at prediction
	OriginalSize           [3]int             `json:"original_size_of_raw_data"`
	OriginalSpacing        [3]float64         `json:"original_spacing"`
	DataFiles              []string           `json:"list_of_data_files"`
	SegFile                string             `json:"seg_file"`
	ITKOrigin              [3]float64         `json:"itk_origin"`
	ITKSpacing             [3]float64         `json:"itk_spacing"`
	ITKDirection           [9]float64         `json:"itk_direction"`
	NonzeroBox             Bounds             `json:"nonzero_bbox"` // in the raw image
	CropBox                Bounds             `json:"crop_bbox"`    // in the crop to NonzeroBox
	SizeAfterCropping      [3]int             `json:"size_after_cropping"`
	UseMaskForNorm         indexed.List[bool] `json:"use_nonzero_mask_for_norm"`
	SizeAfterResampling    [3]int             `json:"size_after_resampling"`
	SpacingAfterResampling [3]float64         `json:"spacing_after_resampling"`
	SizeAfterPad           [3]int             `json:"size after central pad"`
	Measures               *Measures          `json:"measures,omitempty"` // of the raw case; nil if preprocessed before they were recorded
	Key                    string             `json:"key,omitempty"`      // identifies input files, plans and version
	MadeFrom               provenance.Sources `json:"made_from,omitempty"`
}

// Names in Properties.MadeFrom.
const (
	fromPlans  = "plans"  // what of the plans the arrays depend on, and the version
	fromFiles  = "files"  // content of images and mask
	fromArrays = "arrays" // checksum and size of the arrays that belong to these properties
)

// arraysName is the array in a case's .npz.
const arraysName = "data"

// madeFrom are the sources of a case whose arrays are on disk.
func madeFrom(stage, id, setting string, files []source) (provenance.Sources, error) {
	arrays, err := npz.Stat(arraysFile(stage, id), arraysName)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", id, err)
	}
	digests := make([]string, len(files))
	for i, f := range files {
		digests[i] = f.SHA256
	}
	return provenance.Sources{fromPlans: setting, fromFiles: provenance.DigestOf(digests...), fromArrays: arrays.String()}, nil
}

// Bounds is a box as the reference writes it: [min, max) per axis.
type Bounds [3][2]int

func bounds(b volume.Box) Bounds {
	var out Bounds
	for d := range 3 {
		out[d] = [2]int{b.Min[d], b.Max[d]}
	}
	return out
}

func (b Bounds) box() volume.Box {
	var out volume.Box
	for d := range 3 {
		out.Min[d], out.Max[d] = b[d][0], b[d][1]
	}
	return out
}

// reversed turns z, y, x into x, y, z and back.
func reversed(v [3]float64) [3]float64 { return [3]float64{v[2], v[1], v[0]} }

func propertiesFile(stage, id string) string { return filepath.Join(stage, id+".json") }
func arraysFile(stage, id string) string     { return filepath.Join(stage, id+".npz") }
func unpackedFile(stage, id string) string   { return filepath.Join(stage, id+".npy") }

// readProperties reads a case's properties.
func readProperties(stage, id string) (Properties, error) {
	path := propertiesFile(stage, id)
	var p Properties
	b, err := infile.ReadFile(path, infile.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("case %s: %s not found; run plan-and-preprocess for the task: %w", id, path, err)
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("case %s: %s: %w; run plan-and-preprocess again", id, path, err)
	}
	return p, nil
}

// writeJSON writes v unless the file holds it already, so that nothing changes where nothing is new.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return writeIfNew(path, append(b, '\n'))
}

func writeIfNew(path string, b []byte) error {
	if old, err := infile.ReadFile(path, infile.MaxText); err == nil && string(old) == string(b) {
		return nil
	}
	return atomicfile.WriteBytes(path, b)
}
