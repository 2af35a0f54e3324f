package floors

import (
	"bufio"
	"errors"
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	page   = "docs/contributing/architecture.md"
	module = "github.com/universal-classifier/uc/"
	// testFloor is the heading of the packages that only tests may import.
	testFloor = "For tests only"
)

// floor is a heading of the page with the packages listed below it.
type floor struct {
	name  string
	rooms []room
}

// room is a package with its sentence, as the page lists it or as its doc comment says.
type room struct {
	path, sentence string
}

// pkg is a package of the module; paths are relative to the module, and others are left out.
type pkg struct {
	room
	imports []string
}

var (
	heading = regexp.MustCompile(`^#{1,6} +(.+?) *$`)
	entry   = regexp.MustCompile("^- `([^`]+)`: (.+?) *$")
)

// parse reads the floors of the page: every heading that has entries.
func parse(r io.Reader) ([]floor, error) {
	var floors []floor
	title := ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if m := heading.FindStringSubmatch(lines.Text()); m != nil {
			title = m[1]
		}
		m := entry.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if len(floors) == 0 || floors[len(floors)-1].name != title {
			floors = append(floors, floor{name: title})
		}
		last := &floors[len(floors)-1]
		last.rooms = append(last.rooms, room{m[1], m[2]})
	}
	return floors, lines.Err()
}

// check compares the page with the packages of the module. The page lists packages from top to bottom: each may import
// only packages further down, which rules out circles of floors as well. Packages for tests come last and are imported
// by nothing but one another.
func check(floors []floor, pkgs []pkg) []string {
	var problems []string
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	listed := map[string]string{} // path to sentence
	place := map[string]int{}     // path to position from the top
	floorOf := map[string]string{}
	var order []string
	for _, f := range floors {
		for _, r := range f.rooms {
			if _, twice := listed[r.path]; twice {
				fail("%s: %s is listed twice; remove one of the lines", page, r.path)
				continue
			}
			listed[r.path], place[r.path], floorOf[r.path] = r.sentence, len(order), f.name
			order = append(order, r.path)
		}
	}

	exists := map[string]bool{}
	for _, p := range pkgs {
		exists[p.path] = true
		line := fmt.Sprintf("- `%s`: %s", p.path, p.sentence)
		sentence, found := listed[p.path]
		switch {
		case p.sentence == "":
			fail("%s has no doc comment; write one whose first sentence says what the package is", p.path)
		case !found:
			fail("%s does not list %s; add this line %s:\n%s", page, p.path, whereTo(p, pkgs, order, place), line)
		case sentence != p.sentence:
			fail("%s: the sentence of %s is not the first of its doc comment; the line must be:\n%s", page, p.path, line)
		}
		if !found {
			continue
		}
		for _, q := range p.imports {
			_, known := listed[q]
			switch {
			case !known: // reported where q itself is looked at
			case floorOf[p.path] == testFloor && floorOf[q] != testFloor: // tests may import anything
			case floorOf[q] == testFloor && floorOf[p.path] != testFloor:
				fail("%s imports %s, which is for tests only", p.path, q)
			case place[q] < place[p.path]:
				fail("%s (%s) imports %s (%s), which %s lists above it; packages import only those below them: "+
					"move the code, or the line if the order is wrong", p.path, floorOf[p.path], q, floorOf[q], page)
			}
		}
	}
	for _, path := range order {
		if !exists[path] {
			fail("%s lists %s, which does not exist; remove its line", page, path)
		}
	}
	return problems
}

// whereTo says between which lines of the page a package belongs.
func whereTo(p pkg, pkgs []pkg, order []string, place map[string]int) string {
	above, below := -1, len(order)
	for _, importer := range pkgs {
		if i, ok := place[importer.path]; ok && slices.Contains(importer.imports, p.path) {
			above = max(above, i)
		}
	}
	for _, q := range p.imports {
		if i, ok := place[q]; ok {
			below = min(below, i)
		}
	}
	var words []string
	if above >= 0 {
		words = append(words, "below "+order[above]+", which imports it")
	}
	if below < len(order) {
		words = append(words, "above "+order[below]+", which it imports")
	}
	if above >= below {
		return "(no place is right: " + strings.Join(words, ", but ") + ")"
	}
	if len(words) == 0 {
		return "to the floor where it belongs"
	}
	return strings.Join(words, " and ")
}

// packages reads the packages of the module below root and what they import outside of tests. It reads the files itself
// rather than asking the Go tool, so that a cached result of this test is dropped when one of them changes.
func packages(root string) ([]pkg, error) {
	var pkgs []pkg
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != root && (name[0] == '.' || name[0] == '_' || name == "testdata") {
			return filepath.SkipDir
		}
		p, err := build.ImportDir(path, 0)
		if none := new(build.NoGoError); errors.As(err, &none) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		own := pkg{room: room{filepath.ToSlash(rel), p.Doc}}
		for _, imported := range p.Imports {
			if rest, ok := strings.CutPrefix(imported, module); ok {
				own.imports = append(own.imports, rest)
			}
		}
		pkgs = append(pkgs, own)
		return nil
	})
	return pkgs, err
}

func TestPageAndPackagesAgree(t *testing.T) {
	root := filepath.Join("..", "..")
	f, err := os.Open(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	floors, err := parse(f)
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := packages(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(floors) == 0 || len(pkgs) == 0 {
		t.Fatalf("%d floors on the page, %d packages", len(floors), len(pkgs))
	}
	if last := floors[len(floors)-1].name; last != testFloor {
		t.Errorf("%s: the last floor is %q, want %q", page, last, testFloor)
	}
	for _, problem := range check(floors, pkgs) {
		t.Error(problem)
	}
}

// The checks are made of a small house with one thing wrong at a time.
func TestCheck(t *testing.T) {
	const house = "# House\n\n## Roof\n\n- `cmd`: Command cmd is main.\n\n## Ground\n\n- `a`: Package a is one.\n- `b`: Package b is two.\n\n" +
		"## For tests only\n\n- `atest`: Package atest helps.\n"
	right := func() []pkg {
		return []pkg{
			{room{"cmd", "Command cmd is main."}, []string{"a", "b"}},
			{room{"a", "Package a is one."}, []string{"b"}},
			{room{"b", "Package b is two."}, nil},
			{room{"atest", "Package atest helps."}, []string{"a"}},
		}
	}
	for _, c := range []struct {
		name, page string
		change     func([]pkg) []pkg
		want       string
	}{
		{"right", house, nil, ""},
		{"missing between", house, func(p []pkg) []pkg {
			p[0].imports = append(p[0].imports, "c")
			return append(p, pkg{room{"c", "Package c is new."}, []string{"a"}})
		}, "add this line below cmd, which imports it and above a, which it imports:\n- `c`: Package c is new."},
		{"missing in a circle", house, func(p []pkg) []pkg {
			p[2].imports = []string{"c"}
			return append(p, pkg{room{"c", "Package c is new."}, []string{"a"}})
		}, "no place is right: below b, which imports it, but above a, which it imports"},
		{"missing alone", house, func(p []pkg) []pkg { return append(p, pkg{room{"c", "Package c is new."}, nil}) }, "to the floor where it belongs"},
		{"other sentence", house, func(p []pkg) []pkg { p[1].sentence = "Package a is other."; return p }, "- `a`: Package a is other."},
		{"no sentence", house, func(p []pkg) []pkg { p[1].sentence = ""; return p }, "a has no doc comment"},
		{"upward", house, func(p []pkg) []pkg { p[2].imports = []string{"a"}; return p }, "b (Ground) imports a (Ground), which"},
		{"test code in production", house, func(p []pkg) []pkg { p[1].imports = []string{"atest"}; return p }, "a imports atest, which is for tests only"},
		{"gone", house, func(p []pkg) []pkg { return p[:3] }, "lists atest, which does not exist"},
		{"twice", house + "- `a`: Package a is one.\n", nil, "a is listed twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			floors, err := parse(strings.NewReader(c.page))
			if err != nil {
				t.Fatal(err)
			}
			pkgs := right()
			if c.change != nil {
				pkgs = c.change(pkgs)
			}
			got := check(floors, pkgs)
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("unexpected: %q", got)
			case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
				t.Errorf("got %q, want one problem with %q", got, c.want)
			}
		})
	}
}
