package universalclassifier_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFromOutside builds and runs testdata/outside as a module of its own, which can name only what is public. It needs
// no modules but those of go.sum.
func TestFromOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("builds everything under another name")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	read := func(path string) []byte {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.go", read("testdata/outside/main.go"))
	write("go.sum", read("go.sum"))
	const module = "github.com/universal-classifier/uc"
	requirements := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(read("go.mod")), "module example.org/outside")
	write("go.mod", fmt.Appendf(nil, "%s\nrequire %s v0.0.0\n\nreplace %[2]s => %q\n", requirements, module, root))

	command := exec.CommandContext(t.Context(), goTool, "run", ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := command.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "all is well\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
