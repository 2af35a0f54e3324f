package duplicate

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/volume"
)

func viewOf(im *volume.Image) View {
	v := NewViewer(im.Geometry)
	for at := 0; at < len(im.Data); at += 1000 { // in parts, as they are read
		v.Visit(im.Data[at:min(at+1000, len(im.Data))])
	}
	return v.View()
}

func never(int, int) bool { return false }

func readAll(t *testing.T, pattern string, most int) []*volume.Image {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < most {
		t.Fatalf("%s: %d files (%v)", pattern, len(files), err)
	}
	var images []*volume.Image
	for _, f := range files[:most] {
		im, err := imagefile.ReadImage(f)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, im)
	}
	return images
}

// check wants no two of the images to be taken for one, and every changed copy to be recognised as that of its original
// alone.
func check(t *testing.T, images []*volume.Image, copied int) {
	t.Helper()
	var views []View
	for _, im := range images {
		views = append(views, viewOf(im))
	}
	pairs, err := Search(t.Context(), views, never)
	if err != nil || len(pairs) > 0 {
		t.Errorf("%d different scans: taken for one: %+v (%v)", len(images), pairs, err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for name, change := range changes {
		found := 0
		for i, im := range images[:copied] {
			with := append(slices.Clone(views), viewOf(change(rng, im)))
			pairs, err := Search(t.Context(), with, func(a, b int) bool { return b < len(views) })
			if err != nil {
				t.Fatal(err)
			}
			if len(pairs) == 1 && pairs[0].A == i && !pairs[0].Identical {
				found++
			} else if len(pairs) > 0 {
				t.Errorf("%s: the copy of scan %d: %+v", name, i, pairs)
			}
		}
		if found < copied*19/20 {
			t.Errorf("%s: %d of %d copies were recognised", name, found, copied)
		}
	}
}

func TestPhantoms(t *testing.T) {
	root := t.TempDir()
	if err := phantom.Generate(t.Context(), root, phantom.Options{Cases: 24, TestCases: -1, Seed: 3}, progress.Discard); err != nil {
		t.Fatal(err)
	}
	check(t, readAll(t, filepath.Join(root, "raw", "nnUNet_raw_data", "*", "imagesTr", "*.nii.gz"), 24), 6)
}

// Crops of hippocampi look more alike than most scans do.
func TestHippocampi(t *testing.T) {
	dir := testutil.Shared(t, "data", "raw", "nnUNet_raw_data", "Task004_Hippocampus", "imagesTr")
	check(t, readAll(t, filepath.Join(dir, "*.nii.gz"), 40), 6)
}

// The same voxels are identical whatever the header says of their place, and a scan turned in memory and header is the
// same picture.
func TestIdenticalAndTurned(t *testing.T) {
	root := t.TempDir()
	if err := phantom.Generate(t.Context(), root, phantom.Options{Cases: 2, TestCases: -1, Seed: 4}, progress.Discard); err != nil {
		t.Fatal(err)
	}
	images := readAll(t, filepath.Join(root, "raw", "nnUNet_raw_data", "*", "imagesTr", "*.nii.gz"), 2)
	moved, turned := *images[0], turn180(images[0])
	moved.Origin[0] += 100
	moved.Spacing[1] *= 2
	pairs, err := Search(t.Context(), []View{viewOf(images[0]), viewOf(images[1]), viewOf(&moved), viewOf(turned)}, never)
	if err != nil || len(pairs) != 3 || !pairs[0].Identical || pairs[0].B != 2 || pairs[1].Identical || pairs[1].B != 3 || pairs[1].Similarity < 0.99 {
		t.Errorf("%+v (%v)", pairs, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Search(ctx, []View{viewOf(images[0]), viewOf(images[1])}, never); err == nil {
		t.Error("an interrupted search has a result")
	}
}

// Scans without a picture, of a single slice or a single voxel do not fail, and are only ever identical.
func TestScansWithoutPicture(t *testing.T) {
	var views []View
	for i, size := range [][3]int{{4, 5, 6}, {4, 5, 7}, {1, 1, 1}, {1, 40, 50}, {70, 1, 3}, {4, 5, 6}} {
		im := &volume.Image{Geometry: volume.Geometry{Size: size, Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}}
		for range size[0] * size[1] * size[2] {
			im.Data = append(im.Data, float32(i%5))
		}
		views = append(views, viewOf(im))
	}
	pairs, err := Search(t.Context(), views, never)
	if err != nil || len(pairs) != 1 || pairs[0].A != 0 || pairs[0].B != 5 {
		t.Errorf("%+v (%v)", pairs, err)
	}
}

// turn180 turns a scan about z, in memory and in its header.
func turn180(im *volume.Image) *volume.Image {
	out := &volume.Image{Geometry: im.Geometry, Data: make([]float32, len(im.Data))}
	plane := im.Size[1] * im.Size[2]
	for i, v := range im.Data {
		out.Data[i/plane*plane+plane-1-i%plane] = v
	}
	for row := range 3 {
		out.Direction[3*row] = -out.Direction[3*row]
		out.Direction[3*row+1] = -out.Direction[3*row+1]
	}
	return out
}

// changes make copies of a scan that are the same picture.
var changes = map[string]func(*rand.Rand, *volume.Image) *volume.Image{
	"window of 5 to 95 %":  func(_ *rand.Rand, im *volume.Image) *volume.Image { return window(im, 0.05, 0.95) },
	"window of 25 to 90 %": func(_ *rand.Rand, im *volume.Image) *volume.Image { return window(im, 0.25, 0.9) },
	"0.6 of the voxels":    func(_ *rand.Rand, im *volume.Image) *volume.Image { return scaled(im, 0.6, 0.6, 0.6) },
	"1.5 of the voxels":    func(_ *rand.Rand, im *volume.Image) *volume.Image { return scaled(im, 1.5, 1.5, 1.5) },
	"half of the slices":   func(_ *rand.Rand, im *volume.Image) *volume.Image { return scaled(im, 0.5, 1, 1) },
	"shifted by 3 voxels":  func(_ *rand.Rand, im *volume.Image) *volume.Image { return shift(im, [3]int{3, -3, 3}, 0) },
	"shifted by a tenth": func(rng *rand.Rand, im *volume.Image) *volume.Image {
		var by [3]int
		by[rng.IntN(3)] = (2*rng.IntN(2) - 1) * im.Size[0] / 10
		return shift(im, by, 0)
	},
	"all at once": func(_ *rand.Rand, im *volume.Image) *volume.Image {
		return scaled(shift(window(im, 0.1, 0.95), [3]int{2, -2, 2}, 0), 0.7, 0.7, 0.7)
	},
}

func scaled(im *volume.Image, by ...float64) *volume.Image {
	size := im.Size
	for d := range 3 {
		size[d] = int(by[d] * float64(size[d]))
	}
	return resample(im, size)
}

func at(im *volume.Image, z, y, x float64) float64 {
	s := im.Size
	f := func(v float64, n int) (int, int, float64) {
		v = max(0, min(v, float64(n-1)))
		i := int(v)
		return i, min(i+1, n-1), v - float64(i)
	}
	z0, z1, fz := f(z, s[0])
	y0, y1, fy := f(y, s[1])
	x0, x1, fx := f(x, s[2])
	g := func(z, y, x int) float64 { return float64(im.Data[(z*s[1]+y)*s[2]+x]) }
	return (1-fz)*((1-fy)*((1-fx)*g(z0, y0, x0)+fx*g(z0, y0, x1))+fy*((1-fx)*g(z0, y1, x0)+fx*g(z0, y1, x1))) + fz*((1-fy)*((1-fx)*g(z1, y0, x0)+fx*g(z1, y0, x1))+fy*((1-fx)*g(z1, y1, x0)+fx*g(z1, y1, x1)))
}
func resample(im *volume.Image, size [3]int) *volume.Image {
	out := &volume.Image{Geometry: im.Geometry}
	out.Size = size
	for z := range size[0] {
		for y := range size[1] {
			for x := range size[2] {
				p := func(i, n, m int) float64 { return (float64(i)+0.5)*float64(m)/float64(n) - 0.5 }
				out.Data = append(out.Data, float32(at(im, p(z, size[0], im.Size[0]), p(y, size[1], im.Size[1]), p(x, size[2], im.Size[2]))))
			}
		}
	}
	return out
}
func shift(im *volume.Image, by [3]int, fill float32) *volume.Image {
	out := &volume.Image{Geometry: im.Geometry, Data: make([]float32, len(im.Data))}
	s := im.Size
	for z := range s[0] {
		for y := range s[1] {
			for x := range s[2] {
				a, b, c := z-by[0], y-by[1], x-by[2]
				v := fill
				if a >= 0 && a < s[0] && b >= 0 && b < s[1] && c >= 0 && c < s[2] {
					v = im.Data[(a*s[1]+b)*s[2]+c]
				}
				out.Data[(z*s[1]+y)*s[2]+x] = v
			}
		}
	}
	return out
}
func window(im *volume.Image, lo, hi float64) *volume.Image {
	sorted := slices.Clone(im.Data)
	slices.Sort(sorted)
	a, b := sorted[int(lo*float64(len(sorted)-1))], sorted[int(hi*float64(len(sorted)-1))]
	out := &volume.Image{Geometry: im.Geometry}
	for _, v := range im.Data {
		out.Data = append(out.Data, float32(math.Round(float64(max(0, min(1, (v-a)/(b-a))))*255)))
	}
	return out
}
