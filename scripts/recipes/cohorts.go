package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// cohort is a task to train on. make writes its raw folder.
type cohort struct {
	name, task, title string
	label             int // index of the label that the tables show
	// officialVal is the prefix of the validation cases of the published split; "" where there is none.
	officialVal string
	write       func(ctx context.Context, data, dir string) error
}

var cohorts = []cohort{
	{"adrenal", "Task801_Adrenal", "AdrenalMNIST3D (1286 cases of train and validation)", 0, "val_", medMNIST("adrenalmnist3d_trainval.npz", "Mass", "normal", "mass")},
	{"vessel", "Task802_Vessel", "VesselMNIST3D (1526 cases of train and validation)", 0, "val_", medMNIST("vesselmnist3d_trainval.npz", "Aneurysm", "vessel", "aneurysm")},
	{"volume", "Task803_HippocampusVolume", "Hippocampus, Volume, with masks (100 cases)", 0, "", hippocampus("Volume", true)},
	{"volume-without-masks", "Task804_HippocampusVolumeNoMask", "Hippocampus, Volume, without masks (100 cases)", 0, "", hippocampus("Volume", false)},
	{"share", "Task805_HippocampusShare", "Hippocampus, AnteriorShare, with masks (100 cases)", 0, "", hippocampus("AnteriorShare", true)},
	{"share-without-masks", "Task806_HippocampusShareNoMask", "Hippocampus, AnteriorShare, without masks (100 cases)", 0, "", hippocampus("AnteriorShare", false)},
	{"phantom", "Task807_Phantom", "Phantoms (48 cases)", 0, "", func(ctx context.Context, _, dir string) error {
		return phantom.Generate(ctx, filepath.Dir(filepath.Dir(dir)), phantom.Options{TaskID: 807, TestCases: -1}, progress.Discard)
	}},
}

func cohortNames() (names []string) {
	for _, c := range cohorts {
		names = append(names, c.name)
	}
	return names
}

// medMNIST writes a MedMNIST file of 28 x 28 x 28 images; cases are train_NNNN and val_NNNN.
func medMNIST(file, label string, classes ...string) func(context.Context, string, string) error {
	return func(ctx context.Context, data, dir string) error {
		arrays, err := npz.Read(filepath.Join(data, "medmnist", file))
		if err != nil {
			return err
		}
		var training []map[string]any
		for _, part := range []string{"train", "val"} {
			images, labels := arrays[part+"_images"], arrays[part+"_labels"].Float64s()
			values, size := images.Floats(), images.Shape
			voxels := size[1] * size[2] * size[3]
			for i := range size[0] {
				if err := ctx.Err(); err != nil {
					return err
				}
				id := fmt.Sprintf("%s_%04d", part, i)
				im := &volume.Image{Geometry: volume.Geometry{Size: [3]int(size[1:]), Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}},
					Data: values[i*voxels:][:voxels]}
				if err := nifti.WriteImage(filepath.Join(dir, "imagesTr", id+"_0000.nii.gz"), im); err != nil {
					return err
				}
				training = append(training, map[string]any{"image": "./imagesTr/" + id + ".nii.gz", label: int(labels[i])})
			}
		}
		return writeDataset(dir, map[string]any{
			"name": file, "modality": map[string]string{"0": "shape"}, "training": training,
			"classification_labels": []any{labelOf(label, classes)},
		})
	}
}

func labelOf(name string, classes []string) map[string]any {
	values := map[string]string{}
	for i, c := range classes {
		values[fmt.Sprint(i)] = c
	}
	return map[string]any{"name": name, "ordinal": false, "values": values}
}

// hippocampus links the images (and masks) of Task004_Hippocampus with one of its labels.
func hippocampus(label string, masks bool) func(context.Context, string, string) error {
	return func(_ context.Context, data, dir string) error {
		from, err := filepath.Abs(filepath.Join(data, "raw", "nnUNet_raw_data", "Task004_Hippocampus"))
		if err != nil {
			return err
		}
		var d map[string]any
		if err := jsonfile.Read(filepath.Join(from, task.DatasetFile), &d); err != nil {
			return err
		}
		var kept []any
		for _, l := range d["classification_labels"].([]any) {
			if l.(map[string]any)["name"] == label {
				kept = append(kept, l)
			}
		}
		d["classification_labels"] = kept
		for _, entry := range d["training"].([]any) {
			e := entry.(map[string]any)
			for _, other := range []string{"Volume", "AnteriorShare"} {
				if other != label {
					delete(e, other)
				}
			}
			if !masks {
				delete(e, "label")
			}
		}
		folders := []string{"imagesTr"}
		if masks {
			folders = append(folders, "labelsTr")
		} else {
			delete(d, "labels")
		}
		for _, folder := range folders {
			files, err := os.ReadDir(filepath.Join(from, folder))
			if err != nil {
				return err
			}
			for _, f := range files {
				to := filepath.Join(dir, folder, f.Name())
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					return err
				}
				if err := os.Symlink(filepath.Join(from, folder, f.Name()), to); err != nil {
					return err
				}
			}
		}
		return writeDataset(dir, d)
	}
}

func writeDataset(dir string, d map[string]any) error {
	return jsonfile.Write(filepath.Join(dir, task.DatasetFile), d, " ")
}
