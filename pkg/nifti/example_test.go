package nifti_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/pkg/nifti"
)

// folder is a folder for the examples' files.
func folder() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "nifti")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// writeRamp writes a scan of 2 x 3 x 4 voxels that hold 0, 1, 2, ...
func writeRamp(path string) error {
	im, err := nifti.NewImage(nifti.Geometry{Size: [3]int{2, 3, 4}, Spacing: [3]float64{2.5, 0.5, 0.5}}, nil)
	if err != nil {
		return err
	}
	for i := range im.Data {
		im.Data[i] = float32(i)
	}
	return nifti.WriteImage(path, im)
}

// An array becomes a file. Without a direction the axes are those of ITK (LPS).
func ExampleWriteImage() {
	dir, remove := folder()
	defer remove()
	path := filepath.Join(dir, "scan.nii.gz")

	im, err := nifti.NewImage(nifti.Geometry{
		Size:    [3]int{2, 3, 4},            // voxels along z, y, x
		Spacing: [3]float64{2.5, 0.5, 0.5},  // mm along z, y, x
		Origin:  [3]float64{-12.5, 8, 1200}, // mm along x, y, z
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	const z, y, x = 1, 2, 3
	im.Data[(z*3+y)*4+x] = 42
	if err := nifti.WriteImage(path, im); err != nil {
		log.Fatal(err)
	}

	h, err := nifti.ReadHeader(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Size, h.Spacing, h.Origin, h.Datatype, nifti.Orientation(h.Geometry))
	// Output: [2 3 4] [2.5 0.5 0.5] [-12.5 8 1200] float32 LPS
}

func ExampleReadImage() {
	dir, remove := folder()
	defer remove()
	path := filepath.Join(dir, "scan.nii.gz")
	if err := writeRamp(path); err != nil {
		log.Fatal(err)
	}

	im, err := nifti.ReadImage(path)
	if err != nil {
		log.Fatal(err)
	}
	const z, y, x = 1, 2, 3
	fmt.Println(im.Size, im.Spacing)
	fmt.Println("voxel (x 3, y 2, z 1):", im.Data[(z*im.Size[1]+y)*im.Size[2]+x])
	// Output:
	// [2 3 4] [2.5 0.5 0.5]
	// voxel (x 3, y 2, z 1): 23
}

// Scan finds the largest voxel without holding the volume in memory; ErrStop ends it early.
func ExampleScan() {
	dir, remove := folder()
	defer remove()
	path := filepath.Join(dir, "scan.nii.gz")
	if err := writeRamp(path); err != nil {
		log.Fatal(err)
	}

	var largest float32
	err := nifti.Scan(path, func(_ *nifti.Header, values []float32) error {
		for _, v := range values {
			largest = max(largest, v)
		}
		return nil
	})
	fmt.Println(largest, err)

	err = nifti.Scan(path, func(h *nifti.Header, values []float32) error {
		if h.Size[0] < 3 {
			return errors.New("too few slices")
		}
		return nifti.ErrStop
	})
	fmt.Println(err)
	// Output:
	// 23 <nil>
	// too few slices
}
