package cli

import (
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/npz"
)

// Fields below these hold names of cases, labels or transforms rather than fields of their own.
var openFields = []string{"made_from", "augmentation", "size_reductions", "local_props", "training[]"}

// checkFilesPage wants every file under the data root, and every field in it, to be named in docs/reference/files.md.
func checkFilesPage(t *testing.T, c testCohort) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(docs, "reference", "files.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	missing := map[string]bool{}
	want := func(name, where string) {
		if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "/"+name+"`") {
			missing[name+" ("+where+")"] = true
		}
	}
	seen := 0
	err = filepath.WalkDir(c.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		seen++
		name := generalName(filepath.Base(path))
		want(name, path)
		switch filepath.Ext(path) {
		case ".json":
			var v any
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(b, &v); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, field := range fields(v, "") {
				want(field, name)
			}
		case ".csv":
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			header, err := csv.NewReader(f).Read()
			if err != nil {
				return err
			}
			if name != "predictions.csv" && name != "truthTs.csv" { // these have columns named after labels
				for _, column := range header {
					want(column, name)
				}
			}
		case ".npz":
			arrays, err := npz.Read(path)
			if err != nil {
				return err
			}
			for array := range arrays {
				want(regexp.MustCompile(`_\d$`).ReplaceAllString(array, "_i"), name)
			}
		}
		return nil
	})
	if err != nil || seen < 50 {
		t.Fatalf("looked at %d files: %v", seen, err)
	}
	for name := range missing {
		t.Errorf("docs/reference/files.md does not mention %s", name)
	}
}

// generalName is the name of a file as the page writes it.
func generalName(name string) string {
	for _, r := range []struct{ pattern, with string }{
		{`^phantom_(test_)?\d+_\d{4}\.`, "CASE_XXXX."},
		{`^phantom_(test_)?\d+\.`, "CASE."},
		{`^training_log_.*\.txt$`, "training_log_*.txt"},
		{`^events\.out\.tfevents\.\d+\.uc$`, "events.out.tfevents.*.uc"},
		{`^model_.*\.json$`, "model_*.json"},
		{`_(Lesion|Size)\.png$`, "_LABEL.png"},
	} {
		name = regexp.MustCompile(r.pattern).ReplaceAllString(name, r.with)
	}
	return name
}

// fields lists the names of all fields of a JSON value, without numbered and open ones.
func fields(v any, under string) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		if slices.Contains(openFields, under) {
			return nil
		}
		for name, inner := range v {
			if regexp.MustCompile(`^(\d+|phantom_.*)$`).MatchString(name) {
				out = append(out, fields(inner, "")...)
				continue
			}
			out = append(append(out, name), fields(inner, name)...)
		}
	case []any:
		for _, inner := range v {
			out = append(out, fields(inner, under+"[]")...)
		}
	}
	return out
}
