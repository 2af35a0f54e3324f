package nifti

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatIsWrittenIsRead writes volumes of random size and place, and reads them back.
func TestWhatIsWrittenIsRead(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		g := Geometry{Direction: randomDirection(rng)}
		for i := range 3 {
			g.Size[i] = 1 + rng.IntN(9)
			g.Spacing[i] = 0.3 + 3*rng.Float64()
			g.Origin[i] = 200 * (rng.Float64() - 0.5)
		}
		if round == 0 {
			g.Size = [3]int{1, 1, 40000} // too long for NIfTI-1
		}
		im := &Image{Geometry: g, Data: make([]float32, g.Voxels())}
		m := &Mask{Geometry: g, Data: make([]int16, g.Voxels())}
		for i := range im.Data {
			im.Data[i], m.Data[i] = float32(rng.NormFloat64()), int16(rng.IntN(1<<16)-1<<15)
		}
		for _, name := range []string{"a.nii", "a.nii.gz"} {
			path := filepath.Join(t.TempDir(), name)
			if err := WriteImage(path, im); err != nil {
				t.Fatal(err)
			}
			got, err := ReadImage(path)
			if err != nil {
				t.Fatal(err)
			}
			samePlace(t, got.Geometry, g, 1e-5)
			for i := range im.Data {
				if got.Data[i] != im.Data[i] {
					t.Fatalf("voxel %d is %g, want %g", i, got.Data[i], im.Data[i])
				}
			}
			if err := WriteMask(path, m); err != nil {
				t.Fatal(err)
			}
			back, err := ReadMask(path)
			if err != nil {
				t.Fatal(err)
			}
			samePlace(t, back.Geometry, g, 1e-5)
			for i := range m.Data {
				if back.Data[i] != m.Data[i] {
					t.Fatalf("label %d is %d, want %d", i, back.Data[i], m.Data[i])
				}
			}
		}
		// The qform alone must say the same as the sform, for readers that look there; near half a turn the standard's
		// three float32 components carry no more than three digits.
		b, err := encodeHeader(g, 4)
		if err != nil {
			t.Fatal(err)
		}
		n, order := headerLen(b)
		fields, err := decodeHeader(b[:n], order)
		if err != nil {
			t.Fatal(err)
		}
		fields.sformCode = 0
		var h Header
		fields.place(&h)
		h.Size = g.Size
		samePlace(t, h.Geometry, g, 1e-3)
	}
}

func samePlace(t *testing.T, got, want Geometry, tolerance float64) {
	t.Helper()
	if got.Size != want.Size {
		t.Fatalf("size %v, want %v", got.Size, want.Size)
	}
	for i := range 3 {
		if math.Abs(got.Spacing[i]-want.Spacing[i]) > 1e-5 || math.Abs(got.Origin[i]-want.Origin[i]) > 1e-5 {
			t.Fatalf("geometry %+v, want %+v", got, want)
		}
	}
	for i := range 9 {
		if math.Abs(got.Direction[i]-want.Direction[i]) > tolerance {
			t.Fatalf("direction %v, want %v", got.Direction, want.Direction)
		}
	}
}

// randomDirection is a random rotation, mirrored every second time.
func randomDirection(rng *rand.Rand) [9]float64 {
	r := rawHeader{qformCode: 1}
	for i := range r.quatern {
		r.quatern[i] = rng.NormFloat64()
	}
	r.quatern = normalised(r.quatern, rng.Float64())
	if rng.IntN(2) == 1 {
		r.pixdim[0] = -1
	}
	q := r.qform([3]float64{1, 1, 1})
	var d [9]float64
	for i := range 9 {
		d[i] = q[i/3][i%3]
	}
	return d
}

func normalised(v [3]float64, length float64) [3]float64 {
	norm := 0.0
	for _, x := range v {
		norm += x * x
	}
	for i := range v {
		v[i] *= length / max(1e-9, math.Sqrt(norm))
	}
	return v
}

func TestWriteRefusesNonsense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.nii.gz")
	g := Geometry{Size: [3]int{2, 2, 2}, Direction: identity}
	if err := WriteInt16(path, g, make([]int16, 7)); err == nil {
		t.Error("seven voxels were written as eight")
	}
	g.Size[1] = 0
	if err := WriteInt16(path, g, nil); err == nil {
		t.Error("an empty volume was written")
	}
	if err := WriteInt16(filepath.Join(t.TempDir(), "none", "a.nii"), Geometry{Size: [3]int{1, 1, 1}}, make([]int16, 1)); err == nil {
		t.Error("written into a folder that does not exist")
	}
}

// The sform carries a shear whole; the qform, which cannot, keeps the plane of the slices.
func TestShearedPlacement(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.nii")
	im := &Image{Geometry: Geometry{
		Size: [3]int{2, 2, 2}, Spacing: [3]float64{2.5, 0.7, 0.8}, Origin: [3]float64{1, 2, 3}, Direction: [9]float64{1, 0, 0, 0, 1, 0.2, 0, 0, 1},
	}, Data: make([]float32, 8)}
	if err := WriteImage(path, im); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const srow = 280
	for i, want := range []float32{-0.8, 0, 0, -1, 0, -0.7, -0.5, -2, 0, 0, 2.5, 3} {
		if got := math.Float32frombits(binary.NativeEndian.Uint32(b[srow+4*i:])); math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("sform %d: %v, want %v", i, got, want)
		}
	}
	h, err := ReadHeader(path)
	if err != nil || h.Spacing != [3]float64{float64(float32(2.5)), float64(float32(0.7)), float64(float32(0.8))} || h.SpacingDoubt != "" {
		t.Fatalf("%v, spacing %v, %q", err, h.Spacing, h.SpacingDoubt)
	}
	for i, want := range identity {
		if math.Abs(h.Direction[i]-want) > 1e-6 {
			t.Errorf("direction %v", h.Direction)
			break
		}
	}
}
