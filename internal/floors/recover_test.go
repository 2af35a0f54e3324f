package floors

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A device that fails panics. The networks of i3d make an error of that, so that nobody above them need think of it: a
// call of device.Recover up there would say that a method of i3d forgot its own. Gorgonia runs operations on a
// goroutine of its own, over which ops carries the failure.
func TestDeviceFailuresEndInNetworks(t *testing.T) {
	root := filepath.Join("..", "..")
	found := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n := bytes.Count(source, []byte("device.Recover(")); n > 0 {
			rel, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			found[filepath.ToSlash(rel)] += n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range found {
		if dir != "internal/i3d" && dir != "internal/ops" && !strings.HasPrefix(dir+"/", "internal/device/") {
			t.Errorf("%s calls device.Recover, which the exported methods of internal/i3d do for it", dir)
		}
	}
	if found["internal/i3d"] == 0 || found["internal/ops"] != 1 {
		t.Errorf("device.Recover is called %d times in internal/i3d and %d times in internal/ops", found["internal/i3d"], found["internal/ops"])
	}
}
