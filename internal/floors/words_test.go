package floors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// commandsPage lists every command and flag; it is written from the definitions of the commands.
const commandsPage = "docs/reference/commands.md"

// cliRooms are where command lines and flags may be spelled.
var cliRooms = []string{"internal/cli", "cmd", "scripts"}

// spelledOnPurpose are the strings elsewhere whose commands and flags are what the string is for. A path that ends in a
// slash stands for all strings of the folder.
var spelledOnPurpose = []struct{ path, text, why string }{
	{"internal/jobgraph/", "", "composes the command lines of jobs, for a batch system to run"},
	{"internal/slurm/", "", "writes the scripts of jobs, and calls the commands of Slurm"},
	{"internal/kubernetes/", "", "writes manifests and a script that calls kubectl"},
	{"internal/device/cuda/cudatest/emulator/emulator.go", "-o", "a flag of the C++ compiler"},
	{"internal/device/cuda/driver/find.go", "-c", "a flag of Python"},
	{"internal/device/cuda/driver/report.go", "python3 -m pip install ", "a command that installs NVIDIA's libraries; the command line and Go programs need it alike"},
	{"internal/device/cuda/driver/report.go", "python -m pip install ", "as before, on Windows"},
	{"internal/task/hints.go", "convmv -f utf8", "a command of the system that renames files"},
	{"internal/phantom/phantom.go", "Artificial scans made by uc demo", "the description in the dataset.json of the demo, which says where the data come from"},
	{"internal/export/onnx.go", "uc preprocess-case writes exactly this input", "in the file beside an exported model, for who writes a server without this program's Go API"},
}

var (
	commandHeading = regexp.MustCompile(`(?m)^## uc ([a-z-]+)$`)
	flagRow        = regexp.MustCompile("(?m)^\\| `(-[^`]*)` \\|")
	flagName       = regexp.MustCompile(`(?:^|[\s,])(--?[A-Za-z][\w-]*)`)
)

// spellings is a pattern of what only the command line may spell: its commands, and its flags with their dashes.
func spellings(page string) *regexp.Regexp {
	var commands, hyphenated, flags []string
	for _, m := range commandHeading.FindAllStringSubmatch(page, -1) {
		commands = append(commands, regexp.QuoteMeta(m[1]))
		if strings.Contains(m[1], "-") {
			hyphenated = append(hyphenated, regexp.QuoteMeta(m[1]))
		}
	}
	for _, row := range flagRow.FindAllStringSubmatch(page, -1) {
		for _, m := range flagName.FindAllStringSubmatch(row[1], -1) {
			flags = append(flags, regexp.QuoteMeta(m[1]))
		}
	}
	slices.Sort(flags)
	flags = slices.Compact(flags)
	return regexp.MustCompile(`\buc (?:help|` + strings.Join(commands, "|") + `)\b|` +
		`\b(?:` + strings.Join(hyphenated, "|") + `)\b|` +
		`(?:^|[^\w-])(?:` + strings.Join(flags, "|") + `)(?:$|[^\w-])`)
}

// spelled finds the strings of a file that match.
func spelled(name string, source []byte, what *regexp.Regexp) (found []literal, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		l, ok := n.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(l.Value)
		if err == nil && what.MatchString(text) {
			found = append(found, literal{name, set.Position(l.Pos()).Line, text, strings.TrimSpace(what.FindString(text))})
		}
		return true
	})
	return found, nil
}

// literal is a string of a file that spells something.
type literal struct {
	path  string
	line  int
	text  string
	match string
}

// judge leaves out what is spelled on purpose, and notes which of the exceptions were used.
func judge(found []literal, used []bool) (problems []string) {
	for _, l := range found {
		i := slices.IndexFunc(spelledOnPurpose, func(e struct{ path, text, why string }) bool {
			return (e.path == l.path || strings.HasSuffix(e.path, "/") && strings.HasPrefix(l.path, e.path)) && strings.Contains(l.text, e.text)
		})
		if i >= 0 {
			used[i] = true
			continue
		}
		problems = append(problems, fmt.Sprintf("%s:%d spells %q, which only the command line may: say in plain words what to do, "+
			"and add a remedy that internal/cli/hint.go spells: %q", l.path, l.line, l.match, l.text))
	}
	return problems
}

// commandLine is the pattern of what the page lists.
func commandLine(t *testing.T) *regexp.Regexp {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(commandsPage)))
	if err != nil {
		t.Fatal(err)
	}
	return spellings(string(page))
}

// Errors and warnings are read in Go programs, too, where a flag is the wrong advice.
func TestOnlyTheCommandLineSpellsIt(t *testing.T) {
	root := filepath.Join("..", "..")
	what := commandLine(t)
	used := make([]bool, len(spelledOnPurpose))
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); path != root && (name[0] == '.' || name[0] == '_' || name == "testdata") || slices.Contains(cliRooms, rel) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		found, err := spelled(rel, source, what)
		for _, problem := range judge(found, used) {
			t.Error(problem)
		}
		return err
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files: %v", files, err)
	}
	for i, e := range spelledOnPurpose {
		if !used[i] {
			t.Errorf("%s does not spell %q any more; remove the exception", e.path, e.text)
		}
	}
}

// What is planted is found, and what only looks like it is not.
func TestSpellings(t *testing.T) {
	what := commandLine(t)
	for text, want := range map[string]string{
		"is not planned yet; run uc plan-and-preprocess -t %s first": "uc plan-and-preprocess",
		"run plan-and-preprocess again":                              "plan-and-preprocess",
		"train it first (uc train)":                                  "uc train",
		"see uc help environment":                                    "uc help",
		"choose other folds with -f":                                 "-f",
		"train first, without -c or -val":                            "-c",
		"validate again with -val":                                   "-val",
		"give --memory %dM or more":                                  "--memory",
		"--allow-duplicates":                                         "--allow-duplicates",
		"a lower learning rate (--lr)":                               "(--lr)",
		"(-tr) names it":                                             "(-tr)",
		"the trainer of uc says":                                     "",
		"a - b, 3 -t4 and an x-c of a -fine day":                     "",
		"-1 to 4":                                                    "",
		"plan and preprocess the task again":                         "",
		"nvidia-smi answers":                                         "",
	} {
		source := fmt.Sprintf("package p\n\n// uc train -c is fine in a comment.\nvar x = f(%q)\n", text)
		found, err := spelled("internal/p/p.go", []byte(source), what)
		if err != nil {
			t.Fatal(err)
		}
		problems := judge(found, make([]bool, len(spelledOnPurpose)))
		switch {
		case want == "" && len(problems) > 0:
			t.Errorf("%q: %v", text, problems)
		case want != "" && (len(problems) != 1 || found[0].match != want || !strings.Contains(problems[0], "internal/p/p.go:4 ")):
			t.Errorf("%q: got %v, want %q", text, found, want)
		}
	}
	planted, err := spelled("internal/phantom/phantom.go", []byte("package p\nvar x = `Artificial scans made by uc demo`\nvar y = `run uc demo`\n"), what)
	if err != nil {
		t.Fatal(err)
	}
	if problems := judge(planted, make([]bool, len(spelledOnPurpose))); len(problems) != 1 || !strings.Contains(problems[0], ":3 ") {
		t.Errorf("an exception covers more than itself: %v", problems)
	}
}
