package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
)

// ManifestFile describes the artifact, in its folder.
const ManifestFile = "artifact.json"

// manifestFormat changes when older programs can no longer read the manifest.
const manifestFormat = 1

// Manifest says what an artifact is and what is in it.
type Manifest struct {
	Format     int               `json:"format"`
	Version    string            `json:"uc"`
	Task       string            `json:"task"`
	Trainer    string            `json:"trainer"`
	Plans      string            `json:"plans"`
	Checkpoint string            `json:"checkpoint"`
	Folds      []string          `json:"folds"`
	Modalities []string          `json:"modalities"`   // in the order of the images
	Masks      bool              `json:"masks_needed"` // of the region of interest
	Labels     []Label           `json:"labels"`       // in the order of the results
	Files      map[string]string `json:"files"`        // SHA-256 by path within the artifact, with slashes
}

// Label is a classification label; value i is class i.
type Label struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

func writeManifest(dir string, p *plan.Plans, folds []string, o PackOptions) (*Manifest, error) {
	m := &Manifest{
		Format: manifestFormat, Version: o.Version, Task: o.Task, Trainer: o.Trainer, Plans: o.Plans, Checkpoint: o.Checkpoint,
		Folds: folds, Modalities: p.Modalities, Masks: p.RealMasks,
	}
	for _, l := range p.Labels {
		m.Labels = append(m.Labels, Label{l.Name, l.Values})
	}
	var err error
	if m.Files, err = digests(dir); err != nil {
		return nil, err
	}
	return m, jsonfile.Write(filepath.Join(dir, ManifestFile), m, jsonfile.Indent)
}

// ReadManifest reads the manifest of the artifact dir. An artifact that uc package did not make has none: the error
// wraps fs.ErrNotExist.
func ReadManifest(dir string) (*Manifest, error) {
	m := new(Manifest)
	path := filepath.Join(dir, ManifestFile)
	if err := jsonfile.Read(path, m); err != nil {
		return nil, err
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("%s: format %d, but this program knows %d; check the artifact with the version of uc that made it (%s)", path, m.Format, manifestFormat, m.Version)
	}
	return m, nil
}

// digests returns the SHA-256 of every file below dir but the manifest.
func digests(dir string) (map[string]string, error) {
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == ManifestFile {
			return err
		}
		sums[filepath.ToSlash(name)], err = digest(path)
		return err
	})
	return sums, err
}

func digest(path string) (string, error) {
	f, err := infile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// verify compares the files of the artifact dir with the manifest and returns all that differs.
func (m *Manifest) verify(dir string) error {
	var problems []error
	names := make([]string, 0, len(m.Files))
	for name := range m.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			problems = append(problems, fmt.Errorf("%s names %q, which is not within the artifact", ManifestFile, name))
			continue
		}
		switch got, err := digest(filepath.Join(dir, filepath.FromSlash(name))); {
		case errors.Is(err, fs.ErrNotExist):
			problems = append(problems, fmt.Errorf("%s is missing", name))
		case err != nil:
			problems = append(problems, err)
		case got != m.Files[name]:
			problems = append(problems, fmt.Errorf("%s has changed since it was packed (SHA-256 %s, expected %s)", name, got, m.Files[name]))
		}
	}
	return errors.Join(problems...)
}

// foldOf returns the fold whose folder has the name.
func foldOf(name string) (fold string, ok bool) {
	fold, ok = strings.CutPrefix(name, task.FoldDir(""))
	return fold, ok && fold != ""
}
