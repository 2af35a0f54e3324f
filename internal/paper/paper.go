// Package paper writes what a publication needs of an evaluation: figures, tables, a methods section with its
// references, a model card and reporting checklists.
//
// It states what the files of the task say and nothing else. What only the authors know is marked "you".
package paper

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
)

// Files that Write makes, next to the folders figures and tables.
const (
	ReadmeFile    = "README.md"
	CardFile      = "model-card.md"
	TripodFile    = "checklist-tripod-ai.md"
	ClaimFile     = "checklist-claim-2024.md"
	MethodsText   = "methods.md"
	MethodsTeX    = "methods.tex"
	BibFile       = "references.bib"
	DocumentFile  = "paper.tex"
	figuresFolder = "figures"
	tablesFolder  = "tables"
	you           = "**you**"
)

// Write writes all files to dir, which is made if it is not there, and returns their paths. Figures and tables of an
// earlier run that are not made any more are removed.
func Write(dir string, f *Facts) ([]string, error) {
	for _, folder := range []string{dir, filepath.Join(dir, figuresFolder), filepath.Join(dir, tablesFolder)} {
		if err := atomicfile.MkdirAll(folder); err != nil {
			return nil, err
		}
	}
	var paths []string
	put := func(name, text string) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := atomicfile.Write(path, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}); err != nil {
			return err
		}
		paths = append(paths, path)
		return nil
	}
	figures := f.figures()
	for _, d := range figures {
		made, err := d.figure.Write(filepath.Join(dir, figuresFolder, d.name))
		if err != nil {
			return nil, err
		}
		paths = append(paths, made...)
	}
	tables := f.tables()
	for _, t := range tables {
		csv, err := t.csv()
		if err != nil {
			return nil, err
		}
		if err := put(tablesFolder+"/"+t.name+".csv", csv); err != nil {
			return nil, err
		}
		if err := put(tablesFolder+"/"+t.name+".tex", t.latex()); err != nil {
			return nil, err
		}
	}
	if err := removeOthers(dir, paths); err != nil {
		return nil, err
	}
	methods := f.methods()
	bib, err := bibliography(methods.keys())
	if err != nil {
		return nil, err
	}
	for _, file := range []struct{ name, text string }{
		{MethodsText, methods.markdown()},
		{MethodsTeX, methods.latex()},
		{BibFile, bib},
		{CardFile, f.card()},
		{TripodFile, f.checklist(tripod)},
		{ClaimFile, f.checklist(claim)},
		{DocumentFile, f.document(figures, tables)},
		{ReadmeFile, f.readme(figures, tables)},
	} {
		if err := put(file.name, file.text); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// removeOthers removes the figures and tables that an earlier run made and this one did not.
func removeOthers(dir string, made []string) error {
	keep := map[string]bool{}
	for _, path := range made {
		keep[path] = true
	}
	for folder, suffixes := range map[string][]string{figuresFolder: {".svg", ".pdf"}, tablesFolder: {".csv", ".tex"}} {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, folder, e.Name())
			for _, suffix := range suffixes {
				if e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix) && !keep[path] {
					if err := atomicfile.Remove(path); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
