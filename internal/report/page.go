package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // of the page's parts
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/readable"
	"github.com/universal-classifier/uc/internal/report/niivue"
)

// MaxBytes bounds a page with scans: what still goes by mail and opens at once.
const MaxBytes = 25_000_000

// PageFile is the name of the page in the folder of an evaluation.
const PageFile = "report.html"

// Page is what report.html shows in addition to the report.
type Page struct {
	// Scans are the copies of the scans by case; cases without one say so. Without any the page holds no viewer.
	Scans map[string]*preview.Case
	// Details are what else is known of a case, by case: patient, site, covariates.
	Details map[string][]Detail
	// Live is set where the page is served by a program that sends scans and keeps marks.
	Live *Live
}

// Detail is something that is known of a case.
type Detail struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Live is what a page needs to know of the program that serves it.
type Live struct {
	Token string           `json:"token"` // that goes with every mark
	Marks map[string]*Mark `json:"marks"` // by case
	File  string           `json:"file"`  // that the marks are kept in
	Scans []string         `json:"-"`     // cases that scans are served of
}

// Mark is what a reader wants done with a case.
type Mark struct {
	Action  string `json:"mark"`
	Comment string `json:"comment"`
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{"show": readable.Name, "long": readable.Sentence, "share": share,
	"percent": func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }, "level": func(v float64) int { return int(10*v + 0.5) }}).Parse(pageText))

// Write writes a report to dir, which is made if it is not there: evaluation.json, evaluation.csv, roc_<label>.png,
// confusion_<label>.png and calibration_<label>.png per label, and report.html, one file that shows all of it. It
// returns the paths in that order, the page last. p may be nil.
func Write(dir string, r *evaluate.Report, p *Page) ([]string, error) {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	var paths []string
	type table struct {
		name  string
		write func(io.Writer) error
	}
	tables := []table{{"evaluation.json", r.JSON}, {"evaluation.csv", r.CSV}}
	if r.HasSubgroups() {
		tables = append(tables, table{"subgroups.csv", r.SubgroupsCSV})
	}
	for _, text := range tables {
		path := filepath.Join(dir, text.name)
		if err := atomicfile.Write(path, text.write); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	names := fileNames(r.Labels)
	for at, l := range r.Labels {
		for _, picture := range []struct {
			kind string
			draw func(path string) error
		}{
			{"roc", func(path string) error { return ROC(path, l) }},
			{"confusion", func(path string) error { return ConfusionMatrix(path, l) }},
			{"calibration", func(path string) error { return Calibration(path, l, at, r.Predictions) }},
		} {
			path := filepath.Join(dir, picture.kind+"_"+names[at]+".png")
			if err := picture.draw(path); err != nil {
				return nil, fmt.Errorf("label %s: cannot draw %s: %w", l.Name, path, err)
			}
			paths = append(paths, path)
		}
	}
	path := filepath.Join(dir, PageFile)
	if err := atomicfile.Write(path, func(w io.Writer) error { return WritePage(w, r, p) }); err != nil {
		return nil, err
	}
	return append(paths, path), nil
}

// Room is how many bytes the scans of a report may take for its page to keep MaxBytes.
func Room(r *evaluate.Report, p *Page) (int, error) {
	bare := Page{Scans: map[string]*preview.Case{}}
	if p != nil {
		bare.Details = p.Details
	}
	const perScan = 1500 // bytes of what is said of a scan besides its voxels
	n := 0
	for _, c := range r.Predictions {
		bare.Scans[c.Case] = nil
	}
	var counted counter
	if err := WritePage(&counted, r, &bare); err != nil {
		return 0, err
	}
	n = MaxBytes - int(counted)
	n -= perScan * min(len(r.Predictions), preview.Room(max(0, n)))
	return max(0, n), nil
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// WritePage writes the page: one file that loads nothing from anywhere, unless a program serves it and its scans.
func WritePage(w io.Writer, r *evaluate.Report, p *Page) error {
	if p == nil {
		p = &Page{}
	}
	s, data := p.content(r)
	var body bytes.Buffer
	if err := page.Execute(&body, s); err != nil {
		return err
	}
	b, err := json.Marshal(data) // <, > and & are escaped
	if err != nil {
		return err
	}
	connect, images := "'none'", "data:"
	if p.Live != nil {
		connect, images = "'self'", "data: 'self'"
	}
	// The script and the style are allowed by their digests, and no others: whatever names spell, it does not run.
	policy := fmt.Sprintf("default-src 'none'; script-src '%s' blob:; style-src '%s'; img-src %s; connect-src %s; base-uri 'none'; form-action 'none'",
		digest(pageScript), digest(pageStyle), images, connect)
	out := &sticky{w: w}
	out.write("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
	out.write(`<meta http-equiv="Content-Security-Policy" content="` + policy + "\">\n")
	out.write("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n")
	out.write("<link rel=\"icon\" href=\"data:,\">\n") // none, and none is asked for
	out.write("<title>" + template.HTMLEscapeString(readable.Name(s.Title)) + ": evaluation</title>\n<style>" + pageStyle + "</style>\n</head>\n")
	out.write(body.String())
	out.write("<script type=\"application/json\" id=\"data\">" + string(b) + "</script>\n")
	if p.viewer() {
		out.write("<!-- NiiVue " + niivue.Version + "\n" + strings.ReplaceAll(niivue.License, "--", "- -") + "-->\n")
		out.block("niivue", niivue.Bundle)
		for i, c := range r.Predictions {
			if scan := p.Scans[c.Case]; scan != nil {
				for k, l := range layersOf(scan) {
					out.block(fmt.Sprintf("scan-%d-%d", i, k), l.Data)
				}
			}
		}
	}
	out.write("<script>" + pageScript + "</script>\n</body>\n</html>\n")
	return out.err
}

// viewer reports whether the page shows scans.
func (p *Page) viewer() bool { return p.Scans != nil || p.Live != nil }

// digest is how a policy names a script or a style that stands in the page.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// sticky remembers the first error of a writer.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) write(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

// block writes data that the script asks for by their id.
func (s *sticky) block(id string, data []byte) {
	s.write(`<script type="text/plain" id="` + id + `">` + base64.StdEncoding.EncodeToString(data) + "</script>\n")
}

// fileNames are the label names as parts of file names: letters, digits, - and _ stay, anything else becomes _. Names
// that would fall together, also where files ignore case, get the label's number.
func fileNames(labels []evaluate.LabelReport) []string {
	names := make([]string, len(labels))
	taken := map[string]bool{}
	for i, l := range labels {
		name := strings.Map(func(c rune) rune {
			if c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				return c
			}
			return '_'
		}, l.Name)
		for name == "" || taken[strings.ToLower(name)] {
			name += fmt.Sprintf("_%d", i)
		}
		taken[strings.ToLower(name)] = true
		names[i] = name
	}
	return names
}
