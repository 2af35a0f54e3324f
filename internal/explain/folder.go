package explain

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/interrupt"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// Files over all cases in the folder of results.
const (
	JSONFile = "explain.json"
	CSVFile  = "explain.csv"
)

// Table is explain.json: all methods by which the cases of the last run are explained.
type Table struct {
	Settings provenance.Sources `json:"settings"` // of the last run
	Cases    []*Record          `json:"cases"`
	Failed   []task.FailedCase  `json:"failed"`
	Unused   []task.UnusedFile  `json:"unused"`
}

// Summary is the outcome of a folder of cases.
type Summary struct {
	Explained, Kept int
	Failed          []task.FailedCase
	Unused          []task.UnusedFile
	Hits, Targets   int    // of the pointing game, over the maps of the method that have a target
	JSON, CSV       string // files for people
}

// OtherSettingsError refuses to mix results of different settings in one folder.
type OtherSettingsError struct {
	Folder, File string
	Changes      []string
}

func (e *OtherSettingsError) Error() string {
	return fmt.Sprintf("%s holds results of other settings (%s: %s); choose another folder, or explain them again", e.Folder, e.File, strings.Join(e.Changes, "; "))
}

// Remedies implements what remedy.Of looks for.
func (e *OtherSettingsError) Remedies() []remedy.Remedy {
	return []remedy.Remedy{remedy.Set{Option: remedy.Output}, remedy.Set{Option: remedy.Overwrite}}
}

// Folder explains cases into the folder out: a folder per case with maps in the geometry of its images, pictures and
// numbers, and explain.json and explain.csv over all. found is what task.PredictionCases found wrong beside the cases;
// targets, unless empty, a folder with masks <case>.nii.gz of what the maximum of a map should lie in. Results that are
// there already are kept unless overwrite, if they are valid for the networks and files of today; those of other
// settings are an *OtherSettingsError. A case that fails does not stop the others; the error is for what concerns all.
func (m *Model) Folder(ctx context.Context, cases []task.Case, found []task.Problem, targets, out string, overwrite bool, r progress.Reporter) (*Summary, error) {
	if err := atomicfile.MkdirAll(out); err != nil {
		return nil, err
	}
	lock, err := lockfile.Enter(ctx, out, m.options.NoWait, r)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	s := &Summary{JSON: filepath.Join(out, JSONFile), CSV: filepath.Join(out, CSVFile)}
	s.Failed, s.Unused = task.Broken(cases, found)
	common, err := m.sources()
	if err != nil {
		return nil, err
	}
	if !overwrite {
		if err := m.refuseOtherSettings(out, cases, common); err != nil {
			return nil, err
		}
	}
	r.Stage("explanation", len(cases))
	for _, c := range cases {
		if err = ctx.Err(); err != nil {
			err = fmt.Errorf("explanation interrupted after %d of %d cases: %w", s.Explained+s.Kept, len(cases), err)
			break
		}
		kept, caseErr := m.one(ctx, c, targets, out, overwrite, common, r)
		switch {
		case caseErr != nil && ctx.Err() != nil:
			continue
		case caseErr != nil:
			caseErr = withCase(c.ID, caseErr)
			s.Failed = append(s.Failed, task.Failed(c.ID, caseErr))
			r.Warn("%v", caseErr)
		case kept:
			s.Kept++
		default:
			s.Explained++
		}
		r.Advance(c.ID)
	}
	defer interrupt.Hold(ctx)()
	if writeErr := m.writeTables(out, cases, common, s); err == nil {
		err = writeErr
	}
	return s, err
}

// one explains a case unless there is a result that holds.
func (m *Model) one(ctx context.Context, c task.Case, targets, out string, overwrite bool, common provenance.Sources, r progress.Reporter) (kept bool, err error) {
	if err := task.CheckID(c.ID); err != nil {
		return false, err
	}
	target, err := targetOf(targets, c.ID)
	if err != nil {
		return false, err
	}
	from, err := caseSources(common, c, target)
	if err != nil {
		return false, err
	}
	if before := readRecord(out, c.ID, m.options.Method); before != nil && !overwrite && len(before.MadeFrom.Changes(from)) == 0 && before.whole(out) {
		return true, nil
	}
	done, err := m.Case(ctx, c)
	if err != nil {
		return false, err
	}
	if now, err := caseSources(common, c, target); err != nil || len(now.Changes(from)) > 0 {
		return false, fmt.Errorf("case %s: its files changed while they were read", c.ID)
	}
	release := interrupt.Hold(ctx)
	defer release()
	rec, err := m.write(out, c, done, from, target)
	if err != nil {
		return false, err
	}
	for _, w := range rec.Warnings {
		r.Warn("case %s: %s", c.ID, w)
	}
	return false, m.incomplete(done, r)
}

// incomplete warns of integrated gradients that do not add up.
func (m *Model) incomplete(c *Case, r progress.Reporter) error {
	for _, h := range c.Maps {
		if h.Score != nil && !complete(*h.Sum, *h.Score) {
			r.Warn("case %s: %s, class %d: the attributions add up to %.3g, the score differs by %.3g; take this map with caution",
				c.ID, m.Labels()[h.Label].Name, h.Class, *h.Sum, *h.Score)
		}
	}
	return nil
}

// targetOf is the mask of what a map should point at; empty if there is none.
func targetOf(dir, id string) (string, error) {
	if dir == "" {
		return "", nil
	}
	for _, ext := range imagefile.Extensions {
		path := filepath.Join(dir, id+ext)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// withCase makes sure that an error names its case.
func withCase(id string, err error) error {
	if strings.HasPrefix(err.Error(), "case "+id) {
		return err
	}
	return fmt.Errorf("case %s: %w", id, err)
}

// refuseOtherSettings refuses a folder in which a case was explained by the same method with other settings.
func (m *Model) refuseOtherSettings(out string, cases []task.Case, now provenance.Sources) error {
	only := func(s provenance.Sources) provenance.Sources {
		chosen := provenance.Sources{}
		for _, name := range settingNames {
			if v, known := s[name]; known {
				chosen[name] = v
			}
		}
		return chosen
	}
	for _, c := range cases {
		if r := readRecord(out, c.ID, m.options.Method); r != nil {
			if changes := only(r.MadeFrom).Changes(only(now)); len(changes) > 0 {
				return &OtherSettingsError{out, recordPath("", c.ID, m.options.Method), changes}
			}
		}
	}
	return nil
}

// writeTables writes explain.json and explain.csv over the results of the cases by all methods.
func (m *Model) writeTables(out string, cases []task.Case, common provenance.Sources, s *Summary) error {
	t := Table{Settings: common.Without(), Cases: []*Record{}, Failed: s.Failed, Unused: s.Unused}
	t.Settings["method"] = string(m.options.Method)
	failed := map[string]bool{}
	for _, f := range s.Failed {
		failed[f.Case] = true
	}
	for _, c := range cases {
		for _, method := range Methods {
			r := readRecord(out, c.ID, method)
			if r == nil || method == m.options.Method && failed[c.ID] {
				continue
			}
			t.Cases = append(t.Cases, r)
			for _, h := range r.Maps {
				if method == m.options.Method && h.Pointing != nil {
					s.Targets++
					if h.Pointing.Hit {
						s.Hits++
					}
				}
			}
		}
	}
	slices.SortStableFunc(t.Cases, func(a, b *Record) int { return strings.Compare(a.Case, b.Case) })
	raw, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(s.JSON, append(raw, '\n')); err != nil {
		return err
	}
	return atomicfile.Write(s.CSV, func(w io.Writer) error { return writeCSV(w, t.Cases) })
}

// writeCSV writes a line per case, method, label and class.
func writeCSV(w io.Writer, records []*Record) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"case", "method", "layer", "label", "class", "value", "predicted", "probability", "share of heat in ROI", "share of voxels in ROI",
		"deletion area", "insertion area", "peak x", "peak y", "peak z", "distance to target", "hit", "score difference", "attribution sum", "heat", "picture"}}
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'f', 6, 64)
	}
	area := func(v *Curve) string {
		if v == nil {
			return ""
		}
		return number(&v.Area)
	}
	for _, r := range records {
		for _, h := range r.Maps {
			distance, hit := "", ""
			if h.Pointing != nil {
				distance, hit = strconv.FormatFloat(h.Pointing.Distance, 'f', 2, 64), strconv.FormatBool(h.Pointing.Hit)
			}
			rows = append(rows, []string{r.Case, string(r.Method), h.Layer, h.Label, strconv.Itoa(h.Class), h.Value, strconv.FormatBool(h.Predicted), number(&h.Probability),
				number(h.ROIShare), number(h.ROIVolume), area(h.Deletion), area(h.Insertion), strconv.Itoa(h.Peak[0]), strconv.Itoa(h.Peak[1]), strconv.Itoa(h.Peak[2]),
				distance, hit, number(h.Score), number(h.Sum), h.Heat, h.Picture})
		}
	}
	return c.WriteAll(rows)
}
