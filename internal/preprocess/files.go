package preprocess

import (
	"fmt"
	"os"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/task"
)

// save writes a case: the arrays first, then the properties that vouch for them.
func (c *cohort) save(stage string, out *Prepared, kase task.Case, setting string, files []source) error {
	id := out.Properties.Case
	for _, path := range []string{propertiesFile(stage, id), unpackedFile(stage, id)} {
		if err := atomicfile.Remove(path); err != nil {
			return fmt.Errorf("case %s: %w", id, err)
		}
	}
	a := npz.Array{Name: arraysName, Shape: out.Shape[:], Data: out.Data}
	if err := npz.Write(arraysFile(stage, id), []npz.Array{a}, true); err != nil {
		return fmt.Errorf("case %s: %w", id, err)
	}
	var err error
	if out.Properties.MadeFrom, err = madeFrom(stage, id, setting, c.content(kase, files)); err != nil {
		return err
	}
	out.Properties.Key = caseKey(setting, files)
	return writeProperties(stage, out.Properties, c.task.Dir)
}

// writeProperties writes a case's properties with its files' paths relative to the raw task.
func writeProperties(dir string, p Properties, taskDir string) error {
	files := make([]string, len(p.DataFiles))
	for i, f := range p.DataFiles {
		files[i] = relative(f, taskDir)
	}
	p.DataFiles, p.SegFile = files, relative(p.SegFile, taskDir)
	if err := writeJSON(propertiesFile(dir, p.Case), p); err != nil {
		return fmt.Errorf("case %s: %w", p.Case, err)
	}
	return nil
}

// removeStale deletes the files of cases that are no longer listed, and returns of how many. Only what this package wrote is
// touched: a case whose properties carry a key.
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
		if p, err := readProperties(stage, id); err != nil || p.Key == "" || p.Case != id {
			continue
		}
		// The properties last: without them nobody would know whose the arrays are.
		for _, path := range []string{unpackedFile(stage, id), arraysFile(stage, id), propertiesFile(stage, id)} {
			if err := atomicfile.Remove(path); err != nil {
				return removed, fmt.Errorf("cannot remove case %s, which dataset.json no longer lists: %w", id, err)
			}
		}
		removed++
	}
	return removed, nil
}

// saveCropped writes a cropped case as the reference keeps it: modalities and mask, z, y, x.
func (c *cohort) saveCropped(kase task.Case, crop *cropped, files []source) error {
	dir := c.task.Folders.CroppedTask(c.task.Name)
	if err := atomicfile.Remove(propertiesFile(dir, kase.ID)); err != nil {
		return fmt.Errorf("case %s: %w", kase.ID, err)
	}
	voxels := len(crop.mask)
	all := make([]float32, 0, (len(crop.data)+1)*voxels)
	for _, data := range crop.data {
		all = append(all, data...)
	}
	for _, v := range crop.mask {
		all = append(all, float32(v))
	}
	a := npz.Array{Name: "data", Shape: []int{len(crop.data) + 1, crop.size[0], crop.size[1], crop.size[2]}, Data: all}
	if err := npz.Write(arraysFile(dir, kase.ID), []npz.Array{a}, true); err != nil {
		return fmt.Errorf("case %s: %w", kase.ID, err)
	}
	p := cropProperties(kase, crop)
	p.Key = caseKey(cropSetting, files)
	return writeProperties(dir, p, c.task.Dir)
}

// cropSetting stands for the plans in the key of a cropped case, which depends on none.
var cropSetting = fmt.Sprintf("cropped, version %d", version)

// croppedDone tells whether the cropped case need not be written: it is not wanted, or there.
func (c *cohort) croppedDone(kase task.Case, files []source) bool {
	if !c.options.KeepCropped {
		return true
	}
	dir := c.task.Folders.CroppedTask(c.task.Name)
	p, err := readProperties(dir, kase.ID)
	if err != nil || p.Key != caseKey(cropSetting, files) {
		return false
	}
	_, err = os.Stat(arraysFile(dir, kase.ID))
	return err == nil
}
