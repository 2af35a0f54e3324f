package nifti

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkReadImage reads an int16 volume of 256 x 256 x 128 with the entropy of a scan; MB/s of decompressed voxels.
func BenchmarkReadImage(b *testing.B) {
	g := Geometry{Size: [3]int{128, 256, 256}, Spacing: [3]float64{1, 1, 1}, Direction: identity}
	data := make([]int16, g.Voxels())
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range data {
		data[i] = int16(300 + 20*rng.NormFloat64())
		if i/256%256 < 60 {
			data[i] = 0 // air
		}
	}
	for _, name := range []string{"a.nii", "a.nii.gz"} {
		path := filepath.Join(b.TempDir(), name)
		if err := WriteInt16(path, g, data); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(2 * len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadImage(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadFile reads the file that UC_BENCH_FILE names; scripts/bench_preprocess.py times it against nibabel.
func BenchmarkReadFile(b *testing.B) {
	path := os.Getenv("UC_BENCH_FILE")
	if path == "" {
		b.Skip("UC_BENCH_FILE names no file")
	}
	for b.Loop() {
		if _, err := ReadImage(path); err != nil {
			b.Fatal(err)
		}
	}
}
