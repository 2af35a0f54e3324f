package metaimage

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/volume"
)

// TestSimpleITK reads files that SimpleITK wrote.
func TestSimpleITK(t *testing.T) {
	var expected map[string]struct {
		Size              [3]int
		Spacing, Origin   [3]float64
		Direction, Voxels []float64
	}
	b, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &expected); err != nil || len(expected) != 3 {
		t.Fatalf("%d files, %v", len(expected), err)
	}
	for name, want := range expected {
		im, err := ReadImage(filepath.Join("testdata", name))
		if err != nil {
			t.Error(err)
			continue
		}
		s, p := want.Size, want.Spacing
		if im.Size != [3]int{s[2], s[1], s[0]} || im.Spacing != [3]float64{p[2], p[1], p[0]} || im.Origin != want.Origin {
			t.Errorf("%s: geometry %+v, want %+v", name, im.Geometry, want)
		}
		for i, d := range want.Direction {
			if math.Abs(im.Direction[i]-d) > 1e-12 {
				t.Errorf("%s: direction %v, want %v", name, im.Direction, want.Direction)
				break
			}
		}
		for i, v := range want.Voxels {
			if im.Data[i] != float32(v) {
				t.Errorf("%s: voxel %d is %g, want %g", name, i, im.Data[i], v)
				break
			}
		}
	}
	m, err := ReadMask("testdata/labels.mhd")
	if err != nil || m.Data[2] != 2 || len(m.Data) != 24 {
		t.Errorf("mask %v, %v", m, err)
	}
	files, err := Files("testdata/labels.mhd")
	if err != nil || !slices.Equal(files, []string{"testdata/labels.mhd", filepath.Join("testdata", "labels.zraw")}) {
		t.Errorf("files %v, %v", files, err)
	}
}

// spec describes a MetaImage to build without the code under test.
type spec struct {
	header []string // without ElementType and ElementDataFile
	kind   string
	order  binary.ByteOrder
	values []float64
	how    string // "raw", "zlib", "zlib without size", "gzip", "text"
}

func newSpec() spec {
	s := spec{header: []string{"ObjectType = Image", "NDims = 3", "DimSize = 4 3 2", "ElementSpacing = 0.5 1.5 2.5"},
		kind: "MET_SHORT", order: binary.LittleEndian, how: "raw"}
	for i := range 24 {
		s.values = append(s.values, float64(i))
	}
	return s
}

func (s spec) data(t testing.TB) []byte {
	var b bytes.Buffer
	for _, v := range s.values {
		var x any
		switch s.kind {
		case "MET_UCHAR":
			x = uint8(v)
		case "MET_CHAR", "MET_ASCII_CHAR":
			x = int8(v)
		case "MET_USHORT":
			x = uint16(v)
		case "MET_SHORT":
			x = int16(v)
		case "MET_UINT", "MET_ULONG":
			x = uint32(v)
		case "MET_INT", "MET_LONG":
			x = int32(v)
		case "MET_ULONG_LONG":
			x = uint64(v)
		case "MET_LONG_LONG":
			x = int64(v)
		case "MET_FLOAT":
			x = float32(v)
		default:
			x = v
		}
		if s.how == "text" {
			fmt.Fprintf(&b, "%v ", x)
		} else if err := binary.Write(&b, s.order, x); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// build returns the header, its last line naming dataFile, and the voxels.
func (s spec) build(t testing.TB, dataFile string) (header string, data []byte) {
	data = s.data(t)
	lines := append(slices.Clone(s.header), fmt.Sprintf("BinaryDataByteOrderMSB = %v", s.order == binary.BigEndian))
	switch s.how {
	case "text":
		lines = append(lines, "BinaryData = False")
	case "raw":
		lines = append(lines, "BinaryData = True")
	default:
		var b bytes.Buffer
		if s.how == "gzip" {
			w := gzip.NewWriter(&b)
			w.Write(data)
			w.Close()
		} else {
			w := zlib.NewWriter(&b)
			w.Write(data)
			w.Close()
		}
		data = b.Bytes()
		lines = append(lines, "BinaryData = True", "CompressedData = True")
		if s.how == "zlib" {
			lines = append(lines, fmt.Sprintf("CompressedDataSize = %d", len(data)))
		}
	}
	lines = append(lines, "ElementType = "+s.kind, "ElementDataFile = "+dataFile)
	return strings.Join(lines, "\n") + "\n", data
}

// write puts the image into a new folder, as one file or as two.
func (s spec) write(t testing.TB, pair bool) string {
	dir := t.TempDir()
	if !pair {
		header, data := s.build(t, "LOCAL")
		return put(t, filepath.Join(dir, "a.mha"), append([]byte(header), data...))
	}
	header, data := s.build(t, "voxels.raw")
	put(t, filepath.Join(dir, "voxels.raw"), data)
	return put(t, filepath.Join(dir, "a.mhd"), []byte(header))
}

func put(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEveryType reads every type in both byte orders, stored in every way.
func TestEveryType(t *testing.T) {
	types := map[string][]float64{ // extreme values that float32 holds exactly
		"MET_UCHAR": {0, 127, 128, 255}, "MET_CHAR": {-128, 127}, "MET_ASCII_CHAR": {-1}, "MET_USHORT": {32768, 65535}, "MET_SHORT": {-32768, 32767},
		"MET_UINT": {1 << 31, 0xffffff00}, "MET_INT": {-1 << 31, 0x7fffff80}, "MET_ULONG": {1 << 31}, "MET_LONG": {-1 << 31},
		"MET_ULONG_LONG": {1 << 40, 1 << 63}, "MET_LONG_LONG": {-1 << 63, 1 << 40}, "MET_FLOAT": {-1.5, 3.25e30}, "MET_DOUBLE": {-1.5, 1.0 / 3},
	}
	for kind, extremes := range types {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, how := range []string{"raw", "zlib", "zlib without size", "gzip", "text"} {
				for _, pair := range []bool{false, true} {
					s := newSpec()
					s.kind, s.order, s.how = kind, order, how
					copy(s.values[5:], extremes)
					where := fmt.Sprintf("%s %v %s pair %v", kind, order, how, pair)
					im, err := ReadImage(s.write(t, pair))
					if err != nil {
						t.Fatalf("%s: %v", where, err)
					}
					if im.Size != [3]int{2, 3, 4} || im.Spacing != [3]float64{2.5, 1.5, 0.5} || im.Direction != [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1} {
						t.Fatalf("%s: geometry %+v", where, im.Geometry)
					}
					for i, v := range s.values {
						if im.Data[i] != float32(v) {
							t.Fatalf("%s: voxel %d is %g, want %g", where, i, im.Data[i], v)
						}
					}
				}
			}
		}
	}
}

// TestHeaders reads unusual headers as ITK 5.4 does.
func TestHeaders(t *testing.T) {
	identity := [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	turned := [9]float64{0, 0, 1, 1, 0, 0, 0, 1, 0}
	tests := []struct {
		name   string
		change func(lines []string) []string
		want   volume.Geometry
	}{
		{"matrix lists the axes", plus("TransformMatrix = 0 1 0 0 0 1 1 0 0", "Offset = 1 2 3"), volume.Geometry{Origin: [3]float64{1, 2, 3}, Direction: turned}},
		{"old names", plus("Rotation = 0 1 0 0 0 1 1 0 0", "Position = 1 2 3"), volume.Geometry{Origin: [3]float64{1, 2, 3}, Direction: turned}},
		{"the later of two", plus("Offset = 9 9 9", "Offset = 1 2 3"), volume.Geometry{Origin: [3]float64{1, 2, 3}, Direction: identity}},
		{"ElementSize for want of spacing", instead("ElementSpacing", "ElementSize"), volume.Geometry{Direction: identity}},
		{"negative spacing turns the axis", instead("0.5 1.5", "-0.5 1.5"), volume.Geometry{Direction: [9]float64{-1, 0, 0, 0, 1, 0, 0, 0, 1}}},
		{"CRLF", instead(" = ", " = "), volume.Geometry{Direction: identity}},
		{"no spaces", instead(" = ", "="), volume.Geometry{Direction: identity}},
		{"colons", instead(" =", ":"), volume.Geometry{Direction: identity}},
		{"four dimensions", instead("NDims = 3", "NDims = 4", "4 3 2", "4 3 2 1", "1.5 2.5", "1.5 2.5 1"), volume.Geometry{Direction: identity}},
		{"comment first, unknown fields", plus("Comment = a = b", "Whatever = 7"), volume.Geometry{Direction: identity}},
		{"units and intensity function have no effect", plus("DistanceUnits = cm", "ElementToIntensityFunctionSlope = 2"), volume.Geometry{Direction: identity}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSpec()
			s.header = test.change(s.header)
			header, data := s.build(t, "LOCAL")
			if test.name == "CRLF" {
				header = strings.ReplaceAll(header, "\n", "\r\n")
			}
			im, err := ReadImage(put(t, filepath.Join(t.TempDir(), "a.mha"), append([]byte(header), data...)))
			if err != nil {
				t.Fatal(err)
			}
			test.want.Size, test.want.Spacing = [3]int{2, 3, 4}, [3]float64{2.5, 1.5, 0.5}
			if im.Geometry != test.want || im.Data[23] != 23 {
				t.Errorf("got %+v, want %+v", im.Geometry, test.want)
			}
		})
	}
}

func plus(lines ...string) func([]string) []string {
	return func(header []string) []string { return append(lines, header...) }
}

func instead(pairs ...string) func([]string) []string {
	return func(header []string) []string {
		return strings.Split(strings.NewReplacer(pairs...).Replace(strings.Join(header, "\n")), "\n")
	}
}

func TestHeaderSizeAndTwoAxes(t *testing.T) {
	s := newSpec()
	s.header = append(s.header, "HeaderSize = 1000")
	header, data := s.build(t, "LOCAL")
	b := append(append([]byte(header), make([]byte, 1000-len(header))...), data...)
	if im, err := ReadImage(put(t, filepath.Join(t.TempDir(), "a"), b)); err != nil || im.Data[23] != 23 {
		t.Errorf("HeaderSize 1000: %v", err)
	}
	s.header[len(s.header)-1] = "HeaderSize = -1"
	header, data = s.build(t, "LOCAL")
	b = append(append([]byte(header), 1, 2, 3), data...)
	if im, err := ReadImage(put(t, filepath.Join(t.TempDir(), "a"), b)); err != nil || im.Data[23] != 23 {
		t.Errorf("HeaderSize -1: %v", err)
	}
	s = newSpec()
	s.header = []string{"NDims = 2", "DimSize = 6 4", "ElementSpacing = 0.5 1.5", "TransformMatrix = 0 1 -1 0", "Offset = 1 2"}
	im, err := ReadImage(s.write(t, false))
	want := volume.Geometry{Size: [3]int{1, 4, 6}, Spacing: [3]float64{1, 1.5, 0.5}, Origin: [3]float64{1, 2, 0}, Direction: [9]float64{0, -1, 0, 1, 0, 0, 0, 0, 1}}
	if err != nil || im.Geometry != want {
		t.Errorf("two axes: %+v, %v", im, err)
	}
}

// TestRefused names what is wrong, and reads no voxel.
func TestRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(lines []string) []string
		how    string
		in     string
	}{
		{"huge", instead("4 3 2", "2147483647 2147483647 2147483647"), "raw", "more than any file can hold"},
		{"more than there is", instead("4 3 2", "4 3 2000"), "raw", "truncated"},
		{"more than deflate can hold", instead("4 3 2", "40000 30000 200"), "zlib", "more than"},
		{"more text than there is", instead("4 3 2", "4 3 2000"), "text", "truncated"},
		{"negative size", instead("4 3 2", "4 3 -2"), "raw", "DimSize"},
		{"broken size", instead("4 3 2", "4 3 2.5"), "raw", "DimSize"},
		{"short size", instead("4 3 2", "4 3"), "raw", "DimSize has 2 numbers"},
		{"no size", instead("DimSize", "Size"), "raw", "DimSize is missing"},
		{"many axes", instead("NDims = 3", "NDims = 999999999"), "raw", "NDims"},
		{"4D", instead("NDims = 3", "NDims = 4", "4 3 2", "4 3 1 2", "1.5 2.5", "1.5 2.5 1"), "raw", "expected one 3D volume"},
		{"channels", plus("ElementNumberOfChannels = 3"), "raw", "channel"},
		{"zero spacing", instead("0.5 1.5", "0 1.5"), "raw", "ElementSpacing"},
		{"NaN spacing", instead("0.5 1.5", "nan 1.5"), "raw", "ElementSpacing"},
		{"singular matrix", plus("TransformMatrix = 1 0 0 1 0 0 0 0 1"), "raw", "singular"},
		{"not an image", instead("ObjectType = Image", "ObjectType = Tube"), "raw", "ObjectType"},
		{"compressed size beyond the file", plus("CompressedDataSize = 9999999"), "zlib without size", "truncated"},
		{"negative compressed size", plus("CompressedDataSize = -1"), "zlib without size", "CompressedDataSize"},
		{"negative header", plus("HeaderSize = -2"), "raw", "HeaderSize"},
		{"long header", plus("HeaderSize = 99999999"), "raw", "truncated"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSpec()
			s.how, s.header = test.how, test.change(s.header)
			path := s.write(t, false)
			_, err := ReadGeometry(path)
			if err == nil || !strings.Contains(err.Error(), test.in) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want the path and %q", err, test.in)
			}
		})
	}
	for _, kind := range []string{"MET_OTHER", "", "MET_FLOAT_ARRAY", "short"} {
		s := newSpec()
		s.kind = kind
		if _, err := ReadImage(s.write(t, false)); err == nil || !strings.Contains(err.Error(), "ElementType") {
			t.Errorf("type %q: %v", kind, err)
		}
	}
}

// TestDataFileStaysInTheFolder refuses other folders and lists of files.
func TestDataFileStaysInTheFolder(t *testing.T) {
	for _, name := range []string{"../a.raw", "/etc/passwd", `..\a.raw`, "sub/a.raw", "..", ".", "", "LIST", "a%03d.raw 1 10 1", "a\x00b"} {
		header, data := newSpec().build(t, name)
		dir := t.TempDir()
		put(t, filepath.Join(dir, "a.raw"), data)
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "sub", "a.raw"), data)
		if _, err := ReadImage(put(t, filepath.Join(dir, "sub", "a.mhd"), []byte(header))); err == nil || !strings.Contains(err.Error(), "ElementDataFile") {
			t.Errorf("%q: %v", name, err)
		}
	}
	header, _ := newSpec().build(t, "missing.raw")
	if _, err := ReadImage(put(t, filepath.Join(t.TempDir(), "a.mhd"), []byte(header))); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "missing.raw") {
		t.Errorf("missing data file: %v", err)
	}
}

// TestDamaged cuts and changes the compressed voxels.
func TestDamaged(t *testing.T) {
	s := newSpec()
	s.how = "zlib"
	header, data := s.build(t, "LOCAL")
	whole := append([]byte(header), data...)
	changed := slices.Clone(whole)
	changed[len(changed)-1] ^= 1 // checksum
	for name, b := range map[string][]byte{"cut": whole[:len(whole)-3], "checksum": changed, "header alone": []byte(header)} {
		if _, err := ReadImage(put(t, filepath.Join(t.TempDir(), "a.mha"), b)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := ReadImage(put(t, filepath.Join(t.TempDir(), "a.mha"), []byte("NDims = 3\nDimSize = 2 2"))); err == nil || !strings.Contains(err.Error(), "ElementDataFile") {
		t.Errorf("short header: %v", err)
	}
	long := "NDims = 3\nComment = " + strings.Repeat("x", 2*maxHeader)
	if _, err := ReadImage(put(t, filepath.Join(t.TempDir(), "a.mha"), []byte(long))); err == nil || !strings.Contains(err.Error(), "ElementDataFile") {
		t.Errorf("long header: %v", err)
	}
	s.kind, s.values[7] = "MET_FLOAT", 1.5
	if _, err := ReadMask(s.write(t, false)); err == nil || !strings.Contains(err.Error(), "index 7") || !strings.Contains(err.Error(), ".mha") {
		t.Errorf("fraction in a mask: %v", err)
	}
}

// TestClaimsCostNoMemory reads a small file that claims the most it can get away with.
func TestClaimsCostNoMemory(t *testing.T) {
	s := newSpec()
	s.how, s.values = "zlib without size", make([]float64, 1<<19)
	s.header = instead("4 3 2", "400 400 400")(s.header)
	header, data := s.build(t, "LOCAL")
	path := put(t, filepath.Join(t.TempDir(), "a.mha"), append(append([]byte(header), data...), make([]byte, 200_000)...))
	var err error
	if got := testutil.Allocated(func() { _, err = ReadImage(path) }); got > 32<<20 {
		t.Errorf("%d MiB allocated", got>>20)
	}
	if err == nil {
		t.Error("no error")
	}
}

func TestScan(t *testing.T) {
	path := newSpec().write(t, true)
	sum := float32(0)
	err := Scan(path, func(g volume.Geometry, values []float32) error {
		for _, v := range values {
			sum += v
		}
		return nil
	})
	if err != nil || sum != 23*24/2 {
		t.Errorf("sum %g, %v", sum, err)
	}
	stop := errors.New("stop")
	if err := Scan(path, func(volume.Geometry, []float32) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}
