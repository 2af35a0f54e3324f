package cohortpage

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// phantoms is a task of artificial scans.
func phantoms(t *testing.T, cases int) *task.Task {
	t.Helper()
	root := t.TempDir()
	if err := phantom.Generate(context.Background(), root, phantom.Options{Cases: cases, TestCases: -1}, progress.Discard); err != nil {
		t.Fatal(err)
	}
	folders, err := task.ResolveFolders(root)
	if err != nil {
		t.Fatal(err)
	}
	made, err := task.Load(folders, "900")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func render(t *testing.T, in Input, looks []*look) string {
	t.Helper()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, newPage(in, looks)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	ids    = regexp.MustCompile(` id="([^"]*)"`)
	links  = regexp.MustCompile(`(?:href|src|srcset|action|data|poster|background)="([^"]*)"`)
	tags   = regexp.MustCompile(`<([a-zA-Z!/][^\s>]*)`)
	allTag = map[string]bool{}
)

func init() {
	for _, name := range strings.Fields("!doctype html head meta title style body a header h1 h2 h3 nav ul li main section dl div dt dd bdi p table caption thead tbody tr th td small figure figcaption svg line text rect image path details summary span b input label footer") {
		allTag[name], allTag["/"+name] = true, true
	}
}

// selfContained fails if the page would load anything, or holds an element that it is not made of.
func selfContained(t *testing.T, page string) {
	t.Helper()
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
	for _, bad := range []string{"http:", "https:", "//", "url(", "@import"} {
		for _, part := range regexp.MustCompile(`data:image/(png|jpeg);base64,[A-Za-z0-9+/=&#;]*`).Split(page, -1) {
			if at := strings.Index(part, bad); at >= 0 {
				t.Errorf("%q on the page: ...%s", bad, part[max(0, at-60):min(len(part), at+60)])
			}
		}
	}
	known := map[string]bool{}
	for _, m := range ids.FindAllStringSubmatch(page, -1) {
		if known[m[1]] {
			t.Errorf("id %s twice", m[1])
		}
		known[m[1]] = true
	}
	for _, m := range links.FindAllStringSubmatch(page, -1) {
		switch to, inPage := strings.CutPrefix(m[1], "#"); {
		case inPage && !known[to]:
			t.Errorf("a link to #%s, which is not there", to)
		case !inPage && !strings.HasPrefix(m[1], "data:image/"):
			t.Errorf("a link to %q", m[1])
		}
	}
	for _, m := range tags.FindAllStringSubmatch(page, -1) {
		if !allTag[strings.ToLower(strings.TrimSuffix(m[1], "/"))] {
			t.Errorf("an element <%s>", m[1])
		}
	}
}

func TestWrite(t *testing.T) {
	made := phantoms(t, 7)
	cases := made.Dataset.Cases
	for i := range cases {
		cases[i].Site, cases[i].Patient = []string{"Ulm", "Bonn"}[i%2], fmt.Sprint("P", i/2)
		cases[i].Covariates = map[string]any{"age": int64(50 + i), "sex": "f"}
	}
	in := Input{Task: made, Folds: []Fold{{"0", []string{cases[0].ID, cases[1].ID}}, {"1", []string{cases[2].ID}}}, Warnings: []string{"said before"}}
	path := filepath.Join(t.TempDir(), File)
	if err := os.Remove(cases[5].Images[0]); err != nil {
		t.Fatal(err)
	}
	if err := Write(context.Background(), path, in, progress.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	selfContained(t, page)
	for _, want := range []string{"Task900_Phantom", "<dt>Patients</dt><dd><bdi>4, 3 of them with several scans</bdi>", "site Ulm", "fold 1", "<bdi>no lesion</bdi>", "volume",
		"<bdi>age</bdi>", "said before", "cases that cannot be read: 1 of 7", `<a href="#case-6"><bdi>` + cases[5].ID + "</bdi></a>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page, `class="roi"`); n != 6 {
		t.Errorf("%d outlines, want 6", n)
	}
	if n := strings.Count(page, "<image "); n != 6 {
		t.Errorf("%d slices, want 6", n)
	}
	if err := Write(context.Background(), path, in, progress.Discard); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, b) {
		t.Error("the same cohort gives another page")
	}
}

// hostile are names that try to leave their place.
var hostile = []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'"/><svg onload=alert(1)>`, `{{.Title}}`, "\u202egpj.exe", "a\x1b[31mb", `javascript:alert(1)`,
	`</style><style>*{background:url(https://evil.example)}`, `%;background:url(//evil.example)`, strings.Repeat("long", 5000), "\xff\xfe"}

func TestHostileNames(t *testing.T) {
	made := &task.Task{Name: "Task001_" + hostile[0], Dataset: &task.Dataset{Modalities: hostile, HasMasks: true, ROILabels: hostile,
		Labels: []task.Label{{Name: hostile[1], Values: hostile[:6]}, {Name: hostile[2], Values: hostile}}}}
	var looks []*look
	folds := []Fold{}
	for i, name := range hostile {
		made.Dataset.Cases = append(made.Dataset.Cases, task.Case{ID: name, Targets: []int{i % 6, i}, Patient: name, Site: name, Covariates: map[string]any{name: float64(i)}})
		l := &look{size: [3]int{5 + i, 5, 5}, spacing: [3]float64{1, 1, 1}, orientation: name, doubt: name, problem: name, roiVolume: float64(i)}
		for range hostile {
			l.intensities, l.samples = append(l.intensities, quantiles{0, float64(i), 9}), append(l.samples, []float32{float32(i), 2})
		}
		looks = append(looks, l)
		folds = append(folds, Fold{Name: name, Validation: []string{name}})
	}
	page := render(t, Input{Task: made, Folds: folds, Warnings: hostile}, looks)
	for _, bad := range []string{"<script", "onerror=alert(1)>", "<svg onload", "\u202e", "\x1b", "</style><style>"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is on the page", bad)
		}
	}
	if strings.Contains(page, strings.Repeat("long", 300)) {
		t.Error("a long name is written out")
	}
	// Names that are plain text are not links.
	page = strings.NewReplacer("https:", "", "url(", "", "//", "").Replace(page)
	selfContained(t, page)
}

// However many cases, sites, folds, classes and warnings there are, the page has a bound.
func TestSizeIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]float32, smallSlice*smallSlice)
	inside := make([]uint8, len(noise))
	for i := range noise {
		noise[i], inside[i] = r.Float32(), uint8(r.IntN(2))
	}
	g := volume.Geometry{Size: [3]int{1, smallSlice, smallSlice}, Spacing: [3]float64{9, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	worst := draw(noise, inside, g, viewOf(g), smallSlice)
	size := func(n int) int {
		d := &task.Dataset{Modalities: make([]string, n), HasMasks: true, Labels: make([]task.Label, 22)}
		for i := range d.Labels {
			d.Labels[i].Name = strings.Repeat("x", 400)
			for range 45 {
				d.Labels[i].Values = append(d.Labels[i].Values, strings.Repeat("y", 400))
			}
		}
		made := &task.Task{Name: "Task001_X", Dataset: d}
		var looks []*look
		var folds []Fold
		drawn := chosen(n)
		for i := range n {
			c := task.Case{ID: fmt.Sprint(strings.Repeat("z", 190), i), Site: fmt.Sprint("site", i), Patient: fmt.Sprint("p", i), Covariates: map[string]any{fmt.Sprint(i): 1.0}}
			for l := range d.Labels {
				c.Targets = append(c.Targets, (i+l)%45)
			}
			d.Cases = append(d.Cases, c)
			l := &look{size: [3]int{i + 1, 5, 5}, spacing: [3]float64{1, 1, 1}, orientation: fmt.Sprint("o", i), doubt: strings.Repeat("d", 5000), constant: true,
				intensities: []quantiles{{0, float64(i), 9}}, samples: [][]float32{{float32(i)}}}
			if drawn[i] {
				l.thumb = worst
			}
			looks = append(looks, l)
			if i < 300 {
				folds = append(folds, Fold{Name: fmt.Sprint(i), Validation: []string{c.ID}})
			}
		}
		return len(render(t, Input{Task: made, Folds: folds}, looks))
	}
	a, b := size(1300), size(2600)
	const bound = 32 << 20
	t.Logf("%.1f MiB for 1300 cases, %.1f MiB for 2600", float64(a)/(1<<20), float64(b)/(1<<20))
	if a > bound || float64(b) > 1.05*float64(a) {
		t.Errorf("%.1f MiB for 1300 cases, %.1f MiB for 2600; the bound is %d MiB", float64(a)/(1<<20), float64(b)/(1<<20), bound>>20)
	}
}

// However a scan is stored, its left and front, or its left and head, come out at the same place.
func TestViewOf(t *testing.T) {
	for _, test := range []struct {
		thick int // axis of the body (L, P, S) with thick slices
		name  string
		x, y  float64 // where a voxel at the left (0.9), front (0.2 from it) and top of the body is
	}{{0, "sagittal", 0.2, 0.1}, {1, "coronal", 0.9, 0.1}, {2, "axial", 0.9, 0.2}} {
		for _, perm := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			for signs := range 8 {
				g := volume.Geometry{Size: [3]int{20, 20, 20}, Spacing: [3]float64{1, 1, 1}}
				var voxel [3]int      // z, y, x
				for axis := range 3 { // x, y, z
					b := perm[axis]
					sign := 1.0
					if signs>>axis&1 == 1 {
						sign = -1
					}
					g.Direction[3*b+axis] = sign
					if b == test.thick {
						g.Spacing[2-axis] = 4
						g.Size[2-axis] = 5
					}
					// Toward the left: 0.9 of the way; toward the back: 0.2; toward the head: 0.9.
					along := [3]float64{0.9, 0.2, 0.9}[b]
					if sign < 0 {
						along = 1 - along
					}
					voxel[2-axis] = min(int(along*float64(g.Size[2-axis])), g.Size[2-axis]-1)
				}
				v := viewOf(g)
				if v.Name != test.name {
					t.Fatalf("slices across body axis %d are %s", test.thick, v.Name)
				}
				in := [2]int{}
				var at [2]int
				k := 0
				for d := range 3 {
					if d != v.Normal {
						in[k], at[k] = g.Size[d], voxel[d]
						k++
					}
				}
				plane := make([]float32, in[0]*in[1])
				plane[at[0]*in[1]+at[1]] = 100
				shown := draw(plane, nil, g, v, 160)
				x, y := brightest(t, shown)
				if math.Abs(x-test.x) > 0.15 || math.Abs(y-test.y) > 0.15 {
					t.Errorf("%s, axes %v, signs %03b: at %.2f, %.2f, want %.2f, %.2f", test.name, perm, signs, x, y, test.x, test.y)
				}
			}
		}
	}
}

// brightest is where the brightest pixel is, as parts of width and height.
func brightest(t *testing.T, th *thumb) (x, y float64) {
	t.Helper()
	_, text, _ := strings.Cut(string(th.Source), ",")
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	im, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	most := uint32(0)
	for j := range th.Height {
		for i := range th.Width {
			if v, _, _, _ := im.At(i, j).RGBA(); v > most {
				most = v
				x, y = (float64(i)+0.5)/float64(th.Width), (float64(j)+0.5)/float64(th.Height)
			}
		}
	}
	return x, y
}

// Pixels are square in millimetres, and the region keeps its place.
func TestThickSlicesAndOutline(t *testing.T) {
	g := volume.Geometry{Size: [3]int{10, 30, 40}, Spacing: [3]float64{3, 6, 1}, Direction: [9]float64{1, 0, 0, 0, 0, 1, 0, 1, 0}} // x L, y S, z P
	v := viewOf(g)
	if v.Normal != 1 {
		t.Fatalf("slices across axis %d", v.Normal)
	}
	plane, inside := make([]float32, 400), make([]uint8, 400)
	for z := 2; z < 5; z++ {
		for x := 10; x < 20; x++ {
			inside[z*40+x] = 1
		}
	}
	plane[0] = 1
	th := draw(plane, inside, g, v, 160)
	if th.Width != 40 || th.Height != 30 {
		t.Errorf("%d x %d pixels for 40 x 30 mm", th.Width, th.Height)
	}
	if want := "M10 6h10M10 15h10M10 6v9M20 6v9"; th.Outline != want {
		t.Errorf("outline %s, want %s", th.Outline, want)
	}
}

func TestHistogram(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n := 1 + r.IntN(300)
		scale, shift := math.Pow(10, r.Float64()*12-6), r.NormFloat64()*math.Pow(10, r.Float64()*6)
		all := []series{{name: "a"}, {name: "b"}}
		for range n {
			s := r.IntN(2)
			all[s].values = append(all[s].values, shift+scale*r.NormFloat64())
		}
		c := histogram("x", "mm", all, false, false)
		if c.Same != "" {
			continue
		}
		total := 0.0
		for _, b := range c.Bins {
			for _, text := range b.Counts {
				var v float64
				fmt.Sscan(text, &v)
				total += v
			}
		}
		if int(total) != n {
			t.Fatalf("%v of %d values counted", total, n)
		}
		for _, b := range c.Bars {
			if b.X < c.Left-1 || b.X+b.W > c.Right+1 || b.Y < c.Top-1 || b.Y+b.H > c.Bottom+1 || math.IsNaN(b.X+b.Y+b.W+b.H) {
				t.Fatalf("a bar outside the chart: %+v", b)
			}
		}
		if len(c.XTicks) < 2 || len(c.XTicks) > 12 || len(c.Bins) > 2*maxBins+2 {
			t.Fatalf("%d ticks, %d bins", len(c.XTicks), len(c.Bins))
		}
	}
	if c := histogram("x", "", []series{{values: []float64{28, 28}}}, true, false); c.Same != "28" {
		t.Errorf("one value: %q", c.Same)
	}
	if c := histogram("x", "", []series{{values: []float64{math.NaN()}}}, true, false); c.Same != "-" {
		t.Errorf("no value: %q", c.Same)
	}
	if c := histogram("x", "", []series{{values: []float64{3, 4, 4, 5}}}, true, false); len(c.Bins) != 3 || c.Bins[1].Range != "4" || c.Bins[1].Counts[0] != "2" {
		t.Errorf("whole numbers: %+v", c.Bins)
	}
}

// Images and masks that are unlike the cohort's are warned of, with links.
func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	d := &task.Dataset{Modalities: []string{"MRI"}, HasMasks: true, ROILabels: []string{"background", "x"}, Labels: []task.Label{{Name: "L", Values: []string{"no", "yes"}}}}
	made := &task.Task{Name: "Task001_X", Dataset: d}
	for i := range 12 {
		g := volume.Geometry{Size: [3]int{8, 9, 10}, Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
		image, mask := make([]int16, g.Voxels()), make([]int16, g.Voxels())
		for k := range image {
			image[k] = int16(k % 50)
			if k%10 > 1 && k%10 < 8 {
				mask[k] = 1
			}
		}
		switch i {
		case 3:
			g.Spacing[0] = 30
		case 4:
			g.Direction[0] = -1
		case 5:
			clear(mask)
		case 6:
			for k := range image {
				image[k] *= 100
			}
		case 7:
			clear(image)
		case 8:
			clear(mask)
			mask[333] = 1
		}
		c := task.Case{ID: fmt.Sprintf("c%02d", i), Images: []string{filepath.Join(dir, fmt.Sprintf("c%02d_0000.nii.gz", i))}, Mask: filepath.Join(dir, fmt.Sprintf("m%02d.nii.gz", i)), Targets: []int{i % 2}, Site: "A"}
		if i > 9 {
			c.Site, c.Targets = "B", []int{1}
		}
		if err := nifti.WriteInt16(c.Images[0], g, image); err != nil {
			t.Fatal(err)
		}
		if err := nifti.WriteInt16(c.Mask, g, mask); err != nil {
			t.Fatal(err)
		}
		d.Cases = append(d.Cases, c)
	}
	path := filepath.Join(dir, File)
	in := Input{Task: made, Folds: []Fold{{"0", []string{"c01", "c03"}}}}
	if err := Write(context.Background(), path, in, progress.Discard); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	page := string(b)
	selfContained(t, page)
	for text, at := range map[string]int{
		"spacings far from the cohort":                             4,
		"cases stored in another orientation than most (LPS":       5,
		"masks that are empty":                                     6,
		"ranges of intensities ten times larger or smaller":        7,
		"images with one value everywhere":                         8,
		"regions of interest ten times larger or smaller than the": 9,
	} {
		_, rest, found := strings.Cut(page, template.HTMLEscapeString(text))
		end := strings.Index(rest, "</ul>")
		if !found || end < 0 || !strings.Contains(rest[:end], fmt.Sprintf(`href="#case-%d"`, at)) {
			t.Errorf("no warning %q that links to case %d", text, at)
		}
	}
	for _, text := range []string{"fold 0 validates without a case of the class no", "sites with one class alone, which the network may tell by their scanner: B (2 cases, all yes)"} {
		if !strings.Contains(page, text) {
			t.Errorf("no warning %q", text)
		}
	}
}
