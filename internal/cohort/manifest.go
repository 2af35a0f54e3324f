package cohort

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

// manifestFile remembers, next to the fingerprint, which input files it was made from.
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

// loadManifest reads the manifest; a damaged one counts as missing, since it only saves time.
func loadManifest(dir string) (*manifest, error) {
	none := &manifest{Version: preprocess.Version, Cases: map[string]record{}}
	r := new(manifest)
	err := jsonfile.Read(filepath.Join(dir, manifestFile), r)
	if errors.Is(err, fs.ErrNotExist) || jsonfile.Damaged(err) {
		return none, nil
	}
	if err != nil {
		return nil, err
	}
	if r.Version != preprocess.Version || r.Cases == nil {
		return none, nil
	}
	return r, nil
}

// update identifies the input files of all cases, and forgets what was measured on others. Of the cases that are not
// the shard's, those that nobody has identified yet are left to those who do.
func (r *manifest) update(ctx context.Context, co *cohort, s shard.Shard) error {
	fresh := make([]record, len(co.cases))
	var look []int
	for i, one := range co.cases {
		if s.Has(i) || len(r.Cases[one.ID].Files) > 0 {
			look = append(look, i)
		}
	}
	none := func(int) (int64, error) { return 0, nil }
	co.progress.Stage("reading the case list", len(look))
	err := co.each(ctx, look, none, func(i int) error {
		c := co.cases[i]
		files := contentFiles(c)
		old := r.Cases[c.ID]
		same := len(old.Files) == len(files)
		for k, path := range files {
			var before source
			if k < len(old.Files) {
				before = old.Files[k]
			}
			now, err := identify(path, relative(path, co.task.Dir), before)
			if err != nil {
				return task.InCase(c.ID, err)
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
	for i, c := range co.cases {
		r.Cases[c.ID] = fresh[i]
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
func (co *cohort) basis(r *manifest) (key string, complete bool, err error) {
	d := co.task.Dataset
	basis := struct {
		Version    int
		Modalities []string
		ROILabels  []string
		Labels     []task.Label
		Cases      map[string][]string
	}{preprocess.Version, d.Modalities, d.ROILabels, d.Labels, map[string][]string{}}
	complete = true
	co.measured = make([]measured, len(co.cases))
	for i, c := range co.cases {
		rec := r.Cases[c.ID]
		for _, f := range rec.Files {
			basis.Cases[c.ID] = append(basis.Cases[c.ID], f.SHA256)
		}
		if rec.Measured == nil || !co.croppedDone(c, rec.Files) {
			complete = false
		} else {
			co.measured[i] = *rec.Measured
		}
	}
	digest, err := provenance.DigestJSON(basis)
	return provenance.Hex(digest), complete, err
}

// fingerprintBefore returns the fingerprint of an earlier run, nil if what it rests on has changed, and the key of the
// one that is wanted.
func (co *cohort) fingerprintBefore(r *manifest) (fp *fingerprint.Fingerprint, key string, err error) {
	key, complete, err := co.basis(r)
	if err == nil && complete && key == r.Fingerprint {
		fp, _ = fingerprint.Load(filepath.Join(co.dir, fingerprint.File)) // a damaged one is none
	}
	return fp, key, err
}

// fingerprintOnce returns the fingerprint of an earlier run if nothing it rests on has changed; otherwise it makes a
// new one.
func (co *cohort) fingerprintOnce(ctx context.Context, r *manifest) (*fingerprint.Fingerprint, error) {
	fp, key, err := co.fingerprintBefore(r)
	if err != nil {
		return nil, err
	}
	if fp != nil {
		co.progress.Note("%s: the fingerprint is up to date", co.task.Name)
		return fp, nil
	}
	if fp, err = co.fingerprint(ctx, r); err != nil {
		return nil, err
	}
	for i, c := range co.cases {
		rec := r.Cases[c.ID]
		rec.Measured = &co.measured[i]
		r.Cases[c.ID] = rec
	}
	// The fingerprint first: the records vouch for it.
	if err := jsonfile.WriteIfNew(filepath.Join(co.dir, fingerprint.File), fp, jsonfile.LikeNNUNet); err != nil {
		return nil, err
	}
	r.Fingerprint = key
	if err := jsonfile.WriteIfNew(filepath.Join(co.dir, manifestFile), r, jsonfile.LikeNNUNet); err != nil {
		return nil, err
	}
	return fp, co.removeParts()
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
// in dataset.json are written again: the arrays do not depend on them.
func (co *cohort) upToDate(stage string, c task.Case, setting string, files []source) (bool, error) {
	p, now := co.stored(stage, c, setting, files)
	if p == nil {
		return false, nil
	}
	p.Targets, p.MadeFrom = c.Targets, now
	return true, jsonfile.WriteIfNew(dataset.PropertiesFile(stage, c.ID), p, jsonfile.LikeNNUNet)
}

// stored returns the properties of a case whose arrays are there and made from these files with this setting, and what
// they are made from; nil if there is no such case.
func (co *cohort) stored(stage string, c task.Case, setting string, files []source) (*preprocess.Properties, provenance.Sources) {
	p, err := dataset.ReadProperties(stage, c.ID)
	if err != nil || p.Key != caseKey(setting, files) || p.Measures == nil {
		return nil, nil
	}
	now, err := madeFrom(stage, c.ID, setting, co.content(c, files))
	if err != nil || p.MadeFrom != nil && !maps.Equal(p.MadeFrom, now) {
		return nil, nil
	}
	return &p, now
}

// content are the files that make a case what it is: not a mask that was generated from its image, which a prediction
// does without.
func (co *cohort) content(c task.Case, files []source) []source {
	if co.task.Dataset.HasMasks {
		return files
	}
	return files[:min(len(files), len(c.Images))]
}
