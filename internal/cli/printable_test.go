package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain, größe 日本":       "plain, größe 日本",
		"two\nlines\tand a tab": "two\nlines\tand a tab",
		"\x1b[2J\x07":           `\x1b[2J\x07`,
		"a\u202egpj.exe":        `a\u202egpj.exe`,
		"c1 \u009b31m":          `c1 \u009b31m`,
		"broken \xff":           `broken \xff`,
		"over\rwritten":         `over\x0dwritten`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// Names of files and cases cannot steer the terminal, wherever they are shown.
func TestControlCharactersAreShownQuoted(t *testing.T) {
	var b bytes.Buffer
	d := newDisplay(&b)
	d.Stage("stage\x1b[1m", 1)
	d.Note("note %s", "\x1b[2J")
	d.Warn("warning %s", "\x07")
	d.Advance("item\x1b")
	d.Close()
	if strings.ContainsAny(b.String(), "\x1b\x07") || !strings.Contains(b.String(), `\x1b[2J`) {
		t.Errorf("%q", b.String())
	}
	r := uc("plan-and-preprocess", "--data-root", t.TempDir(), "-t", "\x1b[2J")
	if r.code != ExitFailed || strings.Contains(r.stderr, "\x1b") {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
	if r = uc("\x1b[2J"); r.code != ExitUsage || strings.Contains(r.stderr, "\x1b") {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
	if runtime.GOOS == "windows" {
		return // no such names
	}
	c := newCohort(t, 5)
	for _, name := range []string{"x\x1b[2J_0000.nii.gz", "y\n_0000.nii.gz"} {
		if err := os.WriteFile(filepath.Join(c.path("imagesTr"), name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r = uc(c.planArgs("-no_pp")...)
	if r.code != ExitOK || strings.Contains(r.stderr, "\x1b") || !strings.Contains(r.stderr, `x\x1b[2J_0000.nii.gz`) || !strings.Contains(r.stderr, `y\n_0000.nii.gz`) {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
}
