package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"unicode/utf8"
)

// wideComments lists the lines of comments in a Go file that have more columns than allowed; a tab counts as one.
// Generated files, directives, and comments that follow code on their line are exempt.
func wideComments(path string, columns int) ([]string, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	lines := strings.Split(string(src), "\n")
	var problems []string
	for _, group := range file.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:") {
				continue
			}
			for n := files.Position(c.Pos()).Line; n <= files.Position(c.End()).Line; n++ {
				line := lines[n-1]
				if width := utf8.RuneCountInString(line); width > columns && !afterCode(line, files.Position(c.Pos()), n) {
					problems = append(problems, fmt.Sprintf("%s:%d: comment of %d columns, at most %d", path, n, width, columns))
				}
			}
		}
	}
	return problems, nil
}

// afterCode reports whether line n, in which a comment may begin, has code in front of it.
func afterCode(line string, begin token.Position, n int) bool {
	return n == begin.Line && strings.TrimSpace(line[:begin.Column-1]) != ""
}
