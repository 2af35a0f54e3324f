package preview

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"image/jpeg"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

func unpacked(t *testing.T, l Layer) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(l.Data))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// world is where a voxel (z, y, x) of an image lies: mm to the right, front and head.
func world(g volume.Geometry, v [3]int) [3]float64 {
	var out [3]float64
	for row := range 3 {
		out[row] = g.Origin[row]
		for axis := range 3 { // x, y, z
			out[row] += g.Direction[3*row+axis] * g.Spacing[2-axis] * float64(v[2-axis])
		}
	}
	return [3]float64{-out[0], -out[1], out[2]}
}

// However a scan is stored, its copy lies the same way and at the same place.
func TestCopiesLieWhereTheScanLies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, perm := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		for signs := range 8 {
			g := volume.Geometry{Size: [3]int{12, 17, 21}, Spacing: [3]float64{3, 1.5, 0.7}, Origin: [3]float64{5, -7, 11}}
			angle := 0.2 * r.Float64() // oblique, around the axis from feet to head
			turn := [9]float64{math.Cos(angle), -math.Sin(angle), 0, math.Sin(angle), math.Cos(angle), 0, 0, 0, 1}
			for axis := range 3 {
				sign := 1 - 2*float64(signs>>axis&1)
				for row := range 3 {
					g.Direction[3*row+axis] = sign * turn[3*row+perm[axis]]
				}
			}
			v := [3]int{r.IntN(12), r.IntN(17), r.IntN(21)}
			data := make([]float32, g.Voxels())
			data[(v[0]*17+v[1])*21+v[2]] = 1
			box := volume.Box{Max: g.Size}
			for d := range 3 {
				box.Min[d], box.Max[d] = r.IntN(v[d]+1), v[d]+1+r.IntN(g.Size[d]-v[d])
			}
			for _, voxels := range []int{math.MaxInt, 300} {
				grid := newGrid(g, box, voxels)
				m := newMean(grid)
				m.add(data)
				best := 0
				for i, x := range m.mean() {
					if x > m.mean()[best] {
						best = i
					}
				}
				at := [3]float64{float64(best % grid.size[2]), float64(best / grid.size[2] % grid.size[1]), float64(best / (grid.size[1] * grid.size[2]))}
				a, want, mm := grid.affine(), world(g, v), grid.spacing()
				distance, allowed := 0.0, 0.0
				for row := range 3 {
					p := a[4*row+3]
					for k := range 3 {
						p += a[4*row+k] * at[k]
					}
					distance += (p - want[row]) * (p - want[row])
					allowed += mm[row] * mm[row]
				}
				if voxels == math.MaxInt {
					allowed = 1e-12
				}
				if distance > allowed {
					t.Fatalf("axes %v, signs %03b, at most %d voxels: %.3f mm off", perm, signs, voxels, math.Sqrt(distance))
				}
				// The axes of the copy run to the head, the back and the left.
				if !(a[0] < 0 && a[5] < 0 && a[10] > 0) {
					t.Fatalf("axes %v, signs %03b: affine %v", perm, signs, a)
				}
				if n := grid.voxels(); n > voxels {
					t.Fatalf("%d voxels, at most %d were asked for", n, voxels)
				}
			}
		}
	}
}

// cohort writes images of noise, or of a gradient, with a mask in the middle.
func cohort(t *testing.T, n int, size [3]int, noise bool) []task.Case {
	t.Helper()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(3, 4))
	var cases []task.Case
	for i := range n {
		g := volume.Geometry{Size: size, Spacing: [3]float64{2, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
		image, mask := make([]int16, g.Voxels()), make([]int16, g.Voxels())
		for k := range image {
			z, y, x := k/(size[1]*size[2]), k/size[2]%size[1], k%size[2]
			image[k] = int16(10*x + y + z)
			if noise {
				image[k] = int16(r.IntN(4000) - 1000)
			}
			if z*3 >= size[0] && z*3 < 2*size[0] && y*3 >= size[1] && y*3 < 2*size[1] && x*3 >= size[2] && x*3 < 2*size[2] {
				mask[k] = 1 + int16(x%2)
			}
		}
		c := task.Case{ID: fmt.Sprintf("c%d", i), Images: []string{filepath.Join(dir, fmt.Sprintf("c%d_0000.nii", i))}, Mask: filepath.Join(dir, fmt.Sprintf("m%d.nii", i))}
		if err := nifti.WriteInt16(c.Images[0], g, image); err != nil {
			t.Fatal(err)
		}
		if err := nifti.WriteInt16(c.Mask, g, mask); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

func TestMake(t *testing.T) {
	cases := cohort(t, 3, [3]int{12, 60, 60}, false)
	if err := os.Truncate(cases[1].Images[0], 5000); err != nil {
		t.Fatal(err)
	}
	all, err := Make(context.Background(), cases, true, []string{"MRI"}, Options{Bytes: 1 << 22, Heat: func(_ context.Context, c task.Case) ([]Heat, error) {
		if c.ID == "c2" {
			return nil, fmt.Errorf("no network")
		}
		h := &volume.Image{Geometry: volume.Geometry{Size: [3]int{12, 60, 60}}, Data: make([]float32, 12*60*60)}
		h.Data[(6*60+30)*60+30] = 5
		return []Heat{{"fold 0", h}}, nil
	}}, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if all[1].Problem == "" || len(all[1].Images) > 0 {
		t.Errorf("a file that is cut off: %+v", all[1])
	}
	if all[2].NoHeat != "no network" || len(all[2].Images) != 1 {
		t.Errorf("without heat: %q", all[2].NoHeat)
	}
	c := all[0]
	if c.Reduced || !c.Cropped || c.Images[0].Name != "MRI" {
		t.Errorf("reduced %t, cropped %t, %s", c.Reduced, c.Cropped, c.Images[0].Name)
	}
	// The region is 4 x 20 x 20 voxels; around it come 15 mm.
	if want := [3]int{12, 50, 50}; c.Size != want {
		t.Errorf("size %v, want %v", c.Size, want)
	}
	roi, image, heat := unpacked(t, *c.ROI), unpacked(t, c.Images[0]), unpacked(t, c.Heats[0])
	n := 0
	for _, v := range roi {
		if v > 0 {
			n++
		}
	}
	if n != 4*20*20 || len(image) != len(roi) || len(heat) != len(roi) {
		t.Errorf("%d voxels in the region, want 1600; %d, %d and %d in all", n, len(image), len(roi), len(heat))
	}
	// The voxel (6, 30, 30) of the image is (6, 25, 25) of the crop, which turns the axes z of an image that is LPS not at
	// all.
	at := (6*50+25)*50 + 25
	if got, want := float64(image[at])*c.Images[0].Slope+c.Images[0].Inter, 336.0; math.Abs(got-want) > c.Images[0].Slope {
		t.Errorf("value %.1f, want %.0f", got, want)
	}
	if heat[at] != 255 {
		t.Errorf("the hottest voxel is %d", heat[at])
	}
	for name, b := range map[string][]byte{"thumbnail": c.Thumb, "slices": c.Slices} {
		if im, err := jpeg.Decode(bytes.NewReader(b)); err != nil || im.Bounds().Dx() < 100 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Noise, which does not compress, stays within the bytes however many cases there are; the more there are, the coarser
// they become.
func TestTheBoundHolds(t *testing.T) {
	one := cohort(t, 1, [3]int{40, 40, 40}, true)[0]
	one.Mask = ""
	before := math.MaxInt
	for _, n := range []int{4, 40, 120} {
		cases := make([]task.Case, n)
		for i := range cases {
			cases[i] = one
		}
		const limit = 3_000_000
		all, err := Make(context.Background(), cases, false, nil, Options{Bytes: limit}, progress.Discard)
		if err != nil {
			t.Fatal(err)
		}
		sum, made := 0, 0
		for _, c := range all {
			if c != nil {
				made++
				sum += c.Bytes()
			}
		}
		voxels := all[0].Size[0] * all[0].Size[1] * all[0].Size[2]
		if sum > limit || made != min(n, Room(limit)) || voxels > before || n > 4 && !all[0].Reduced {
			t.Errorf("%d cases: %d bytes in %d copies of %d voxels", n, sum, made, voxels)
		}
		t.Logf("%d cases: %d copies of %v in %d bytes", n, made, all[0].Size, sum)
		before = voxels
	}
}

func TestReadFull(t *testing.T) {
	c := cohort(t, 1, [3]int{5, 6, 7}, false)[0]
	f, err := ReadFull(context.Background(), c.Images[0], false)
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != "int16" || len(f.Data) != 2*5*6*7 || f.Size != [3]int{5, 6, 7} {
		t.Errorf("%s, %d bytes, %v", f.Type, len(f.Data), f.Size)
	}
	if m, err := ReadFull(context.Background(), c.Mask, true); err != nil || m.Type != "uint8" || len(m.Data) != 5*6*7 {
		t.Errorf("mask: %v, %+v", err, m)
	}
	if _, err := ReadFull(context.Background(), "absent.nii", false); err == nil || !strings.Contains(err.Error(), "absent.nii") {
		t.Errorf("an absent file: %v", err)
	}
	g := volume.Geometry{Size: [3]int{1, 1, 2}, Spacing: [3]float64{1, 1, 1}}
	path := filepath.Join(t.TempDir(), "x.nii")
	if err := nifti.WriteImage(path, &volume.Image{Geometry: g, Data: []float32{0.5, float32(math.Inf(1))}}); err != nil {
		t.Fatal(err)
	}
	if f, err := ReadFull(context.Background(), path, false); err != nil || f.Type != "float32" || !bytes.Equal(f.Data[4:], []byte{0, 0, 0, 0}) {
		t.Errorf("float32: %v, %+v", err, f)
	}
}
