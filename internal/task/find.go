package task

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/remedy"
)

var taskName = regexp.MustCompile(`^Task(\d{3,})_(.+)$`)

// ParseName splits "Task004_Hippocampus" into 4 and true; false for anything that is not a task's name.
func ParseName(name string) (id int, ok bool) {
	m := taskName.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	id, err := strconv.Atoi(m[1])
	return id, err == nil
}

// List returns the names of all tasks found under raw, cropped, preprocessed or trained folders, sorted.
func List(f Folders) ([]string, error) {
	seen := map[string]bool{}
	for _, dir := range []string{f.RawTasks(), f.Preprocessed, f.Models(), filepath.Dir(f.CroppedTask("x"))} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			if os.IsNotExist(err) {
				continue
			}
			return nil, err
		}
		for _, e := range entries {
			if _, ok := ParseName(e.Name()); !ok || seen[e.Name()] {
				continue
			}
			if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.IsDir() { // follows links
				seen[e.Name()] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// FindName returns the full name of the task given by id ("4", "004") or by full name. Two names with one id are an
// error that lists them, and an unknown task is an error that lists what exists.
func FindName(f Folders, idOrName string) (string, error) {
	names, err := List(f)
	if err != nil {
		return "", err
	}
	if slices.Contains(names, idOrName) {
		return idOrName, nil
	}
	var found []string
	if id, err := strconv.Atoi(idOrName); err == nil && id >= 0 {
		for _, name := range names {
			if n, _ := ParseName(name); n == id {
				found = append(found, name)
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if hint := newerTaskHint(f, idOrName); hint != "" {
			return "", remedy.With(fmt.Errorf("no task %q: %s", idOrName, hint), remedy.ConvertNNUNet2)
		}
		exist := "none"
		if len(names) > 0 {
			exist = strings.Join(names, ", ")
		}
		return "", fmt.Errorf("no task %q under %s, %s or %s; tasks found: %s", idOrName, f.RawTasks(), f.Preprocessed, f.Models(), exist)
	}
	return "", fmt.Errorf("task id %s is used by %d tasks: %s; give the full name, or rename all but one", idOrName, len(found), strings.Join(found, ", "))
}
