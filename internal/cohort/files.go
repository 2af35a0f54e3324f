package cohort

import (
	"fmt"
	"os"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/task"
)

// save writes a case: the arrays first, then the properties that vouch for them.
func (co *cohort) save(stage string, out *preprocess.Prepared, c task.Case, setting string, files []source) error {
	id := out.Properties.Case
	for _, path := range []string{dataset.PropertiesFile(stage, id), dataset.UnpackedFile(stage, id)} {
		if err := atomicfile.Remove(path); err != nil {
			return task.InCase(id, err)
		}
	}
	a := npz.Array{Name: dataset.ArraysName, Shape: out.Shape[:], Data: out.Data}
	if err := npz.Write(dataset.ArraysFile(stage, id), []npz.Array{a}, true); err != nil {
		return task.InCase(id, err)
	}
	var err error
	if out.Properties.MadeFrom, err = madeFrom(stage, id, setting, co.content(c, files)); err != nil {
		return err
	}
	out.Properties.Key = caseKey(setting, files)
	return writeProperties(stage, out.Properties, co.task.Dir)
}

// writeProperties writes a case's properties with its files' paths relative to the raw task.
func writeProperties(dir string, p preprocess.Properties, taskDir string) error {
	files := make([]string, len(p.DataFiles))
	for i, f := range p.DataFiles {
		files[i] = relative(f, taskDir)
	}
	p.DataFiles, p.SegFile = files, relative(p.SegFile, taskDir)
	if err := jsonfile.WriteIfNew(dataset.PropertiesFile(dir, p.Case), p, jsonfile.LikeNNUNet); err != nil {
		return task.InCase(p.Case, err)
	}
	return nil
}

// removeStale deletes the files of cases that are no longer listed, and returns of how many. Only what this package
// wrote is touched: a case whose properties carry a key.
func removeStale(stage string, cases []task.Case) (removed int, err error) {
	listed := map[string]bool{}
	for _, c := range cases {
		listed[c.ID] = true
	}
	entries, err := os.ReadDir(stage)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || listed[id] {
			continue
		}
		if p, err := dataset.ReadProperties(stage, id); err != nil || p.Key == "" || p.Case != id {
			continue
		}
		// The properties last: without them nobody would know whose the arrays are.
		for _, path := range []string{dataset.UnpackedFile(stage, id), dataset.ArraysFile(stage, id), dataset.PropertiesFile(stage, id)} {
			if err := atomicfile.Remove(path); err != nil {
				return removed, fmt.Errorf("cannot remove case %s, which dataset.json no longer lists: %w", id, err)
			}
		}
		removed++
	}
	return removed, nil
}

// saveCropped writes a cropped case as the reference keeps it: modalities and mask, z, y, x.
func (co *cohort) saveCropped(c task.Case, crop *preprocess.Cropped, files []source) error {
	dir := co.task.Folders.CroppedTask(co.task.Name)
	if err := atomicfile.Remove(dataset.PropertiesFile(dir, c.ID)); err != nil {
		return task.InCase(c.ID, err)
	}
	voxels := len(crop.Mask)
	all := make([]float32, 0, (len(crop.Data)+1)*voxels)
	for _, data := range crop.Data {
		all = append(all, data...)
	}
	for _, v := range crop.Mask {
		all = append(all, float32(v))
	}
	a := npz.Array{Name: "data", Shape: []int{len(crop.Data) + 1, crop.Size[0], crop.Size[1], crop.Size[2]}, Data: all}
	if err := npz.Write(dataset.ArraysFile(dir, c.ID), []npz.Array{a}, true); err != nil {
		return task.InCase(c.ID, err)
	}
	p := preprocess.CropProperties(c, crop)
	p.Key = caseKey(cropSetting, files)
	return writeProperties(dir, p, co.task.Dir)
}

// cropSetting stands for the plans in the key of a cropped case, which depends on none.
var cropSetting = fmt.Sprintf("cropped, version %d", preprocess.Version)

// croppedDone reports whether the cropped case need not be written: it is not wanted, or there.
func (co *cohort) croppedDone(c task.Case, files []source) bool {
	if !co.options.KeepCropped {
		return true
	}
	dir := co.task.Folders.CroppedTask(co.task.Name)
	p, err := dataset.ReadProperties(dir, c.ID)
	if err != nil || p.Key != caseKey(cropSetting, files) {
		return false
	}
	_, err = os.Stat(dataset.ArraysFile(dir, c.ID))
	return err == nil
}

// madeFrom are the sources of a case whose arrays are on disk.
func madeFrom(stage, id, setting string, files []source) (provenance.Sources, error) {
	arrays, err := npz.Stat(dataset.ArraysFile(stage, id), dataset.ArraysName)
	if err != nil {
		return nil, task.InCase(id, err)
	}
	digests := make([]string, len(files))
	for i, f := range files {
		digests[i] = f.SHA256
	}
	return provenance.Sources{dataset.FromPlans: setting, dataset.FromFiles: provenance.DigestOf(digests...), dataset.FromArrays: arrays.String()}, nil
}
