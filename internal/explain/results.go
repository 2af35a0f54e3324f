package explain

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Version is that of the numbers that this package writes.
const Version = 1

// Record is what is kept of the explanation of a case by a method, as <case>/<method>.json.
type Record struct {
	Case     string             `json:"case"`
	Method   Method             `json:"method"`
	MadeFrom provenance.Sources `json:"made_from"`
	Warnings []string           `json:"warnings"`
	Maps     []MapRecord        `json:"maps"`
}

// MapRecord is what is kept of a map. Files are relative to the folder of the results.
type MapRecord struct {
	Label       string  `json:"label"`
	Class       int     `json:"class"`
	Value       string  `json:"value"`
	Predicted   bool    `json:"predicted"`
	Probability float64 `json:"probability"`
	Layer       string  `json:"layer,omitempty"`
	Heat        string  `json:"heat"`        // NIfTI, float32
	HeatDigest  string  `json:"heat_digest"` // of the file
	Picture     string  `json:"picture"`     // PNG
	Largest     float32 `json:"largest_heat"`
	Peak        [3]int  `json:"peak_voxel"` // x, y, z in the original image, from 0
	Measures
	Pointing *Pointing `json:"pointing,omitempty"`
}

// Pointing is the outcome of the pointing game.
type Pointing struct {
	Distance float64 `json:"distance_voxels"` // of the maximum from the target
	Hit      bool    `json:"hit"`             // within PointingTolerance
}

// settingNames are the sources that a user chooses. All results of a method in a folder share them.
var settingNames = []string{"task", "model", "folds", "checkpoint", "mirroring", "precision", "layer", "classes", "curves"}

// sources are what all results of this run have in common.
func (m *Model) sources() (provenance.Sources, error) {
	plans, err := preprocess.Sources(m.Plans())
	if err != nil {
		return nil, err
	}
	digest, err := provenance.DigestJSON(plans.Without(preprocess.VersionSource))
	if err != nil {
		return nil, err
	}
	var networks []string
	for _, f := range m.opened.Folds {
		networks = append(networks, f.Digest)
	}
	o := m.options
	classes := "predicted"
	if o.AllClasses {
		classes = "all"
	} else if len(o.Classes) > 0 {
		var all []string
		for _, c := range o.Classes {
			all = append(all, fmt.Sprintf("%d=%d", c.Label, c.Class))
		}
		slices.Sort(all)
		classes = strings.Join(all, " ")
	}
	layer := o.Layer
	if layer == "" {
		layer = "default"
	}
	return provenance.Sources{
		"task": m.Plans().TaskName, "model": filepath.Base(m.opened.Dir), "folds": strings.Join(m.Folds(), " "), "checkpoint": m.opened.Checkpoint,
		"mirroring": strconv.FormatBool(!o.DisableTTA), "precision": m.device.Precision(), "layer": layer, "classes": classes, "curves": strconv.Itoa(o.CurveSteps),
		"networks": provenance.DigestOf(networks...), "plans": digest, "version of the preprocessing": plans[preprocess.VersionSource], "version of the explanation": strconv.Itoa(Version),
	}, nil
}

// caseSources are what the result of a case is made from.
func caseSources(common provenance.Sources, c task.Case, target string) (provenance.Sources, error) {
	s := common.Without()
	files := slices.Clone(c.Images)
	if c.Mask != "" {
		files = append(files, c.Mask)
	}
	digest, err := provenance.DigestFiles(files...)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.ID, err)
	}
	s["images and mask"] = digest
	if target != "" {
		if s["target"], err = provenance.DigestFile(target); err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
	}
	return s, nil
}

func recordPath(out, id string, method Method) string {
	return filepath.Join(out, id, string(method)+".json")
}

// readRecord reads what is kept of a case; nil if there is nothing.
func readRecord(out, id string, method Method) *Record {
	var r Record
	if jsonfile.Read(recordPath(out, id, method), &r) != nil || r.Case != id || r.Method != method {
		return nil
	}
	return &r
}

// whole reports whether the files of a record are there as they were written.
func (r *Record) whole(out string) bool {
	for _, h := range r.Maps {
		if !filepath.IsLocal(h.Heat) || !filepath.IsLocal(h.Picture) {
			return false
		}
		if digest, err := provenance.DigestFile(filepath.Join(out, h.Heat)); err != nil || digest != h.HeatDigest {
			return false
		}
		if info, err := os.Stat(filepath.Join(out, h.Picture)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// fileNames are names of the labels for files: letters, digits, - and _; with the number where that is not unique.
func fileNames(labels []task.Label) []string {
	names := make([]string, len(labels))
	seen := map[string]bool{}
	for i, l := range labels {
		name := strings.Map(func(r rune) rune {
			if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '_'
		}, l.Name)
		if len(name) > 60 {
			name = name[:60]
		}
		if key := strings.ToLower(name); name == "" || seen[key] {
			name = fmt.Sprintf("%s%d", name, i)
		}
		seen[strings.ToLower(name)] = true
		names[i] = name
	}
	return names
}

// write writes the maps of a case, their pictures and, last, the record.
func (m *Model) write(out string, c task.Case, r *Case, from provenance.Sources, target string) (*Record, error) {
	rec := &Record{Case: c.ID, Method: m.options.Method, MadeFrom: from, Warnings: append([]string{}, r.Warnings...), Maps: []MapRecord{}}
	if err := atomicfile.MkdirAll(filepath.Join(out, c.ID)); err != nil {
		return nil, err
	}
	picture, err := imagefile.ReadImage(c.Images[0])
	if err != nil {
		return nil, err
	}
	p := Picture{Image: picture}
	if c.Mask != "" {
		if p.ROI, err = imagefile.ReadMask(c.Mask); err != nil {
			return nil, err
		}
	}
	names := fileNames(m.Labels())
	for i := range r.Maps {
		h := &r.Maps[i]
		label := m.Labels()[h.Label]
		stem := filepath.ToSlash(filepath.Join(c.ID, fmt.Sprintf("%s_%s_%d", rec.Method, names[h.Label], h.Class)))
		p.Heat = r.Original(h)
		p.At = r.OriginalPeak(h)
		largest := h.Heat[(h.Peak[0]*r.Shape[1]+h.Peak[1])*r.Shape[2]+h.Peak[2]]
		k := MapRecord{Label: label.Name, Class: h.Class, Value: label.Values[h.Class], Predicted: h.Predicted, Probability: r.Probabilities[h.Label][h.Class],
			Layer: h.Layer, Heat: stem + ".nii.gz", Picture: stem + ".png", Largest: largest, Peak: [3]int{p.At[2], p.At[1], p.At[0]}, Measures: h.Measures}
		if target != "" {
			mask, err := imagefile.ReadMask(target)
			if err != nil {
				return nil, err
			}
			if mask.Size != p.Image.Size {
				return nil, fmt.Errorf("%s: size %v (z, y, x), but the image has %v", target, mask.Size, p.Image.Size)
			}
			if d := Distance(mask, p.At); d < float64(len(mask.Data)) { // else nothing is labelled
				k.Pointing = &Pointing{d, d <= PointingTolerance}
			}
		}
		if err := nifti.WriteImage(filepath.Join(out, k.Heat), p.Heat); err != nil {
			return nil, err
		}
		if k.HeatDigest, err = provenance.DigestFile(filepath.Join(out, k.Heat)); err != nil {
			return nil, err
		}
		p.Title = fmt.Sprintf("%s: %s, %s (probability %.3f)", c.ID, label.Name, k.Value, k.Probability)
		p.Note = rec.Method.title(k.Layer) + "; planes through the maximum"
		if p.ROI != nil {
			p.Note += "; region of interest outlined"
		}
		if err := p.Draw(filepath.Join(out, k.Picture)); err != nil {
			return nil, err
		}
		rec.Maps = append(rec.Maps, k)
	}
	before := readRecord(out, c.ID, rec.Method)
	b, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := atomicfile.WriteBytes(recordPath(out, c.ID, rec.Method), append(b, '\n')); err != nil {
		return nil, err
	}
	return rec, removeOthers(out, before, rec)
}

// removeOthers removes the files of classes that were explained before and are not any more.
func removeOthers(out string, before, now *Record) error {
	if before == nil {
		return nil
	}
	kept := map[string]bool{}
	for _, h := range now.Maps {
		kept[h.Heat], kept[h.Picture] = true, true
	}
	for _, h := range before.Maps {
		for _, f := range []string{h.Heat, h.Picture} {
			if filepath.IsLocal(f) && strings.HasPrefix(f, now.Case+"/"+string(now.Method)+"_") && !kept[f] {
				if err := atomicfile.Remove(filepath.Join(out, f)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// title is the method's name for people.
func (m Method) title(layer string) string {
	switch m {
	case Occlusion:
		return "occlusion: fall of the class's score (logit) where the image is hidden"
	case Gradients:
		return "integrated gradients: share of the class's score (logit)"
	}
	if m == GradCAM {
		return "Grad-CAM++ of " + layer
	}
	return "HiResCAM of " + layer
}
