package view

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/marks"
	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// inBrowser are the programs that the test of the pages needs; a missing one skips it.
func inBrowser(t *testing.T) (node, chromium string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if chromium, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		t.Skip("Chromium is not installed")
	}
	if out, err := exec.Command(node, "-e", "require.resolve('playwright-core'); require.resolve('axe-core')").CombinedOutput(); err != nil {
		t.Skipf("playwright-core and axe-core are not installed where NODE_PATH points: %s", strings.TrimSpace(string(out)))
	}
	return node, chromium
}

// answers makes up what a network says of cases, with members and doubt.
func answers(n int, labels []task.Label) []evaluate.Prediction {
	rng := rand.New(rand.NewPCG(7, 8))
	var out []evaluate.Prediction
	for i := range n {
		p := evaluate.Prediction{Case: fmt.Sprintf("case_%03d", i), Fold: fmt.Sprint(i % 3), Patient: fmt.Sprintf("P%d", i/2), Groups: map[string]string{"site": string(rune('A' + i%2))},
			Members: &evaluate.Members{Folds: 1, Mirrors: 8}, Doubt: &evaluate.Doubt{}}
		for _, l := range labels {
			target := rng.IntN(len(l.Values))
			logits := make([]float64, len(l.Values))
			var members [][]float32
			for range 8 {
				m := make([]float32, len(logits))
				for k := range m {
					m[k] = float32(rng.NormFloat64())
				}
				m[target] += 0.7
				for k := range m {
					logits[k] += float64(m[k]) / 8
				}
				members = append(members, m)
			}
			for k := range logits {
				logits[k] += 0.8 * rng.NormFloat64()
			}
			agree := 0
			for _, m := range members {
				if evaluate.Argmax([]float64{float64(m[0]), float64(m[1])}) == evaluate.Argmax(logits[:2]) {
					agree++
				}
			}
			p.Targets, p.Logits = append(p.Targets, target), append(p.Logits, logits)
			p.Members.Logits = append(p.Members.Logits, members)
			p.Doubt.Labels = append(p.Doubt.Labels, evaluate.LabelDoubt{Members: 8, Agreement: evaluate.Number(float64(agree) / 8)})
		}
		out = append(out, p)
	}
	return out
}

func writePage(t *testing.T, dir, name string, r *evaluate.Report, p *report.Page) string {
	t.Helper()
	path := filepath.Join(dir, name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.WritePage(f, r, p); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// In a real browser: the tables sort and filter, a case opens with its overlays, nothing is requested from anywhere, no
// error stands in the console, and axe finds nothing that a reader with other senses would stumble over.
func TestInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("drives a browser")
	}
	node, chromium := inBrowser(t)
	dir := t.TempDir()
	if err := phantom.Generate(context.Background(), dir, phantom.Options{Cases: 6, TestCases: -1, Seed: 2}, progress.Discard); err != nil {
		t.Fatal(err)
	}
	folders, err := task.ResolveFolders(dir)
	if err != nil {
		t.Fatal(err)
	}
	made, err := task.Load(folders, "900")
	if err != nil {
		t.Fatal(err)
	}
	labels := []task.Label{{Name: "Lesion", Values: []string{"absent", "present"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}}
	r := evaluate.Evaluate(labels, answers(24, labels))
	r.Task, r.Warnings = "Task900_Phantom", append(r.Warnings, "a warning to look at")
	var cases []task.Case
	for i, p := range r.Predictions {
		c := made.Dataset.Cases[i%6]
		c.ID = p.Case
		cases = append(cases, c)
	}
	heat := func(_ context.Context, c task.Case) ([]preview.Heat, error) {
		im, err := nifti.ReadImage(c.Images[0])
		if err != nil {
			return nil, err
		}
		h := &volume.Image{Geometry: im.Geometry, Data: make([]float32, len(im.Data))}
		for i := range h.Data {
			h.Data[i] = max(0, im.Data[i]-150)
		}
		return []preview.Heat{{Name: "Lesion: present", Image: h}}, nil
	}
	previews, err := preview.Make(context.Background(), cases, true, []string{"MRI"}, preview.Options{Bytes: 5_000_000, Heat: heat}, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p := &report.Page{Scans: map[string]*preview.Case{}}
	for i, c := range cases {
		p.Scans[c.ID] = previews[i]
	}
	scans := writePage(t, dir, "scans.html", r, p)

	hostile := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'"/><svg onload=alert(1)>`, `{{.Title}}`, "\u202egpj.exe", "a\x1b[31mb", `javascript:alert(1)`,
		`</style><style>*{background:url(https://evil.example)}`, `</script><script>alert(1)</script>`, `-->`, strings.Repeat("long", 5000), `${alert(1)}`, "#case=x", "%2e%2e/%00", "a&b=c+d e"}
	bad := []task.Label{{Name: hostile[0], Values: hostile[:2]}, {Name: hostile[2], Values: hostile}}
	named := answers(len(hostile), bad)
	details := map[string][]report.Detail{}
	for i, name := range hostile {
		named[i].Case, named[i].Fold, named[i].Patient, named[i].Groups = name, name, name, map[string]string{name: name}
		details[name] = []report.Detail{{Name: name, Text: name}}
	}
	worst := evaluate.Evaluate(bad, named)
	worst.Task, worst.Warnings = hostile[8], hostile
	hostilePage := writePage(t, dir, "hostile.html", worst, &report.Page{Details: details})
	many := writePage(t, dir, "many.html", evaluate.Evaluate(labels[:1], answers(10_000, labels[:1])), nil)

	table, err := marks.Open(filepath.Join(dir, marks.File))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Listen(0, Options{Report: r, Cases: cases, Masked: true, Modalities: []string{"MRI"}, Marks: table, Heat: heat})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	go func() { _ = s.Run(ctx) }()
	out, err := exec.CommandContext(ctx, node, "testdata/browser.js", chromium, scans, hostilePage, many, s.URL(), os.Getenv("UC_KEEP_PICTURES")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	kept, err := marks.Open(table.Path)
	if err != nil || len(kept.Marks) != 1 || kept.Marks[0].Case != "case_002" || kept.Marks[0].Comment != "moved" {
		t.Errorf("marks: %v, %+v", err, kept)
	}
}
