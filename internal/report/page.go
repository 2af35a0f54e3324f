package report

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/infile"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// Write writes a report to dir, which is made if it is not there: evaluation.json, evaluation.csv, roc_<label>.png,
// confusion_<label>.png and calibration_<label>.png per label, and report.html, one file that shows all of it. It
// returns the paths in that order, the page last.
func Write(dir string, r *evaluate.Report) ([]string, error) {
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
	shown := struct {
		*evaluate.Report
		Title    string
		Sections []section
	}{Report: r, Title: "Evaluation"}
	if r.Task != "" {
		shown.Title = r.Task
	}
	for at, l := range r.Labels {
		s := section{LabelReport: l}
		for _, f := range r.PerFold {
			s.Folds = append(s.Folds, foldRow{Fold: f.Fold, Cases: f.Cases, Label: f.Labels[at]})
		}
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
			png, err := infile.ReadFile(path, infile.MaxText)
			if err != nil {
				return nil, err
			}
			paths = append(paths, path)
			s.Pictures = append(s.Pictures, embedded{
				About:  picture.kind + " of " + l.Name,
				Source: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png)),
			})
		}
		shown.Sections = append(shown.Sections, s)
	}
	path := filepath.Join(dir, "report.html")
	if err := atomicfile.Write(path, func(w io.Writer) error { return page.Execute(w, shown) }); err != nil {
		return nil, err
	}
	return append(paths, path), nil
}

// section is what the page shows of one label.
type section struct {
	evaluate.LabelReport
	Folds    []foldRow
	Pictures []embedded
}

type foldRow struct {
	Fold  string
	Cases int
	Label evaluate.LabelReport
}

type embedded struct {
	About  string
	Source template.URL
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
