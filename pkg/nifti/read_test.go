package nifti

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	gonii "github.com/okieraised/gonii/pkg/nifti"
	"github.com/universal-classifier/uc/internal/testutil"
)

// TestEveryType reads every real type, in both versions and byte orders, with and without compression and scaling.
func TestEveryType(t *testing.T) {
	types := map[int32][]float64{ // extreme values that float32 holds exactly
		gonii.DT_UINT8:   {0, 1, 127, 128, 255},
		gonii.DT_INT8:    {0, -128, -1, 1, 127},
		gonii.DT_UINT16:  {0, 1, 32768, 65535},
		gonii.DT_INT16:   {-32768, -1, 0, 1, 32767},
		gonii.DT_UINT32:  {0, 1, 1 << 31, 0xffffff00},
		gonii.DT_INT32:   {-1 << 31, -1, 0, 1, 0x7fffff80},
		gonii.DT_UINT64:  {0, 1, 1 << 40, 1 << 63},
		gonii.DT_INT64:   {-1 << 63, -1, 0, 1 << 40},
		gonii.DT_FLOAT32: {-1.5, 0, 3.25e30, math.SmallestNonzeroFloat32},
		gonii.DT_FLOAT64: {-1.5, 0, 3.25, 1.0 / 3},
	}
	for datatype, extremes := range types {
		for _, version := range []int{1, 2} {
			for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
				for _, name := range []string{"a.nii", "a.nii.gz"} {
					for _, scale := range [][2]float64{{0, 5}, {1, 0}, {0.5, 3}, {-2, 0}, {math.NaN(), 1}} {
						s := newSpec()
						s.version, s.order, s.datatype, s.slope, s.inter = version, order, datatype, scale[0], scale[1]
						values := append(extremes, ramp(24-len(extremes))...)
						s.voxels = s.encode(values)
						where := fmt.Sprintf("%s v%d %v %s slope %g", Datatype(datatype), version, order, name, scale[0])
						im, err := ReadImage(s.write(t, name))
						if err != nil {
							t.Fatalf("%s: %v", where, err)
						}
						if im.Size != [3]int{2, 3, 4} || im.Spacing != [3]float64{2.5, 1.5, 0.5} {
							t.Fatalf("%s: geometry %+v", where, im.Geometry)
						}
						for i, v := range values {
							want := float32(v)
							if slope := scale[0]; slope != 0 && slope == slope { // slope 0 or NaN: unscaled
								want = float32(v*slope + scale[1])
							}
							if im.Data[i] != want {
								t.Fatalf("%s: voxel %d is %g, want %g", where, i, im.Data[i], want)
							}
						}
					}
				}
			}
		}
	}
}

// What ITK reads (SimpleITK 2.5.7): NaN and infinities are 0 before slope and intercept are applied, and float64 that
// float32 cannot hold is infinite once it is float32.
func TestNaNAndInfinityAreZero(t *testing.T) {
	for _, datatype := range []int32{gonii.DT_FLOAT32, gonii.DT_FLOAT64} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, scale := range [][2]float64{{0, 0}, {2, 5}} {
				for at := range 5 { // both halves of a word, and what is left over
					s := newSpec()
					s.datatype, s.order, s.slope, s.inter = datatype, order, scale[0], scale[1]
					s.dim = []int{1, 1, 25}
					values := ramp(25)
					values[at], values[at+10], values[24-at] = math.NaN(), math.Inf(-1), math.Inf(1)
					values[23-at] = -math.MaxFloat32
					s.voxels = s.encode(values)
					im, err := ReadImage(s.write(t, "a.nii.gz"))
					if err != nil {
						t.Fatal(err)
					}
					if im.NonFinite != 3 {
						t.Errorf("%d voxels are not finite, want 3", im.NonFinite)
					}
					for i, v := range values {
						if v-v != 0 {
							v = 0
						}
						if scale[0] != 0 {
							v = v*scale[0] + scale[1]
						}
						if im.Data[i] != float32(v) {
							t.Errorf("datatype %d, %v, scale %v: voxel %d is %g, want %g", datatype, order, scale, i, im.Data[i], v)
						}
					}
				}
			}
		}
	}
	s := newSpec()
	s.datatype = gonii.DT_FLOAT64
	values := ramp(24)
	values[3] = 1e300
	s.voxels = s.encode(values)
	im, err := ReadImage(s.write(t, "a.nii.gz"))
	if err != nil || !math.IsInf(float64(im.Data[3]), 1) || im.NonFinite != 0 {
		t.Errorf("1e300 is read as %g, %d not finite (%v)", im.Data[3], im.NonFinite, err)
	}
}

func TestUnusualButGood(t *testing.T) {
	tests := map[string]func(*spec){
		"extensions between header and voxels": func(s *spec) { s.offset = 1024 },
		"trailing dimensions of one":           func(s *spec) { s.dim = []int{4, 3, 2, 1, 1} },
		"two dimensions":                       func(s *spec) { s.dim = []int{4, 6} },
		"bytes behind the voxels":              func(s *spec) { s.voxels = append(s.voxels, make([]byte, 100)...) },
	}
	for name, change := range tests {
		for _, file := range []string{"a.nii", "a.nii.gz"} {
			s := newSpec()
			change(&s)
			im, err := ReadImage(s.write(t, file))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if len(im.Data) != 24 || im.Data[0] != 0 || im.Data[23] != 23 {
				t.Errorf("%s: read %v", name, im.Data)
			}
		}
	}
	t.Run("gzip under a plain name", func(t *testing.T) {
		if _, err := ReadImage(writeFile(t, "a.nii", compress(newSpec().bytes()))); err != nil {
			t.Error(err)
		}
	})
	t.Run("several gzip members", func(t *testing.T) {
		b := newSpec().bytes()
		im, err := ReadImage(writeFile(t, "a.nii.gz", append(compress(b[:370]), compress(b[370:])...)))
		if err != nil || im.Data[23] != 23 {
			t.Errorf("%v", err)
		}
	})
}

// TestOddButWhole reads files that ITK reads and that hold every voxel; what is odd is told.
func TestOddButWhole(t *testing.T) {
	plain := newSpec().bytes()
	dims := func(n ...byte) []byte { // of the header's eight, as they stand in the file
		b := make([]byte, 16)
		for i, v := range n {
			b[2*i] = v
		}
		return patch(plain, 40, b...)
	}
	packed := compress(plain)
	for name, test := range map[string]struct {
		file []byte
		note string // empty: none
	}{
		"dim[4] is 0":               {dims(4, 4, 3, 2, 0), ""},
		"dim[4] to dim[7] are 0":    {dims(7, 4, 3, 2), ""},
		"dim[5] is 0":               {dims(5, 4, 3, 2, 1, 0), ""},
		"dim[4] is negative":        {patch(dims(4, 4, 3, 2), 48, 0xff, 0xff), ""},
		"8 bits per voxel of int16": {patch(plain, 72, 8, 0), "8 bits per voxel"},
		"no bits per voxel":         {patch(plain, 72, 0, 0), ""},
		"-1 bits per voxel":         {patch(plain, 72, 0xff, 0xff), "-1 bits per voxel"},
		"newline at the end":        {append(bytes.Clone(packed), '\n'), "follow the compressed data"},
		"text at the end":           {append(bytes.Clone(packed), "-- end of upload --"...), "follow the compressed data"},
		"zeros at the end":          {append(bytes.Clone(packed), make([]byte, 512)...), ""},
		"more than a buffer":        {append(bytes.Clone(packed), strings.Repeat("x", 1<<20)...), "follow the compressed data"},
	} {
		path := writeFile(t, "a.nii.gz", test.file)
		im, err := ReadImage(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		mask, err := ReadMask(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(im.Data) != 24 || im.Data[23] != 23 || im.Size != [3]int{2, 3, 4} || len(mask.Data) != 24 || mask.Data[23] != 23 {
			t.Errorf("%s: size %v, read %v", name, im.Size, im.Data)
		}
		for _, notes := range [][]string{im.Notes, mask.Notes} {
			if all := strings.Join(notes, "; "); (all == "") != (test.note == "") || !strings.Contains(all, test.note) {
				t.Errorf("%s: notes %q, want %q", name, notes, test.note)
			}
		}
	}
	// What follows must not stand for voxels that are missing.
	short := newSpec()
	short.voxels = short.voxels[:len(short.voxels)-4]
	if _, err := ReadImage(writeFile(t, "a.nii.gz", append(compress(short.bytes()), strings.Repeat("x", 100)...))); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("short: %v", err)
	}
}

// TestRefused checks that what cannot be read ends in one line that names the file, what was found and what to do.
func TestRefused(t *testing.T) {
	good := newSpec().bytes()
	packed := compress(good)
	damaged := append([]byte(nil), packed...)
	damaged[len(damaged)-6] ^= 0xff // the checksum
	flipped := append([]byte(nil), packed...)
	flipped[40] ^= 0xff
	build := func(change func(*spec)) []byte {
		s := newSpec()
		change(&s)
		return s.bytes()
	}
	claim := func(dim ...int) []byte {
		return build(func(s *spec) { s.version, s.dim = 2, dim })
	}
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty file", nil, "truncated"},
		{"two bytes", []byte{1, 2}, "truncated"},
		{"no NIfTI", []byte(strings.Repeat("text", 200)), "not a NIfTI file"},
		{"header cut off", good[:200], "truncated"},
		{"voxels cut off", good[:len(good)-1], "truncated"},
		{"gzip cut off", packed[:len(packed)-20], "truncated"},
		{"gzip without its end", packed[:len(packed)-4], "truncated"},
		{"gzip checksum", damaged, "damaged"},
		{"gzip data", flipped, "damaged"},
		{"10^12 voxels", claim(10000, 10000, 10000), "10000x10000x10000"},
		{"10^12 voxels, compressed", compress(claim(10000, 10000, 10000)), "10000x10000x10000"},
		{"sizes that overflow", claim(1<<40, 1<<40, 1<<40), "claims a size"},
		{"size 0", build(func(s *spec) { s.dim = []int{4, 0, 2} }), "size 0"},
		{"slices 0", build(func(s *spec) { s.dim = []int{4, 3, 0} }), "size 0 along dimension 3"},
		{"negative size", build(func(s *spec) { s.dim = []int{4, -3, 2} }), "size -3"},
		{"no dimensions", build(func(s *spec) { s.dim = nil }), "0 dimensions"},
		{"4D", build(func(s *spec) { s.dim = []int{2, 3, 2, 2} }), "4-dimensional"},
		{"complex", build(func(s *spec) { s.datatype = gonii.DT_COMPLEX64 }), "complex"},
		{"RGB", build(func(s *spec) { s.datatype = gonii.DT_RGB24 }), "colours"},
		{"RGBA", build(func(s *spec) { s.datatype = gonii.DT_RGBA32 }), "colours"},
		{"binary", build(func(s *spec) { s.datatype = gonii.DT_BINARY }), "not supported"},
		{"float128", build(func(s *spec) { s.datatype = gonii.DT_FLOAT128 }), "not supported"},
		{"unknown type", build(func(s *spec) { s.datatype = 77 }), "code 77"},
		{"offset within the header", patch(good, 108, 0, 0, 0x80, 0x42), "byte 64"},
		{"offset NaN", patch(good, 108, 0, 0, 0xc0, 0x7f), "byte NaN"},
		{"offset beyond the file", build(func(s *spec) { s.offset = 352 })[:352], "truncated"},
		{"pair", patch(good, 344, 'n', 'i', '1', 0), ".hdr/.img"},
		{"Analyze", patch(good, 344, 0, 0, 0, 0), "Analyze"},
		{"NIfTI-2 signature", patch(claim(4, 3, 2), 8, 0), "signature"},
		{"intercept NaN", build(func(s *spec) { s.slope, s.inter = 2, math.NaN() }), "scl_inter"},
	}
	for _, test := range tests {
		path := writeFile(t, "case_0000.nii.gz", test.file)
		_, err := ReadImage(path)
		if err == nil {
			t.Errorf("%s: read without an error", test.name)
			continue
		}
		if message := err.Error(); !strings.Contains(message, test.want) || !strings.HasPrefix(message, path+": ") || strings.Contains(message, "\n") {
			t.Errorf("%s: message %q, want one line with the file and %q", test.name, message, test.want)
		}
		if _, err := ReadMask(path); err == nil {
			t.Errorf("%s: read as a mask without an error", test.name)
		}
	}
	if _, err := ReadImage(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
	if _, err := ReadImage("no-such-file.nii.gz"); !os.IsNotExist(err) {
		t.Errorf("missing file: %v", err)
	}
}

func patch(b []byte, at int, with ...byte) []byte {
	b = append([]byte(nil), b...)
	copy(b[at:], with)
	return b
}

func TestReadMask(t *testing.T) {
	tests := []struct {
		name     string
		datatype int32
		slope    float64
		value    float64
		want     int16
		ok       bool
	}{
		{"uint8", gonii.DT_UINT8, 0, 3, 3, true},
		{"float", gonii.DT_FLOAT64, 0, 3, 3, true},
		{"negative", gonii.DT_INT16, 0, -1, -1, true},
		{"scaled to whole numbers", gonii.DT_UINT8, 0.5, 4, 2, true},
		{"fraction", gonii.DT_FLOAT32, 0, 0.5, 0, false},
		{"NaN", gonii.DT_FLOAT32, 0, math.NaN(), 0, true},
		{"too large", gonii.DT_INT32, 0, 40000, 0, false},
	}
	for _, test := range tests {
		s := newSpec()
		s.datatype, s.slope = test.datatype, test.slope
		values := make([]float64, 24)
		values[7] = test.value
		s.voxels = s.encode(values)
		m, err := ReadMask(s.write(t, "a.nii.gz"))
		if (err == nil) != test.ok {
			t.Errorf("%s: error %v", test.name, err)
		} else if test.ok && m.Data[7] != test.want {
			t.Errorf("%s: %d, want %d", test.name, m.Data[7], test.want)
		}
	}
}

// TestEveryLength decodes runs of all short lengths, so that the parts that go by words and what they leave over are
// both met.
func TestEveryLength(t *testing.T) {
	for _, datatype := range []int32{gonii.DT_UINT8, gonii.DT_INT16, gonii.DT_FLOAT32} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for n := 1; n <= 17; n++ {
				s := newSpec()
				s.datatype, s.order, s.dim = datatype, order, []int{n, 1, 1}
				values := make([]float64, n)
				for i := range values {
					values[i] = float64(i*37%128 + 1)
					if datatype != gonii.DT_UINT8 && i%2 == 1 {
						values[i] *= -251
					}
				}
				s.voxels = s.encode(values)
				path := s.write(t, "a.nii")
				im, err := ReadImage(path)
				if err != nil {
					t.Fatal(err)
				}
				m, err := ReadMask(path)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range values {
					if im.Data[i] != float32(v) || m.Data[i] != int16(v) {
						t.Fatalf("%s %v, %d voxels: voxel %d is %g and %d, want %g", Datatype(datatype), order, n, i, im.Data[i], m.Data[i], v)
					}
				}
			}
		}
	}
}

// TestClaimsCostNoMemory reads a small file that claims the most it can get away with.
func TestClaimsCostNoMemory(t *testing.T) {
	s := newSpec()
	s.version, s.dim = 2, []int{400, 400, 400}
	s.voxels = make([]byte, 1<<20) // 64 M voxels claimed, 0.5 M there
	b := compress(s.bytes())
	b = append(b, make([]byte, 200_000)...) // padding that lifts the bound
	path := writeFile(t, "a.nii.gz", b)
	var err error
	if got := testutil.Allocated(func() { _, err = ReadImage(path) }); got > 32<<20 {
		t.Errorf("%d MiB allocated", got>>20)
	}
	if err == nil {
		t.Error("no error")
	}
}
