package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

var (
	scripts = regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`)
	styles  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	policy  = regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`)
	within  = regexp.MustCompile(`(?:href|src|srcset|action|data|poster|background)="([^"]*)"`)
	idOf    = regexp.MustCompile(` id="([^"]*)"`)
)

// checkPage fails if the page would load anything or run a script that is not its own, or if its links and ids are not
// sound. It returns what the script works with.
func checkPage(t *testing.T, page []byte) *pageData {
	t.Helper()
	text := string(page)
	if strings.Contains(text, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
	m := policy.FindStringSubmatch(text)
	if m == nil {
		t.Fatal("no policy")
	}
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	var data pageData
	ran := 0
	for _, s := range scripts.FindAllStringSubmatch(text, -1) {
		switch {
		case strings.Contains(s[1], `id="data"`):
			if err := json.Unmarshal([]byte(s[2]), &data); err != nil {
				t.Fatalf("the data: %v", err)
			}
		case strings.Contains(s[1], "text/plain"):
			if _, err := base64.StdEncoding.DecodeString(s[2]); err != nil {
				t.Errorf("block %s: %v", s[1], err)
			}
		default:
			ran++
			if s[1] != "" || !strings.Contains(m[1], "script-src "+hash(s[2])+" blob:;") {
				t.Errorf("the policy %s does not allow the script%s", m[1], s[1])
			}
		}
	}
	style := styles.FindAllStringSubmatch(text, -1)
	if ran != 1 || len(style) != 1 || !strings.Contains(m[1], "style-src "+hash(style[0][1])) {
		t.Errorf("%d scripts, %d styles, policy %s", ran, len(style), m[1])
	}
	markup := styles.ReplaceAllString(scripts.ReplaceAllString(text, ""), "")
	known := map[string]bool{}
	for _, id := range idOf.FindAllStringSubmatch(text, -1) {
		if known[id[1]] {
			t.Errorf("id %s twice", id[1])
		}
		known[id[1]] = true
	}
	for _, link := range within.FindAllStringSubmatch(markup, -1) {
		if to, inPage := strings.CutPrefix(link[1], "#"); link[1] != "data:," && (!inPage || !known[to]) {
			t.Errorf("a link to %q", link[1])
		}
	}
	if strings.Contains(markup, " style=") || regexp.MustCompile(`<[^>]* on[a-z]+="`).MatchString(markup) {
		t.Error("a style or a handler in the markup, which the policy forbids")
	}
	return &data
}

func rendered(t *testing.T, r *evaluate.Report, p *Page) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WritePage(&b, r, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hostile are names that try to leave their place.
var hostile = []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'"/><svg onload=alert(1)>`, `{{.Title}}`, "\u202egpj.exe", "a\x1b[31mb", `javascript:alert(1)`,
	`</style><style>*{background:url(https://evil.example)}`, `</script><script>alert(1)</script>`, `-->`, strings.Repeat("long", 5000), "\xff\xfe", "#case=x", "%2e%2e/%00", "a&b=c+d e"}

func hostileReport() (*evaluate.Report, *Page) {
	labels := []task.Label{{Name: hostile[0], Values: hostile[:2]}, {Name: hostile[2], Values: hostile[3:]}}
	details := map[string][]Detail{}
	var predictions []evaluate.Prediction
	for i, name := range hostile {
		p := evaluate.Prediction{Case: name, Fold: name, Patient: name, Targets: []int{i % 2, i % 12}, Groups: map[string]string{name: name}}
		for _, l := range labels {
			logits := make([]float64, len(l.Values))
			logits[(i+i/7)%len(logits)] = float64(1 + i%3)
			p.Logits = append(p.Logits, logits)
		}
		predictions = append(predictions, p)
		details[name] = []Detail{{name, name}}
	}
	r := evaluate.Evaluate(labels, predictions)
	r.Task, r.Model, r.Warnings = hostile[8], hostile[0], hostile
	return r, &Page{Details: details}
}

func TestHostileNames(t *testing.T) {
	r, p := hostileReport()
	page := rendered(t, r, p)
	data := checkPage(t, page)
	if len(data.Cases) != len(hostile) {
		t.Errorf("%d cases", len(data.Cases))
	}
	for _, bad := range []string{"<script>alert", "<img", "onerror=alert(1)>", "<svg onload", "\x1b", "</style><style>"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("%q is on the page", bad)
		}
	}
	// The data hold the true names of the cases, for links; nothing that is shown has characters that turn it around.
	if bytes.Contains(scripts.ReplaceAll(page, nil), []byte("\u202e")) {
		t.Error("a name turns the text around")
	}
}

func TestOrderAndGallery(t *testing.T) {
	labels := []task.Label{{Name: "L", Values: []string{"no", "yes"}}}
	case_ := func(id string, target int, p float64) evaluate.Prediction {
		return evaluate.Prediction{Case: id, Targets: []int{target}, Probabilities: [][]float64{{1 - p, p}}, Logits: [][]float64{{0, 0}}}
	}
	predictions := []evaluate.Prediction{case_("a", 0, 0.1), case_("b", 1, 0.55), case_("c", 0, 0.6), case_("d", 0, 0.9), case_("e", 1, 0.2)}
	for i := range 12 {
		predictions = append(predictions, case_(fmt.Sprintf("f%02d", i), 1, 0.3))
	}
	r := evaluate.Evaluate(labels, predictions)
	data := checkPage(t, rendered(t, r, nil))
	var gallery []string
	for _, i := range data.Gallery[0] {
		gallery = append(gallery, data.Cases[i].ID)
	}
	if got := strings.Join(gallery, " "); got != "d e f00 f01 f02 f03 f04 f05 f06 f07" {
		t.Errorf("gallery %s", got)
	}
	if got := strings.Join(Order(r), " "); got != "d e f00 f01 f02 f03 f04 f05 f06 f07 c f08 f09 f10 f11 b a" {
		t.Errorf("order %s", got)
	}
}

// scanned is a report on n cases whose scans are one image of noise.
func scanned(t *testing.T, n int) (*evaluate.Report, []task.Case) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	g := volume.Geometry{Size: [3]int{46, 46, 46}, Spacing: [3]float64{1, 1, 1}}
	image, mask := make([]int16, g.Voxels()), make([]int16, g.Voxels())
	for k := range image {
		image[k] = int16(rng.IntN(3000))
		if k%46 > 15 && k%46 < 30 && k/46%46 > 15 && k/46%46 < 30 && k/2116 > 15 && k/2116 < 30 {
			mask[k] = 1
		}
	}
	dir := t.TempDir()
	c := task.Case{Images: []string{filepath.Join(dir, "image.nii")}, Mask: filepath.Join(dir, "mask.nii")}
	if err := nifti.WriteInt16(c.Images[0], g, image); err != nil {
		t.Fatal(err)
	}
	if err := nifti.WriteInt16(c.Mask, g, mask); err != nil {
		t.Fatal(err)
	}
	labels, predictions := cohort(n)
	var cases []task.Case
	for _, p := range predictions {
		c.ID = p.Case
		cases = append(cases, c)
	}
	return evaluate.Evaluate(labels, predictions), cases
}

// Two hundred scans of noise, which does not compress, keep the bound of the page.
func TestAPageOf200CasesKeepsItsBound(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 20
	}
	r, cases := scanned(t, n)
	p := &Page{}
	room, err := Room(r, p)
	if err != nil {
		t.Fatal(err)
	}
	scans, err := preview.Make(context.Background(), cases, true, nil, preview.Options{Bytes: room}, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p.Scans = map[string]*preview.Case{}
	for i, c := range cases {
		p.Scans[c.ID] = scans[i]
	}
	page := rendered(t, r, p)
	data := checkPage(t, page)
	for _, c := range data.Cases {
		if c.Scan == nil || c.Scan.Problem != "" || c.Scan.Thumb == "" || !bytes.Contains(page, fmt.Appendf(nil, `id="scan-0-%d"`, len(c.Scan.Layers)-1)) {
			t.Fatalf("case %s has no scan", c.ID)
		}
	}
	t.Logf("%d cases: %.1f MB, copies of %v voxels", n, float64(len(page))/1e6, data.Cases[0].Scan.Size)
	if len(page) > MaxBytes {
		t.Errorf("%d bytes, at most %d", len(page), MaxBytes)
	}
	if !bytes.Contains(page, fmt.Appendf(nil, "copies of the scans of %d of the %d cases", n, n)) {
		t.Error("the page does not say what its scans are")
	}
}
