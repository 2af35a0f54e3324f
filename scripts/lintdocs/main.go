// Command lintdocs finds links between Markdown files that lead nowhere, and comments that are too wide.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	columns := flag.Int("columns", 0, "check that comments have at most this many columns; 0: do not check")
	flag.Parse()
	problems, err := check(".", *columns)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// check reads every Markdown and Go file below root, except in hidden folders, in those that builds write and among
// test data.
func check(root string, columns int) ([]string, error) {
	var pages, sources []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && skipped(path, d.Name()):
			return filepath.SkipDir
		case d.IsDir():
		case strings.HasSuffix(path, ".md"):
			pages = append(pages, path)
		case strings.HasSuffix(path, ".go"):
			sources = append(sources, path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	problems, err := checkLinks(pages)
	if err != nil {
		return nil, err
	}
	if columns == 0 {
		sources = nil
	}
	for _, path := range sources {
		wide, err := wideComments(path, columns)
		if err != nil {
			return nil, err
		}
		problems = append(problems, wide...)
	}
	slices.Sort(problems)
	return problems, nil
}

// skipped reports whether a folder is left out. GitHub's templates lie in a hidden folder and are pages all the same.
func skipped(path, name string) bool {
	if strings.HasPrefix(name, ".") {
		return name != ".github"
	}
	return slices.Contains([]string{"bin", "dist", "demo", "node_modules"}, name) || strings.Contains(filepath.ToSlash(path), "testdata/fuzz")
}
