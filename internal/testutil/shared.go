// Package testutil is what the tests of several packages need: reference data, and comparisons of numbers.
package testutil

import (
	"os"
	"path/filepath"
	"testing"
)

// EnvDir names the environment variable that overrides where the shared folder lies.
const EnvDir = "UC_SHARED"

// Shared returns the path of shared/<parts...>. The shared folder lies next to the checkout (or where
// UC_SHARED says); a user's clone has none, and then the test is skipped with a message.
func Shared(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv(EnvDir)
	if root == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dir := wd; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				root = filepath.Join(filepath.Dir(dir), "shared")
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test's folder")
			}
		}
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("reference data not here (%v); set %s to the folder that holds it", err, EnvDir)
	}
	return path
}
