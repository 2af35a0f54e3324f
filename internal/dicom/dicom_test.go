package dicom

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/dicom/dicomtest"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
)

// look scans a folder of one series.
func look(t *testing.T, o ScanOptions, dirs ...string) *Scan {
	t.Helper()
	s, err := Look(context.Background(), dirs, o, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func lookOne(t *testing.T, dir string, o ScanOptions) *Series {
	t.Helper()
	s := look(t, o, dir)
	if len(s.Series) != 1 {
		t.Fatalf("%d series, want 1; unreadable %v", len(s.Series), s.Unreadable)
	}
	return s.Series[0]
}

func read(t *testing.T, s *Series) *Volume {
	t.Helper()
	v, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func near(a, b []float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-6 {
			return false
		}
	}
	return len(a) == len(b)
}

func TestVolumesOfEverySyntax(t *testing.T) {
	half := math.Sqrt(0.5)
	for _, syntax := range []string{dicomtest.ExplicitLittle, dicomtest.ImplicitLittle, dicomtest.ExplicitBig, dicomtest.Deflated, dicomtest.RLE} {
		dir := t.TempDir()
		want := dicomtest.Series{Syntax: syntax, Size: [3]int{5, 6, 8}, Origin: [3]float64{-10, 20, 5}, Orientation: [6]float64{half, half, 0, 0, 0, -1}}
		want.Write(t, dir)
		s := lookOne(t, dir, ScanOptions{})
		v := read(t, s)
		if v.Int16 == nil {
			t.Fatalf("%s: not int16", syntax)
		}
		g := v.Geometry
		if g.Size != want.Size || !near(g.Spacing[:], []float64{2.5, 0.7, 0.8}) || !near(g.Origin[:], want.Origin[:]) ||
			!near(g.Direction[:], []float64{half, 0, -half, half, 0, half, 0, -1, 0}) {
			t.Errorf("%s: %+v", syntax, g)
		}
		for i, x := range v.Int16 {
			z, y, c := i/48, i/8%6, i%8
			if want := int16(dicomtest.Stored(z, y, c)) - 1024; x != want {
				t.Fatalf("%s: voxel %d %d %d is %d, want %d", syntax, z, y, c, x, want)
			}
		}
	}
}

// The scale of each slice is its own; whole numbers stay whole numbers.
func TestScales(t *testing.T) {
	for _, c := range []struct {
		name      string
		slope     func(z int) float64
		signed    bool
		intercept float64
		bits      uint16
		int16     bool
	}{
		{"whole", func(int) float64 { return 1 }, false, -1024, 16, true},
		{"signed", func(int) float64 { return 1 }, true, 0, 16, true},
		{"whole, by slice", func(z int) float64 { return float64(1 + z) }, false, 3, 12, true},
		{"too large for int16", func(int) float64 { return 20 }, false, 0, 16, false},
		{"broken, by slice", func(z int) float64 { return 0.5 + float64(z)/8 }, false, 0.25, 16, false},
		{"12 of 16 bits", func(int) float64 { return 1 }, false, 0, 12, true},
		{"10 signed bits", func(int) float64 { return 1 }, true, 0, 10, true},
	} {
		dir := t.TempDir()
		dicomtest.Series{Signed: c.signed, Change: func(z int, e []dicomtest.Element) []dicomtest.Element {
			e = dicomtest.Set(e, 0x00281053, "DS", dicomtest.Numbers(c.slope(z)))
			e = dicomtest.Set(e, 0x00281052, "DS", dicomtest.Numbers(c.intercept))
			e = dicomtest.Set(e, 0x00280101, "US", []uint16{c.bits})
			return dicomtest.Set(e, 0x00280102, "US", []uint16{c.bits - 1})
		}}.Write(t, dir)
		v := read(t, lookOne(t, dir, ScanOptions{}))
		if (v.Int16 != nil) != c.int16 {
			t.Errorf("%s: int16 %v, want %v", c.name, v.Int16 != nil, c.int16)
			continue
		}
		for i := range v.Geometry.Voxels() {
			z := i / 48
			stored := int(dicomtest.Stored(z, i/8%6, i%8)) & (1<<c.bits - 1)
			if c.signed && stored >= 1<<(c.bits-1) {
				stored -= 1 << c.bits
			}
			want := float64(stored)*c.slope(z) + c.intercept
			got := 0.0
			if v.Int16 != nil {
				got = float64(v.Int16[i])
			} else {
				got = float64(v.Float[i])
			}
			if got != float64(float32(want)) {
				t.Fatalf("%s: voxel %d is %v, want %v", c.name, i, got, want)
			}
		}
	}
}

func set(tag uint32, vr string, value any, only ...int) func(int, []dicomtest.Element) []dicomtest.Element {
	return func(z int, e []dicomtest.Element) []dicomtest.Element {
		if len(only) > 0 && !slices.Contains(only, z) {
			return e
		}
		if value == nil {
			return dicomtest.Drop(e, tag)
		}
		return dicomtest.Set(e, tag, vr, value)
	}
}

func position(z int, at ...float64) func(int, []dicomtest.Element) []dicomtest.Element {
	return set(0x00200032, "DS", dicomtest.Numbers(at...), z)
}

// What is not a volume is refused by name, and the files that show it are named.
func TestRefusals(t *testing.T) {
	tilted := func(z int, e []dicomtest.Element) []dicomtest.Element {
		return dicomtest.Set(e, 0x00200032, "DS", dicomtest.Numbers(0, float64(z), 2.5*float64(z)))
	}
	for name, c := range map[string]struct {
		change func(int, []dicomtest.Element) []dicomtest.Element
		kind   string
		says   string
	}{
		"gap": {func(z int, e []dicomtest.Element) []dicomtest.Element {
			if z == 2 {
				return nil
			}
			return e
		}, "gap", "gap of 1 slice: 5 mm from image 2 to image 4, but 2.5 mm"},
		"duplicate":         {position(3, 0, 0, 5), "duplicate-positions", "image 3 and image 4"},
		"uneven":            {position(3, 0, 0, 7), "uneven-spacing", "2 mm from image 3 to image 4"},
		"crooked":           {position(3, 4, 0, 7.5), "crooked", "sideways"},
		"tilt":              {tilted, "tilted-gantry", "21.8 degrees"},
		"orientation":       {set(0x00200037, "DS", dicomtest.Numbers(0, 1, 0, 0, 0, -1), 1, 2), "varying-orientation", "2 of 5 images"},
		"matrix":            {set(0x00280010, "US", []uint16{3}, 1), "varying-matrix", "1 image with 8 x 3"},
		"pixel spacing":     {set(0x00280030, "DS", dicomtest.Numbers(0.7, 0.9), 1), "varying-spacing", "0.9000 x 0.7000"},
		"patients":          {set(0x00100020, "LO", "PAT-2", 4), "mixed-series", "several patients"},
		"studies":           {set(0x0020000D, "UI", "1.2.99", 4), "mixed-series", "several studies: 4 images, 1 image;"},
		"modalities":        {set(0x00080060, "CS", "MR", 4), "mixed-series", "several modalities"},
		"echoes":            {set(0x00180081, "DS", "30", 4), "mixed-series", "several echoes"},
		"localizer":         {set(0x00080008, "CS", `ORIGINAL\PRIMARY\LOCALIZER`, 0), "localizer", "localizers among"},
		"mosaic":            {set(0x00080008, "CS", `ORIGINAL\PRIMARY\M\MOSAIC`), "mosaic", "dcm2niix"},
		"RGB":               {set(0x00280004, "CS", "RGB"), "colour", "RGB"},
		"three samples":     {set(0x00280002, "US", []uint16{3}), "colour", "3 samples"},
		"palette":           {set(0x00280004, "CS", "PALETTE COLOR"), "colour", "PALETTE"},
		"one bit":           {set(0x00280100, "US", []uint16{1}), "pixel-format", "1 bits"},
		"high bit":          {set(0x00280101, "US", []uint16{12}), "pixel-format", "12 bits stored of 16 with 15"},
		"no position":       {set(0x00200032, "", nil, 1), "no-geometry", "1 of 5 images have no Image Position"},
		"no orientation":    {set(0x00200037, "", nil), "no-geometry", "5 of 5 images have no Image Orientation"},
		"no spacing":        {set(0x00280030, "", nil), "no-geometry", "Pixel Spacing"},
		"not perpendicular": {set(0x00200037, "DS", dicomtest.Numbers(1, 0, 0, 1, 0, 0)), "no-geometry", "perpendicular"},
		"too few pixels":    {set(0x7FE00010, "OW", make([]uint16, 10), 2), "broken-file", "20 bytes of pixels, expected 96"},
		"too many pixels":   {set(0x7FE00010, "OW", make([]uint16, 96), 2), "broken-file", "192 bytes of pixels, expected 96"},
		"no number":         {set(0x00281053, "DS", "one", 2), "broken-file", `"one" is not a number`},
		"slope 0":           {set(0x00281053, "DS", "0", 2), "broken-file", "Rescale Slope"},
		"table of values":   {set(0x00283000, "SQ", [][]dicomtest.Element{{}}), "broken-file", "Modality LUT"},
		"frames":            {set(0x00280008, "IS", "4"), "broken-file", "4 frames without their places"},
	} {
		dir := t.TempDir()
		dicomtest.Series{Change: c.change}.Write(t, dir)
		s := lookOne(t, dir, ScanOptions{})
		i := slices.IndexFunc(s.Refusals, func(r *Refusal) bool { return r.Kind == c.kind && strings.Contains(r.Reason, c.says) })
		if i < 0 {
			t.Errorf("%s: refused for %v", name, s.Refusals)
			continue
		}
		if c.kind != "crooked" && c.kind != "tilted-gantry" && len(s.Refusals[i].Files) == 0 {
			t.Errorf("%s: no file is named", name)
		}
		if strings.Contains(s.Refusals[i].Reason, "PAT-") || strings.Contains(s.Refusals[i].Reason, dir) {
			t.Errorf("%s: the reason names a patient or a file: %s", name, s.Refusals[i].Reason)
		}
		if v, err := s.Read(context.Background()); err == nil {
			t.Errorf("%s: read as %v all the same", name, v.Size)
		}
	}
}

// Small deviations of rounded positions are not a reason to reject a series.
func TestRoundedPositionsAreTaken(t *testing.T) {
	dir := t.TempDir()
	dicomtest.Series{Spacing: [3]float64{1.25, 1, 1}, Size: [3]int{40, 4, 4}, Change: func(z int, e []dicomtest.Element) []dicomtest.Element {
		return dicomtest.Set(e, 0x00200032, "DS", fmt.Sprintf(`0.0\0.0\%.1f`, 1.25*float64(z)))
	}}.Write(t, dir)
	if s := lookOne(t, dir, ScanOptions{}); len(s.Refusals) > 0 || math.Abs(s.Geometry.Spacing[0]-1.25) > 0.01 {
		t.Errorf("%v, spacing %v", s.Refusals, s.Geometry.Spacing)
	}
}

func TestSplit(t *testing.T) {
	dir := t.TempDir()
	split, err := ParseSplit([]string{"echo"})
	if err != nil {
		t.Fatal(err)
	}
	for _, echo := range []string{"10", "30"} {
		dicomtest.Series{Change: func(z int, e []dicomtest.Element) []dicomtest.Element {
			e = dicomtest.Set(e, 0x00080018, "UI", fmt.Sprintf("1.2.%s.%d", echo, z))
			return dicomtest.Set(e, 0x00180081, "DS", echo)
		}}.Write(t, filepath.Join(dir, echo))
	}
	if s := lookOne(t, dir, ScanOptions{}); len(s.Refusals) == 0 || !slices.Contains(s.Refusals[0].For, remedy.Remedy(remedy.Set{Option: remedy.SplitSeries, Value: "echo"})) {
		t.Errorf("unsplit: %v", s.Refusals)
	}
	s := look(t, ScanOptions{Split: split}, dir)
	if len(s.Series) != 2 || len(s.Series[0].Refusals)+len(s.Series[1].Refusals) > 0 || s.Series[0].Slices != 5 {
		t.Fatalf("split: %d series, %+v", len(s.Series), s.Series[0])
	}
	if _, err := ParseSplit([]string{"colour"}); err == nil || !strings.Contains(err.Error(), "orientation") {
		t.Errorf("unknown: %v", err)
	}
}

func TestTiltIsKeptSheared(t *testing.T) {
	dir := t.TempDir()
	dicomtest.Series{Change: func(z int, e []dicomtest.Element) []dicomtest.Element {
		return dicomtest.Set(e, 0x00200032, "DS", dicomtest.Numbers(1, float64(z), 2.5*float64(z)))
	}}.Write(t, dir)
	s := lookOne(t, dir, ScanOptions{KeepTilt: true})
	if len(s.Refusals) > 0 || math.Abs(s.Tilt-21.801) > 1e-3 || len(s.Notes) == 0 {
		t.Fatalf("%v, tilt %v", s.Refusals, s.Tilt)
	}
	g := s.Geometry
	if !near(g.Spacing[:], []float64{2.5, 0.7, 0.8}) || !near(g.Direction[:], []float64{1, 0, 0, 0, 1, 0.4, 0, 0, 1}) {
		t.Errorf("%+v", g)
	}
}

// enhanced is a multi-frame file whose frames come in the given order.
func enhanced(order []int, change func(i int, groups []dicomtest.Element) []dicomtest.Element) []dicomtest.Element {
	all := dicomtest.Series{Size: [3]int{1, 6, 8}, Change: func(_ int, e []dicomtest.Element) []dicomtest.Element { return e }}
	var elements []dicomtest.Element
	all.Change = func(_ int, e []dicomtest.Element) []dicomtest.Element { elements = e; return nil }
	all.Slices()
	for _, tag := range []uint32{0x00200032, 0x00200037, 0x00280030, 0x00281052, 0x00281053, 0x00180050} {
		elements = dicomtest.Drop(elements, tag)
	}
	var words []uint16
	var frames [][]dicomtest.Element
	for i, z := range order {
		for y := range 6 {
			for x := range 8 {
				words = append(words, dicomtest.Stored(z, y, x))
			}
		}
		groups := []dicomtest.Element{
			{Tag: 0x00209113, VR: "SQ", Value: [][]dicomtest.Element{{{Tag: 0x00200032, VR: "DS", Value: dicomtest.Numbers(1, 2, 3*float64(z))}}}},
			{Tag: 0x00289145, VR: "SQ", Value: [][]dicomtest.Element{{{Tag: 0x00281052, VR: "DS", Value: fmt.Sprint(z)}, {Tag: 0x00281053, VR: "DS", Value: "2"}}}},
			{Tag: 0x00209111, VR: "SQ", Value: [][]dicomtest.Element{{{Tag: 0x00209056, VR: "SH", Value: "1"}, {Tag: 0x00209057, VR: "UL", Value: uint32(z + 1)}}}},
			{Tag: 0x00291010, VR: "UN", Value: []byte("private.")},
		}
		if change != nil {
			groups = change(i, groups)
		}
		frames = append(frames, groups)
	}
	elements = dicomtest.Set(elements, 0x00280008, "IS", fmt.Sprint(len(order)))
	elements = dicomtest.Set(elements, 0x52009229, "SQ", [][]dicomtest.Element{{
		{Tag: 0x00289110, VR: "SQ", Value: [][]dicomtest.Element{{{Tag: 0x00280030, VR: "DS", Value: `0.7\0.8`}, {Tag: 0x00180050, VR: "DS", Value: "3"}}}},
		{Tag: 0x00209116, VR: "SQ", Value: [][]dicomtest.Element{{{Tag: 0x00200037, VR: "DS", Value: `1\0\0\0\1\0`}}}},
	}})
	elements = dicomtest.Set(elements, 0x52009230, "SQ", frames)
	return dicomtest.Set(elements, 0x7FE00010, "OW", words)
}

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.dcm"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEnhanced(t *testing.T) {
	for _, syntax := range []string{dicomtest.ExplicitLittle, dicomtest.ImplicitLittle, dicomtest.ExplicitBig, dicomtest.Deflated} {
		dir := writeFile(t, dicomtest.Encode(syntax, enhanced([]int{2, 0, 3, 1}, nil)))
		s := lookOne(t, dir, ScanOptions{})
		if len(s.Refusals) > 0 {
			t.Fatalf("%s: %v", syntax, s.Refusals)
		}
		v := read(t, s)
		if v.Size != [3]int{4, 6, 8} || !near(v.Spacing[:], []float64{3, 0.7, 0.8}) || !near(v.Origin[:], []float64{1, 2, 0}) {
			t.Errorf("%s: %+v", syntax, v.Geometry)
		}
		for i, x := range v.Int16 {
			if want := 2*int16(dicomtest.Stored(i/48, i/8%6, i%8)) + int16(i/48); x != want {
				t.Fatalf("%s: voxel %d is %d, want %d", syntax, i, x, want)
			}
		}
	}
}

// Archives that do not know an element store it as UN, with its value in implicit VR (PS3.5, 6.2.2, note 3).
func TestUnknownRepresentation(t *testing.T) {
	elements := enhanced([]int{3}, nil)
	for i, e := range elements {
		if e.Tag != 0x52009230 && e.Tag != 0x52009229 && e.Tag != 0x00280010 {
			continue
		}
		_, value, _ := bytes.Cut(dicomtest.Encode(dicomtest.ImplicitLittle, []dicomtest.Element{e}), []byte("1.2.840.10008.1.2\x00"))
		elements[i] = dicomtest.Element{Tag: e.Tag, VR: "UN", Value: value[8:]}
	}
	v := read(t, lookOne(t, writeFile(t, dicomtest.Encode(dicomtest.ExplicitLittle, elements)), ScanOptions{}))
	if v.Size != [3]int{1, 6, 8} || !near(v.Spacing[:], []float64{3, 0.7, 0.8}) || !near(v.Origin[:], []float64{1, 2, 9}) || v.Int16[9] != 2*int16(dicomtest.Stored(3, 1, 1))+3 {
		t.Errorf("%+v, %v", v.Geometry, v.Int16[9])
	}
}

func TestEnhancedIsRefused(t *testing.T) {
	content := func(stack string, time uint32) []dicomtest.Element {
		return []dicomtest.Element{{Tag: 0x00209111, VR: "SQ", Value: [][]dicomtest.Element{{
			{Tag: 0x00209056, VR: "SH", Value: stack}, {Tag: 0x00209128, VR: "UL", Value: time}}}}}
	}
	replace := func(groups, with []dicomtest.Element) []dicomtest.Element {
		return append(dicomtest.Drop(groups, 0x00209111), with...)
	}
	for name, c := range map[string]struct {
		order  []int
		change func(int, []dicomtest.Element) []dicomtest.Element
		kind   string
		says   string
	}{
		"stacks": {[]int{0, 1, 2, 3}, func(i int, g []dicomtest.Element) []dicomtest.Element {
			return replace(g, content(fmt.Sprint(1+i/2), 1))
		}, "stacks", "2 images with 1, 2 images with 2"},
		"times": {[]int{0, 1, 0, 1}, func(i int, g []dicomtest.Element) []dicomtest.Element {
			return replace(g, content("1", uint32(1+i/2)))
		}, "duplicate-positions", "they differ in time; convert them apart"},
		"no place": {[]int{0, 1}, func(i int, g []dicomtest.Element) []dicomtest.Element {
			return dicomtest.Drop(g, 0x00209113)
		}, "no-geometry", "2 of 2"},
	} {
		s := lookOne(t, writeFile(t, dicomtest.Encode(dicomtest.ExplicitLittle, enhanced(c.order, c.change))), ScanOptions{})
		if len(s.Refusals) == 0 || s.Refusals[0].Kind != c.kind || !strings.Contains(s.Refusals[0].Reason, c.says) {
			t.Errorf("%s: %v", name, s.Refusals)
		}
	}
}

// In a big-endian file bytes of 8-bit pixels come as words.
func TestEightBits(t *testing.T) {
	pixels := make([]byte, 48)
	for i := range pixels {
		pixels[i] = byte(5 * i)
	}
	for _, syntax := range []string{dicomtest.ExplicitLittle, dicomtest.ExplicitBig, dicomtest.JPEGBaseline} {
		dir := t.TempDir()
		dicomtest.Series{Syntax: syntax, Change: func(_ int, e []dicomtest.Element) []dicomtest.Element {
			e = dicomtest.Set(e, 0x00280100, "US", []uint16{8})
			e = dicomtest.Set(e, 0x00280101, "US", []uint16{8})
			e = dicomtest.Set(e, 0x00280102, "US", []uint16{7})
			switch syntax {
			case dicomtest.ExplicitBig:
				words := make([]uint16, 24)
				for i := range words {
					words[i] = binary.LittleEndian.Uint16(pixels[2*i:])
				}
				return dicomtest.Set(e, 0x7FE00010, "OW", words)
			case dicomtest.JPEGBaseline:
				im := image.NewGray(image.Rect(0, 0, 8, 6))
				for i, p := range pixels {
					im.SetGray(i%8, i/8, color.Gray{Y: p})
				}
				var b bytes.Buffer
				if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 100}); err != nil {
					t.Fatal(err)
				}
				half := b.Len() / 4 * 2
				return dicomtest.Set(e, 0x7FE00010, "OB", dicomtest.Fragments{nil, b.Bytes()[:half], append(b.Bytes()[half:], 0)[:b.Len()-half+b.Len()%2]})
			}
			return dicomtest.Set(e, 0x7FE00010, "OB", pixels)
		}}.Write(t, dir)
		v := read(t, lookOne(t, dir, ScanOptions{}))
		for i, x := range v.Int16 {
			if d := int(x) + 1024 - int(pixels[i%48]); d != 0 && (syntax != dicomtest.JPEGBaseline || d*d > 4) {
				t.Fatalf("%s: voxel %d is %d, want %d", syntax, i, x, int(pixels[i%48])-1024)
			}
		}
	}
}

func TestUnreadSyntaxesNameTheirRemedy(t *testing.T) {
	for uid, says := range map[string][]string{
		"1.2.840.10008.1.2.4.90": {"JPEG 2000 Lossless", "1.2.840.10008.1.2.4.90", "gdcmconv --raw IN.dcm OUT.dcm"},
		"1.2.840.10008.1.2.4.80": {"JPEG-LS Lossless", "dcmdjpls"},
		"1.2.840.10008.1.2.4.51": {"JPEG Extended", "dcmdjpeg"},
		"1.2.3.4":                {"not known", "1.2.3.4"},
	} {
		dir := t.TempDir()
		dicomtest.Series{Syntax: uid, Change: set(0x7FE00010, "OB", dicomtest.Fragments{nil, {1, 2}})}.Write(t, dir)
		s := lookOne(t, dir, ScanOptions{})
		if len(s.Refusals) != 1 || s.Refusals[0].Kind != "compressed" {
			t.Fatalf("%s: %v", uid, s.Refusals)
		}
		for _, text := range says {
			if !strings.Contains(s.Refusals[0].Reason, text) {
				t.Errorf("%s: %q lacks %q", uid, s.Refusals[0].Reason, text)
			}
		}
	}
}

// Files are found by their content, and those that are not images are named.
func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	dicomtest.Series{}.Write(t, filepath.Join(dir, "a", "b"))
	report := dicomtest.Encode(dicomtest.ExplicitLittle, []dicomtest.Element{{Tag: 0x00080060, VR: "CS", Value: "SR"}, {Tag: 0x0020000E, VR: "UI", Value: "1.9"}})
	index := dicomtest.Encode(dicomtest.ExplicitLittle, []dicomtest.Element{{Tag: 0x00080016, VR: "UI", Value: dicomDirectoryClass}})
	bare := dicomtest.Series{UID: "1.7", Syntax: dicomtest.ImplicitLittle}.Slices()[0]
	_, noMeta, _ := bytes.Cut(bare, []byte("1.2.840.10008.1.2\x00"))
	for name, b := range map[string][]byte{"report.dcm": report, "DICOMDIR": index, "notes.txt": []byte("hello"), "empty": nil, "bare": noMeta} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := look(t, ScanOptions{}, dir, filepath.Join(dir, "a"))
	if s.Files != 6 || len(s.Series) != 2 || len(s.Unreadable) > 0 {
		t.Fatalf("%d files, %d series, unreadable %v", s.Files, len(s.Series), s.Unreadable)
	}
	var kinds []string
	for _, i := range s.Ignored {
		kinds = append(kinds, fmt.Sprintf("%s: %d", i.Kind, len(i.Files)))
	}
	if want := []string{"DICOM without an image (SR): 1", "DICOMDIR: 1", "not DICOM: 2"}; !slices.Equal(kinds, want) {
		t.Errorf("%q, want %q", kinds, want)
	}
	if !Is(filepath.Join(dir, "bare")) || !Is(filepath.Join(dir, "report.dcm")) || Is(filepath.Join(dir, "notes.txt")) {
		t.Error("Is takes one for another")
	}
}
