// Package phantom makes a small cohort of artificial scans in the raw nnU-Net layout, to try the whole workflow on.
package phantom

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Options say which cohort to make; the zero value means the defaults.
type Options struct {
	Cases     int    // for training; default 48
	TestCases int    // held out, in imagesTs and labelsTs; default 12, none if negative
	Seed      uint64 // the same seed gives the same files
	TaskID    int    // default 900
	Name      string // default "Phantom"
}

func (o Options) withDefaults() Options {
	if o.Cases == 0 {
		o.Cases = 48
	}
	if o.TestCases == 0 {
		o.TestCases = 12
	}
	o.TestCases = max(o.TestCases, 0)
	if o.TaskID == 0 {
		o.TaskID = 900
	}
	if o.Name == "" {
		o.Name = "Phantom"
	}
	return o
}

// TaskName is the full name of the task that Generate writes: Task900_Phantom by default.
func (o Options) TaskName() string {
	o = o.withDefaults()
	return fmt.Sprintf("Task%03d_%s", o.TaskID, o.Name)
}

// LesionsDir holds masks of the lesions of the held-out cases that have any, within the task's folder.
const LesionsDir = "lesionsTs"

// TruthFile lists the classes of the held-out cases, within the task's folder.
const TruthFile = "truthTs.csv"

const description = "Artificial scans made by uc demo: an organ of ellipsoids with texture and noise, with or without bright lesions. Not for medical use."

// Generate writes the cohort as a raw task under the data root dir (dir/raw/nnUNet_raw_data/TaskXXX_Name): images of
// one modality, ROI masks with two labels (cortex, medulla), two classification labels (Lesion: absent, present; Size:
// small, medium, large), balanced and crossed, and a few held-out cases with their classes in truthTs.csv and their
// lesions in lesionsTs. Scans are
// int16, about 36 to 48 voxels per axis, each with a spacing of its own. A cohort that an earlier run left there is
// replaced; anything else is an error.
func Generate(ctx context.Context, dir string, opt Options, r progress.Reporter) error {
	opt = opt.withDefaults()
	if opt.Cases < 1 {
		return fmt.Errorf("%d cases, expected 1 or more", opt.Cases)
	}
	folders, err := task.ResolveFolders(dir)
	if err != nil {
		return err
	}
	name := opt.TaskName()
	if _, ok := task.ParseName(name); !ok {
		return fmt.Errorf("%q is not a task name, expected TaskXXX_Name", name)
	}
	root := folders.RawTask(name)
	if err := removeEarlier(root); err != nil {
		return err
	}
	cohort := plan(opt)
	r.Stage("generating phantom scans", len(cohort))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range cohort {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s.write(root); err != nil {
				return err
			}
			r.Advance(s.id)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := writeTruth(filepath.Join(root, TruthFile), cohort); err != nil {
		return err
	}
	return writeDataset(filepath.Join(root, task.DatasetFile), name, cohort) // last: a task without it is not complete
}

// subject is one scan to make.
type subject struct {
	id     string
	test   bool
	lesion int // class of the label Lesion
	size   int // class of the label Size
	seed   [2]uint64
}

// plan crosses the two labels evenly and deals them out in random order, for training and test cases alike.
func plan(opt Options) []subject {
	var cohort []subject
	deal := func(n int, format string, test bool, stream uint64) {
		order := rand.New(rand.NewPCG(opt.Seed, stream)).Perm(n)
		for i := range n {
			cohort = append(cohort, subject{
				id: fmt.Sprintf(format, i+1), test: test,
				lesion: order[i] % 2, size: order[i] / 2 % len(sizeNames),
				seed: [2]uint64{opt.Seed, stream + 1 + uint64(i)},
			})
		}
	}
	deal(opt.Cases, "phantom_%03d", false, 0)
	deal(opt.TestCases, "phantom_test_%03d", true, 1<<32)
	return cohort
}

// write makes the scan's two files.
func (s subject) write(root string) error {
	images, labels := task.ImagesDir, task.LabelsDir
	dirs := []string{images, labels}
	if s.test {
		images, labels = "imagesTs", "labelsTs"
		dirs = []string{images, labels, LesionsDir}
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return fmt.Errorf("cannot create the task's folder: %w", err)
		}
	}
	image, mask, lesions := s.scan()
	if err := nifti.WriteInt16(filepath.Join(root, images, s.id+"_0000.nii.gz"), mask.Geometry, image); err != nil {
		return err
	}
	if s.test && s.lesion == 1 {
		if err := nifti.WriteMask(filepath.Join(root, LesionsDir, s.id+".nii.gz"), lesions); err != nil {
			return err
		}
	}
	return nifti.WriteMask(filepath.Join(root, labels, s.id+".nii.gz"), mask)
}

// numbered is a dataset.json object with the keys "0", "1", ...
func numbered(names []string) map[string]string {
	m := map[string]string{}
	for i, name := range names {
		m[strconv.Itoa(i)] = name
	}
	return m
}

func writeDataset(path, name string, cohort []subject) error {
	type label struct {
		Name    string            `json:"name"`
		Ordinal bool              `json:"ordinal"`
		Values  map[string]string `json:"values"`
	}
	type entry struct {
		Image  string `json:"image"`
		Label  string `json:"label"`
		Lesion int    `json:"Lesion"`
		Size   int    `json:"Size"`
	}
	d := struct {
		Name        string            `json:"name"`
		Description string            `json:"description"`
		Licence     string            `json:"licence"`
		ImageSize   string            `json:"tensorImageSize"`
		Modality    map[string]string `json:"modality"`
		Classes     []label           `json:"classification_labels"`
		Labels      map[string]string `json:"labels"`
		NumTraining int               `json:"numTraining"`
		NumTest     int               `json:"numTest"`
		Training    []entry           `json:"training"`
		Test        []string          `json:"test"`
	}{
		Name: name, Description: description, Licence: "CC0-1.0", ImageSize: "3D",
		Modality: numbered([]string{"MRI"}),
		Classes:  []label{{"Lesion", false, numbered(lesionNames)}, {"Size", true, numbered(sizeNames)}},
		Labels:   numbered(roiNames),
		Test:     []string{},
	}
	for _, s := range cohort {
		if s.test {
			d.Test = append(d.Test, "./imagesTs/"+s.id+".nii.gz")
			continue
		}
		d.Training = append(d.Training, entry{"./imagesTr/" + s.id + ".nii.gz", "./labelsTr/" + s.id + ".nii.gz", s.lesion, s.size})
	}
	d.NumTraining, d.NumTest = len(d.Training), len(d.Test)
	return jsonfile.Write(path, d, jsonfile.Indent)
}

func writeTruth(path string, cohort []subject) error {
	rows := [][]string{{"case", "Lesion", "Size"}}
	for _, s := range cohort {
		if s.test {
			rows = append(rows, []string{s.id, strconv.Itoa(s.lesion), strconv.Itoa(s.size)})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, b.Bytes())
}

// removeEarlier removes the files of an earlier cohort, and refuses a folder that holds something else.
func removeEarlier(root string) error {
	b, err := os.ReadFile(filepath.Join(root, task.DatasetFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !bytes.Contains(b, []byte(description)):
		return fmt.Errorf("%s: a task of your own lies here, and would be overwritten; choose another folder or task id", root)
	}
	for _, pattern := range []string{"images*/phantom_*.nii.gz", "labels*/phantom_*.nii.gz", LesionsDir + "/phantom_*.nii.gz", TruthFile, task.DatasetFile, task.OriginalFile} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Remove(f); err != nil {
				return fmt.Errorf("cannot replace the earlier cohort: %w", err)
			}
		}
	}
	return nil
}
