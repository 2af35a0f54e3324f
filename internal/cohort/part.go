package cohort

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
)

// partsFolder holds, in the folder of the preprocessed task, what shards have measured of the cases, a file each, until
// the fingerprint is made of it.
const partsFolder = "shards"

// part is what a shard measured of one case.
type part struct {
	Version int      `json:"version"`
	Record  record   `json:"record"`
	Stride  int      `json:"stride,omitempty"`  // of the samples
	Samples [][]byte `json:"samples,omitempty"` // distributions of the intensities, per modality; only if they are asked for
}

func (j *job) partFile(id string) string { return filepath.Join(j.dir, partsFolder, id+".json") }

// readPart returns the part of a case, nil if there is none. A damaged one counts as none: it is measured again.
func (j *job) readPart(id string) *part {
	p := new(part)
	if jsonfile.Read(j.partFile(id), p) != nil || p.Version != preprocess.Version || p.Record.Measured == nil {
		return nil
	}
	return p
}

// writePart leaves what was measured of a case to the process that makes the fingerprint.
func (j *job) writePart(id string, files []source, m measured, stride int) error {
	p := part{Version: preprocess.Version, Record: record{Files: files, Measured: &m}}
	if len(m.distributions) > 0 {
		p.Stride = stride
		for _, d := range m.distributions {
			p.Samples = append(p.Samples, d.Encode())
		}
	}
	b, err := json.Marshal(p)
	if err == nil {
		err = atomicfile.WriteBytes(j.partFile(id), append(b, '\n'))
	}
	if err != nil {
		return task.InCase(id, err)
	}
	return nil
}

// adoptParts takes what shards know of the cases into the manifest. Whether the files still are those that a shard read
// is for update to find out.
func (co *cohort) adoptParts(r *manifest) error {
	entries, err := os.ReadDir(filepath.Join(co.dir, partsFolder))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			there[id] = true
		}
	}
	parts := 0
	for _, one := range co.cases {
		if !there[one.ID] {
			continue
		}
		if p := co.readPart(one.ID); p != nil {
			r.Cases[one.ID] = p.Record
			parts++
		}
	}
	if parts > 0 {
		co.progress.Note("%s: shards have measured %d of %d cases", co.task.Name, parts, len(co.cases))
	}
	return nil
}

// measuredBefore returns what a shard measured of case i, whose files are those given, if it took the samples that are
// asked for; stride is 0 if none are.
func (co *cohort) measuredBefore(i, stride int, files []source) (measured, bool) {
	p := co.readPart(co.cases[i].ID)
	if p == nil || !sameContent(p.Record.Files, files) {
		return measured{}, false
	}
	m := *p.Record.Measured
	if stride == 0 {
		return m, true
	}
	if p.Stride != stride || len(p.Samples) != len(co.task.Dataset.Modalities) {
		return measured{}, false
	}
	for _, b := range p.Samples {
		d, err := fingerprint.Decode(b)
		if err != nil {
			return measured{}, false
		}
		m.distributions = append(m.distributions, d)
	}
	return m, true
}

// sameContent reports whether two lists of files are the same files with the same content.
func sameContent(a, b []source) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Path != b[i].Path || a[i].SHA256 != b[i].SHA256 {
			return false
		}
	}
	return true
}

// removeParts deletes what the fingerprint has been made of.
func (j *job) removeParts() error {
	return atomicfile.RemoveAll(filepath.Join(j.dir, partsFolder))
}
