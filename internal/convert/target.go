package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// RecordFile is the file in the folder of a raw task that says what the task was made from.
const RecordFile = "conversion.json"

// Target is the task that a cohort becomes.
type Target struct {
	Name     string // TaskXXX_Name
	Dir      string
	Replaces bool // an earlier conversion of other inputs
	UpToDate bool // the task was made from the same inputs

	folders task.Folders
	digest  string
}

// record is what RecordFile holds.
type record struct {
	Format string            `json:"format"`
	Source string            `json:"source"`
	Digest string            `json:"digest"` // of all inputs
	Files  map[string]string `json:"files"`  // where each file of the task came from
}

// Target finds the task's name and place. id < 0 means that of the source or, if that is taken, the first that is free;
// name "" that of the source. A task that lies there is refused unless it was converted from the same inputs or, with
// overwrite, from others.
func (c *Cohort) Target(f task.Folders, id int, name string, overwrite bool) (*Target, error) {
	digest, err := c.digest()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = safeName(c.Name)
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	names, err := task.List(f)
	if err != nil {
		return nil, err
	}
	if id < 0 {
		id = c.freeID(f, names, name, digest)
	}
	t := &Target{Name: fmt.Sprintf("Task%03d_%s", id, name), folders: f, digest: digest}
	t.Dir = f.RawTask(t.Name)
	for _, other := range names {
		if n, _ := task.ParseName(other); n == id && other != t.Name {
			return nil, remedy.With(fmt.Errorf("task id %d is that of %s; choose another", id, other), remedy.Set{Option: remedy.Task})
		}
	}
	return t, t.look(overwrite)
}

// look examines what lies where the task will be.
func (t *Target) look(overwrite bool) error {
	entries, err := os.ReadDir(t.Dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := readRecord(t.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: a task that was not converted from another format lies here, and stays; choose another id or name, or move it away", t.Dir)
	case err != nil:
		return err
	case old.Digest == t.digest && !overwrite:
		t.UpToDate = true
	case !overwrite:
		return remedy.With(fmt.Errorf("%s: made from other inputs (%s, or with other options); overwriting replaces it", t.Dir, old.Source), remedy.Set{Option: remedy.Overwrite})
	default:
		t.Replaces = true
	}
	return nil
}

func readRecord(dir string) (*record, error) {
	var r record
	if err := jsonfile.Read(filepath.Join(dir, RecordFile), &r); jsonfile.Damaged(err) {
		return nil, fmt.Errorf("%w; repair or remove the file", err)
	} else if err != nil {
		return nil, err
	}
	return &r, nil
}

// freeID is the id of an earlier conversion of the same inputs, that of the source, or the first that no task has.
func (c *Cohort) freeID(f task.Folders, names []string, name, digest string) int {
	taken := map[int]bool{}
	for _, n := range names {
		id, _ := task.ParseName(n)
		taken[id] = true
		if n == fmt.Sprintf("Task%03d_%s", id, name) {
			if old, err := readRecord(f.RawTask(n)); err == nil && old.Digest == digest {
				return id
			}
		}
	}
	if c.ID > 0 && !taken[c.ID] {
		return c.ID
	}
	id := 1
	for taken[id] {
		id++
	}
	return id
}

// safeName makes the name of a source that of a task.
func safeName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return '_'
	}, name)
	if name = strings.Trim(name, "_-"); name == "" {
		return "Converted"
	}
	return name
}

// checkName refuses names that cannot be a part of a folder's name.
func checkName(name string) error {
	if name != safeName(name) || len(name) > 100 {
		return fmt.Errorf("%q cannot be the name of a task: use up to 100 letters, digits, - and _, such as %s", name, safeName(name)[:min(len(safeName(name)), 100)])
	}
	return nil
}

// digest identifies all that the task is made from.
func (c *Cohort) digest() (string, error) {
	type file struct {
		Path       string
		Volume     int
		Values     map[int16]int16
		Size, Time int64
	}
	var files []file
	for _, k := range c.cases() {
		for _, f := range append(slices.Clone(k.Images), k.Mask) {
			if f.IsZero() {
				continue
			}
			d := file{Path: f.Path, Volume: f.Volume, Values: f.Values}
			for _, part := range f.parts {
				info, err := os.Stat(part)
				if err != nil {
					return "", err
				}
				files = append(files, file{Path: part, Size: info.Size(), Time: info.ModTime().UnixNano()})
			}
			if f.Path != "" && len(f.parts) == 0 {
				info, err := os.Stat(f.Path)
				if err != nil {
					return "", err
				}
				d.Size, d.Time = info.Size(), info.ModTime().UnixNano()
			}
			files = append(files, d)
		}
	}
	b, err := json.Marshal(struct {
		Format, Description string
		Inputs              []string
		Draft               *task.Draft
		Validation          []string
		Files               []file
	}{c.Format, c.Description, c.inputs, c.draft(""), c.Validation, files})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
