package cohort

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

// manifestFile remembers, beside the fingerprint, which input files it was made from.
const manifestFile = "case_records.json"

// settled is how old a file's last change must be for its size and time to vouch for its content: a second change
// within the same tick of the clock would go unseen.
const settled = 2 * time.Second

// manifest is what an earlier run knew of the cases.
type manifest struct {
	Version     int               `json:"version"`
	Fingerprint string            `json:"fingerprint"` // key of the fingerprint that was written
	Cases       map[string]record `json:"cases"`
}

// record is what is known of one case.
type record struct {
	Files    []source  `json:"files"` // modalities, then the mask, each followed by its data file if it has one
	Measured *measured `json:"measured,omitempty"`
}

// source identifies the content of an input file.
type source struct {
	Path     string    `json:"path"` // relative to the raw task
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Changed  time.Time `json:"changed"` // of the inode, which a copy with times kept changes, too; zero where the system has none
	SHA256   string    `json:"sha256"`
	Hashed   time.Time `json:"hashed"` // when
}

// loadManifest reads the manifest; damaged or foreign ones count as none, they only save time.
func loadManifest(dir string) (*manifest, error) {
	none := &manifest{Version: preprocess.Version, Cases: map[string]record{}}
	b, err := infile.ReadFile(filepath.Join(dir, manifestFile), infile.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(manifest)
	if json.Unmarshal(b, r) != nil || r.Version != preprocess.Version || r.Cases == nil {
		return none, nil
	}
	return r, nil
}

// update identifies the input files of all cases, and forgets what was measured on others. Of the cases that are not the
// shard's, those that nobody has identified yet are left to those who do.
func (r *manifest) update(ctx context.Context, c *cohort, s shard.Shard) error {
	fresh := make([]record, len(c.cases))
	var look []int
	for i, one := range c.cases {
		if s.Has(i) || len(r.Cases[one.ID].Files) > 0 {
			look = append(look, i)
		}
	}
	none := func(int) (int64, error) { return 0, nil }
	c.progress.Stage("reading the case list", len(look))
	err := c.each(ctx, look, none, func(i int) error {
		kase := c.cases[i]
		files := contentFiles(kase)
		old := r.Cases[kase.ID]
		same := len(old.Files) == len(files)
		for k, path := range files {
			var before source
			if k < len(old.Files) {
				before = old.Files[k]
			}
			now, err := identify(path, relative(path, c.task.Dir), before)
			if err != nil {
				return fmt.Errorf("case %s: %w", kase.ID, err)
			}
			same = same && now.SHA256 == before.SHA256 && now.Path == before.Path
			fresh[i].Files = append(fresh[i].Files, now)
		}
		if same {
			fresh[i].Measured = old.Measured
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Cases = map[string]record{}
	for i, kase := range c.cases {
		r.Cases[kase.ID] = fresh[i]
	}
	return nil
}

// contentFiles lists the files that the content of a case comes from: its modalities and its mask, each with the data
// file that its header may name.
func contentFiles(c task.Case) (files []string) {
	for _, path := range append(c.Images[:len(c.Images):len(c.Images)], c.Mask) {
		if path == "" {
			continue
		}
		parts, err := imagefile.Files(path)
		if err != nil {
			parts = []string{path} // reading it will say what is wrong
		}
		files = append(files, parts...)
	}
	return files
}

// identify hashes a file, unless its size and time are those of an earlier look.
func identify(path, name string, before source) (source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return source{}, err
	}
	now := source{Path: name, Size: info.Size(), Modified: info.ModTime().UTC(), Changed: changeTime(path), Hashed: time.Now().UTC()}
	if before.Path == name && before.Size == now.Size && before.Modified.Equal(now.Modified) && before.Changed.Equal(now.Changed) &&
		before.SHA256 != "" && before.Hashed.Sub(before.Modified) > settled && before.Hashed.Sub(before.Changed) > settled {
		return before, nil
	}
	digest, err := provenance.DigestFile(path)
	if err != nil {
		return source{}, err
	}
	now.SHA256 = provenance.Hex(digest)
	return now, nil
}

// relative is path as seen from dir, with slashes; a path elsewhere stays as it is.
func relative(path, dir string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}

// basis identifies what the fingerprint rests on. complete reports whether all of it is known already.
func (c *cohort) basis(r *manifest) (key string, complete bool, err error) {
	d := c.task.Dataset
	basis := struct {
		Version    int
		Modalities []string
		ROILabels  []string
		Labels     []task.Label
		Cases      map[string][]string
	}{preprocess.Version, d.Modalities, d.ROILabels, d.Labels, map[string][]string{}}
	complete = true
	c.measured = make([]measured, len(c.cases))
	for i, kase := range c.cases {
		rec := r.Cases[kase.ID]
		for _, f := range rec.Files {
			basis.Cases[kase.ID] = append(basis.Cases[kase.ID], f.SHA256)
		}
		if rec.Measured == nil || !c.croppedDone(kase, rec.Files) {
			complete = false
		} else {
			c.measured[i] = *rec.Measured
		}
	}
	digest, err := provenance.DigestJSON(basis)
	return provenance.Hex(digest), complete, err
}

// fingerprintBefore returns the fingerprint of an earlier run, nil if what it rests on has changed, and the key of the
// one that is wanted.
func (c *cohort) fingerprintBefore(r *manifest) (fp *fingerprint.Fingerprint, key string, err error) {
	key, complete, err := c.basis(r)
	if err == nil && complete && key == r.Fingerprint {
		fp, _ = fingerprint.Load(filepath.Join(c.dir, fingerprint.File)) // a damaged one is none
	}
	return fp, key, err
}

// fingerprintOnce returns the fingerprint of an earlier run if nothing it rests on has changed; otherwise it makes a new
// one.
func (c *cohort) fingerprintOnce(ctx context.Context, r *manifest) (*fingerprint.Fingerprint, error) {
	fp, key, err := c.fingerprintBefore(r)
	if err != nil {
		return nil, err
	}
	if fp != nil {
		c.progress.Note("%s: the fingerprint is up to date", c.task.Name)
		return fp, nil
	}
	if fp, err = c.fingerprint(ctx, r); err != nil {
		return nil, err
	}
	for i, kase := range c.cases {
		rec := r.Cases[kase.ID]
		rec.Measured = &c.measured[i]
		r.Cases[kase.ID] = rec
	}
	// The fingerprint first: the records vouch for it.
	if err := writeJSON(filepath.Join(c.dir, fingerprint.File), fp); err != nil {
		return nil, err
	}
	r.Fingerprint = key
	if err := writeJSON(filepath.Join(c.dir, manifestFile), r); err != nil {
		return nil, err
	}
	return fp, c.removeParts()
}

// caseKey identifies the arrays of one case.
func caseKey(setting string, files []source) string {
	h := sha256.New()
	io.WriteString(h, setting)
	for _, f := range files {
		io.WriteString(h, "\n"+f.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// upToDate reports whether a case's arrays are there and made from these files with this setting. Targets that changed
// in dataset.json are written anew: the arrays do not depend on them.
func (c *cohort) upToDate(stage string, kase task.Case, setting string, files []source) (bool, error) {
	p, err := dataset.ReadProperties(stage, kase.ID)
	if err != nil || p.Key != caseKey(setting, files) || p.Measures == nil {
		return false, nil
	}
	now, err := madeFrom(stage, kase.ID, setting, c.content(kase, files))
	if err != nil || p.MadeFrom != nil && !maps.Equal(p.MadeFrom, now) {
		return false, nil
	}
	p.Targets, p.MadeFrom = kase.Targets, now
	return true, writeJSON(dataset.PropertiesFile(stage, kase.ID), p)
}

// content are the files that make a case what it is: not a mask that was generated from its image, which a prediction
// does without.
func (c *cohort) content(kase task.Case, files []source) []source {
	if c.task.Dataset.HasMasks {
		return files
	}
	return files[:min(len(files), len(kase.Images))]
}
