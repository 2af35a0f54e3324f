package fault

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Nothing but tests installs a hook.
func TestOnlyTestsInstall(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if bytes.Contains(b, []byte("fault.Install")) {
			t.Errorf("%s installs a hook", path)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("looked into %d files: %v", files, err)
	}
}

func TestHook(t *testing.T) {
	if err := At(Open, "a"); err != nil {
		t.Errorf("without a hook: %v", err)
	}
	defer Install(nil)
	var asked []string
	Install(func(op Op, path string) error {
		asked = append(asked, string(op)+" "+path)
		if op == Sync {
			return os.ErrClosed
		}
		return nil
	})
	if err := At(Rename, "a"); err != nil {
		t.Error(err)
	}
	if err := At(Sync, "b"); err != os.ErrClosed {
		t.Error(err)
	}
	if strings.Join(asked, ", ") != "rename a, sync b" {
		t.Errorf("asked for %q", asked)
	}
}
