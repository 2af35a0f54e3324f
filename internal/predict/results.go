package predict

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// Names of what a result is made from in addition to its settings, which are in settingNames.
const (
	fromNetworks = "networks"
	fromPlans    = "plans"
	fromFiles    = "images and mask"
	fromVersion  = "version of the preprocessing"
)

// settingNames are the sources that a user chooses. All results of a folder share them.
var settingNames = []string{"task", "model", "folds", "checkpoint", "mirroring", "precision"}

// record is the comment of a result's archive.
type record struct {
	MadeFrom provenance.Sources `json:"made_from"`
	Measures []float64          `json:"measures,omitempty"` // doubt.Measures of the case
	Warnings []string           `json:"warnings,omitempty"`
}

// recordSources takes down what all results of a model are made from.
func (m *Model) recordSources(opened *model.Model) error {
	plans, err := preprocess.Sources(opened.Plans)
	if err != nil {
		return err
	}
	digest, err := provenance.DigestJSON(plans.Without(preprocess.VersionSource))
	if err != nil {
		return err
	}
	var networks []string
	m.learned = map[string]bool{}
	for _, f := range opened.Folds {
		networks = append(networks, f.Digest)
		if f.Origin != nil {
			for _, c := range f.Origin.Learned() {
				m.learned[c.Files] = c.Files != ""
			}
		}
	}
	m.sources = provenance.Sources{
		"task": opened.Plans.TaskName, "model": filepath.Base(opened.Dir), "folds": strings.Join(m.folds, " "), "checkpoint": opened.Checkpoint,
		"mirroring": strconv.FormatBool(!m.options.DisableTTA), fromNetworks: provenance.DigestOf(networks...), fromPlans: digest,
		fromVersion: plans[preprocess.VersionSource],
	}
	return nil
}

// folderSources are what all results of this run have in common.
func (m *Model) folderSources() provenance.Sources {
	s := maps.Clone(m.sources)
	s["precision"] = m.device.Precision()
	return s
}

// caseSources are what the result of a case is made from.
func (m *Model) caseSources(files string) provenance.Sources {
	s := m.folderSources()
	s[fromFiles] = files
	return s
}

// digestOf identifies the images and the mask of a case.
func digestOf(c task.Case) (string, error) {
	files := c.Images
	if c.Mask != "" {
		files = append(files[:len(files):len(files)], c.Mask)
	}
	digest, err := provenance.DigestFiles(files...)
	if err != nil {
		return "", task.InCase(c.ID, err)
	}
	return digest, nil
}

// stored is a result in the folder of predictions.
type stored struct {
	result   *Result            // nil if it is not one for the labels of this model
	madeFrom provenance.Sources // nil in the results of earlier versions
	digest   string             // of the file
}

// maxResult bounds the file of one case: a few numbers per class.
const maxResult = 64 << 20

// readStored reads <case>.npz.
func (m *Model) readStored(dir, id string) (*stored, error) {
	path := filepath.Join(dir, id+resultSuffix)
	b, err := infile.ReadFile(path, maxResult)
	if err != nil {
		return nil, err
	}
	arrays, comment, err := npz.Decode(b, m.resultNumbers())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &stored{digest: provenance.Digest(b)}
	var r record
	if json.Unmarshal([]byte(comment), &r) == nil {
		s.madeFrom = r.MadeFrom
	}
	if s.result, err = m.resultOf(id, path, arrays); err == nil {
		s.result.measures, s.result.Warnings = r.Measures, r.Warnings
		m.judge(s.result)
	}
	if err != nil && s.madeFrom == nil {
		return nil, err // another program's file
	}
	return s, nil
}

// writeResult writes <case>.npz with what it was made from.
func (m *Model) writeResult(dir string, r *Result, files string) error {
	comment, err := json.Marshal(record{m.caseSources(files), r.measures, r.Warnings})
	if err != nil {
		return err
	}
	b, err := npz.Encode(r.Arrays(), string(comment))
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, r.Case+resultSuffix), b)
}

// stored reads all results in a folder.
func (m *Model) stored(dir string) (map[string]*stored, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := map[string]*stored{}
	for _, e := range entries {
		id, isResult := strings.CutSuffix(e.Name(), resultSuffix)
		if !isResult {
			continue
		}
		if s, err := m.readStored(dir, id); err == nil {
			found[id] = s
		}
	}
	return found, nil
}

// refuseOtherSettings refuses a folder whose results or tables were made with other settings than those of this run.
func (m *Model) refuseOtherSettings(out string, found map[string]*stored) error {
	now := m.folderSources()
	settings := func(s provenance.Sources) provenance.Sources {
		only := provenance.Sources{}
		for _, name := range settingNames {
			if value, known := s[name]; known {
				only[name] = value
			}
		}
		return only
	}
	var of string
	var changes []string
	if t, err := evaluate.ReadTable(out); err == nil {
		of, changes = evaluate.TableFile, settings(tableSources(t)).Changes(now)
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if c := settings(found[id].madeFrom).Changes(now); len(changes) == 0 && len(c) > 0 {
			of, changes = id+resultSuffix, c
		}
	}
	if len(changes) > 0 {
		return remedy.With(fmt.Errorf("%s holds results of other settings (%s: %s); choose another folder, or overwrite them",
			out, of, strings.Join(changes, "; ")), remedy.Set{Option: remedy.Output}, remedy.Set{Option: remedy.Overwrite})
	}
	return nil
}

// tableSources are the settings in a table, in those of earlier versions, too.
func tableSources(t *evaluate.Table) provenance.Sources {
	if t.MadeFrom != nil {
		return t.MadeFrom
	}
	s := provenance.Sources{"task": t.Task, "folds": strings.Join(t.Folds, " "), "checkpoint": t.Checkpoint, "mirroring": strconv.FormatBool(t.TTA)}
	if t.Precision != "" {
		s["precision"] = t.Precision
	}
	return s
}

// outdated are the cases without a result that is valid for the current networks, images and masks.
func (m *Model) outdated(ctx context.Context, cases []task.Case, found map[string]*stored, r progress.Reporter) ([]task.Case, error) {
	var mu sync.Mutex
	reasons := map[string][]string{} // cases by what has changed
	var earlier []string
	keep := make([]bool, len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range cases {
		s := found[c.ID]
		if s == nil || s.result == nil {
			continue
		}
		if s.madeFrom == nil {
			keep[i], earlier = true, append(earlier, c.ID)
			continue
		}
		group.Go(func() error {
			files, err := digestOf(c)
			if err != nil {
				return ctx.Err() // who reads the case says so
			}
			changes := s.madeFrom.Changes(m.caseSources(files))
			mu.Lock()
			defer mu.Unlock()
			if keep[i] = len(changes) == 0; !keep[i] {
				why := strings.Join(changes, ", ")
				reasons[why] = append(reasons[why], c.ID)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		slices.Sort(reasons[why])
		r.Note("%d results were made from what has changed since (%s) and are predicted again: %s", len(reasons[why]), why, words.Some(reasons[why]))
	}
	if len(earlier) > 0 {
		r.Warn("%s", remedy.Notef("%d results are of an earlier version, which did not record its networks and images (%s); they are kept as they are unless they are overwritten",
			len(earlier), words.Some(earlier)).See(remedy.Set{Option: remedy.Overwrite}))
	}
	var todo []task.Case
	for i, c := range cases {
		if !keep[i] {
			todo = append(todo, c)
		}
	}
	return todo, nil
}

// warnOfLearned names the cases that the networks were trained on.
func (m *Model) warnOfLearned(s *Summary, r progress.Reporter) {
	if len(s.learned) > 0 {
		slices.Sort(s.learned)
		r.Warn("%d of the cases trained the networks (%s): their predictions tell nothing about new cases", len(s.learned), words.Some(s.learned))
	}
}

// warnOfOthers names the results in the folder that are of no case of this run.
func warnOfOthers(out string, found map[string]*stored, cases []task.Case, s *Summary, r progress.Reporter) {
	asked := map[string]bool{}
	for _, c := range cases {
		asked[c.ID] = true
	}
	for _, f := range s.Failed {
		asked[f.Case] = true
	}
	var others []string
	for id := range found {
		if !asked[id] {
			others = append(others, id)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		r.Warn("%s holds %d results of cases that are not among the images (%s); they stay, but are not in %s and %s", out, len(others), words.Some(others), csvFile, evaluate.TableFile)
	}
}
