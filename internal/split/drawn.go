package split

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// Ways to draw folds.
const (
	SplitReference  = "reference"          // the reference's KFold, index for index
	SplitStratified = "stratified"         // classes and sites spread evenly, whoever the patients are
	SplitGrouped    = "grouped"            // the same, and no patient in two folds
	SplitSites      = "leave-one-site-out" // a fold per site, which it leaves out
)

// SplitModes are the ways to draw folds.
var SplitModes = []string{SplitReference, SplitStratified, SplitGrouped, SplitSites}

// DrawnFile is the file next to SplitsFile that says how its folds were drawn. Folds written by hand have none, or one
// that does not fit.
const DrawnFile = "splits_drawn.json"

// Drawing says how folds are to be drawn and what is known of the cases.
type Drawing struct {
	Mode   string // one of SplitModes; empty: grouped if patients are declared, else reference
	Cases  []Case // as dataset.json lists them; nil if it is not at hand
	Labels []task.Label

	AllowPatientOverlap bool     // train and validate on scans of one patient nevertheless
	Trained             []string // folds that were trained already, other than the one to be trained
}

// drawn is DrawnFile.
type drawn struct {
	Mode   string `json:"mode"`
	Asked  bool   `json:"asked"` // for with --split; otherwise the mode is the default for what was known of the cases
	Seed   uint64 `json:"seed"`
	Cases  string `json:"cases"`  // digest of what the folds were drawn from
	Splits string `json:"splits"` // digest of SplitsFile
}

// patientsDeclared reports whether dataset.json names patients.
func (d Drawing) patientsDeclared() bool {
	return slices.ContainsFunc(d.Cases, func(c Case) bool { return c.Patient != "" })
}

// Patients are the patients by case; nil if none are declared.
func (d Drawing) Patients() map[string]string {
	if !d.patientsDeclared() {
		return nil
	}
	of := map[string]string{}
	for _, c := range d.Cases {
		of[c.ID] = c.Patient
	}
	return of
}

// mode is the way folds are drawn if nobody has drawn any.
func (d Drawing) mode() string {
	switch {
	case d.Mode != "":
		return d.Mode
	case d.patientsDeclared():
		return SplitGrouped
	}
	return SplitReference
}

// of are the cases ids, sorted, with what is known of them.
func (d Drawing) of(ids []string) []Case {
	known := map[string]Case{}
	for _, c := range d.Cases {
		known[c.ID] = c
	}
	out := make([]Case, 0, len(ids))
	for _, id := range slices.Sorted(slices.Values(ids)) {
		c := known[id]
		c.ID = id
		out = append(out, c)
	}
	return out
}

// draw makes the folds over ids in the given way.
func (d Drawing) draw(mode string, ids []string) ([]Split, error) {
	cases := d.of(ids)
	if mode != SplitReference && len(d.Cases) == 0 {
		return nil, fmt.Errorf("folds cannot be drawn %s: %s, which names classes, patients and sites, is not at hand", mode, task.DatasetFile)
	}
	switch mode {
	case SplitReference:
		return KFold(ids)
	case SplitStratified:
		return evenFolds(Ungrouped(cases))
	case SplitGrouped:
		if !d.patientsDeclared() {
			return nil, remedy.With(fmt.Errorf("folds cannot be grouped: %s names no patients; add \"patient\" to every case, or have them drawn %s", task.DatasetFile, SplitStratified),
				remedy.Set{Option: remedy.Split, Value: SplitStratified})
		}
		return evenFolds(cases)
	case SplitSites:
		return siteFolds(cases)
	}
	return nil, fmt.Errorf("no way to split is called %q; expected %s", mode, strings.Join(SplitModes, ", "))
}

// evenFolds are the folds of Grouped.
func evenFolds(cases []Case) ([]Split, error) {
	fold, err := Grouped(cases, numFolds, splitSeed)
	if err != nil {
		return nil, fmt.Errorf("%w; train fold %q, or write the splits you want into %s", err, task.FoldAll, SplitsFile)
	}
	ids := caseIDs(cases)
	splits := make([]Split, numFolds)
	for f := range splits {
		splits[f] = divide(ids, func(i int) bool { return fold[i] != f })
	}
	return splits, nil
}

// siteFolds has a fold for each site, in the order of their names: its cases validate, those of all other sites train.
// A patient that was at several sites trains in no fold that validates on it.
func siteFolds(cases []Case) ([]Split, error) {
	sites, of, err := Sites(cases)
	if err != nil {
		return nil, fmt.Errorf("sites cannot be left out: %w; name the site of every case in %s (\"site\")", err, task.DatasetFile)
	}
	if len(sites) < 2 {
		return nil, fmt.Errorf("sites cannot be left out: all cases are of site %q", sites[0])
	}
	splits := make([]Split, len(sites))
	for f, site := range sites {
		s := Split{Train: []string{}, Val: []string{}, Site: site}
		here := map[string]bool{}
		for i, c := range cases {
			if of[i] == f {
				s.Val = append(s.Val, c.ID)
				here[c.Patient] = c.Patient != ""
			}
		}
		for i, c := range cases {
			if of[i] != f && !here[c.Patient] {
				s.Train = append(s.Train, c.ID)
			}
		}
		if len(s.Train) == 0 {
			return nil, fmt.Errorf("site %q cannot be left out: every patient was there, too", site)
		}
		splits[f] = s
	}
	return splits, nil
}

func caseIDs(cases []Case) []string {
	ids := make([]string, len(cases))
	for i, c := range cases {
		ids[i] = c.ID
	}
	return ids
}

// beyond is the split of a fold beyond the file: that of the reference, unless the folds are even or patients must stay
// together, which it then is, too.
func (d Drawing) beyond(s *settled, ids []string, fold int) (Split, error) {
	cases := d.of(ids)
	switch {
	case s.mode == SplitSites:
		return Split{}, fmt.Errorf("fold %d is not there: folds 0 to %d leave out one site each (%s)", fold, len(s.splits)-1, s.path)
	case s.mode == SplitStratified:
		cases = Ungrouped(cases)
	case !d.patientsDeclared() || s.mode == SplitReference:
		return FallbackSplit(ids, fold), nil
	}
	of, err := Grouped(cases, numFolds, uint64(splitSeed+fold))
	if err != nil {
		return Split{}, err
	}
	return divide(caseIDs(cases), func(i int) bool { return of[i] != 0 }), nil
}

// key identifies what folds of a mode are drawn from.
func (d Drawing) key(mode string, ids []string) string {
	cases := d.of(ids)
	for i := range cases {
		if mode == SplitReference {
			cases[i] = Case{ID: cases[i].ID}
		}
	}
	digest, _ := provenance.DigestJSON(cases) // texts and numbers always have JSON
	return digest
}

// writeDrawn writes splits and how they were drawn.
func (d Drawing) writeDrawn(dir, mode string, asked bool, ids []string, splits []Split) error {
	path := filepath.Join(dir, SplitsFile)
	content, err := Encode(splits)
	if err != nil {
		return err
	}
	// Wherever this ends early there are no folds, and the next run draws them again: there are never folds of which it
	// is not known that they were drawn.
	if err := atomicfile.Remove(path); err != nil {
		return err
	}
	how := drawn{mode, asked, splitSeed, d.key(mode, ids), provenance.Digest(content)}
	if err := jsonfile.Write(filepath.Join(dir, DrawnFile), how, jsonfile.Indent); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, content)
}

// readDrawn tells how the folds in SplitsFile were drawn; nil if they were written by hand, changed since, or drawn by
// an earlier version.
func readDrawn(dir string) (*drawn, error) {
	d := new(drawn)
	err := jsonfile.Read(filepath.Join(dir, DrawnFile), d)
	if errors.Is(err, fs.ErrNotExist) || jsonfile.Damaged(err) || err == nil && !slices.Contains(SplitModes, d.Mode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if digest, err := provenance.DigestFile(filepath.Join(dir, SplitsFile)); err != nil || digest != d.Splits {
		return nil, nil
	}
	return d, nil
}

// settled are the folds of a task, and how they came about.
type settled struct {
	splits   []Split
	path     string
	mode     string // how they were drawn; empty if they were written by hand or it is not known
	origin   string
	warnings []remedy.Note

	fresh bool // drawn now, to be written
	asked bool // for
}

// folds are the folds in dir, checked. Those that had to be drawn are written once they have passed.
func (d Drawing) folds(dir string, ids []string) (*settled, error) {
	s, err := d.settle(dir, ids)
	if err != nil {
		return nil, err
	}
	var found []overlap
	for f, of := range s.splits {
		found = append(found, d.overlaps(strconv.Itoa(f), of)...)
	}
	origin := s.path
	if s.fresh {
		origin = "folds drawn " + s.mode
	}
	warnings, err := d.checkPatients(found, origin)
	if err != nil {
		return nil, err
	}
	s.warnings = append(append(s.warnings, warnings...), d.lacking(s, ids)...)
	if s.fresh {
		return s, d.writeDrawn(dir, s.mode, s.asked, ids, s.splits)
	}
	return s, nil
}

// settle reads the folds in dir, or draws them. Folds that were drawn, and not changed since, are drawn again if
// another way is asked for or the cases have changed, unless folds were trained on them. Folds that were written by
// hand stay as they are.
func (d Drawing) settle(dir string, ids []string) (*settled, error) {
	path := filepath.Join(dir, SplitsFile)
	s := &settled{path: path, origin: "splits of " + path}
	splits, err := ReadSplits(path, ids)
	before, drawnErr := readDrawn(dir)
	pickled, pickledErr := readPickledSplits(filepath.Join(dir, PickledSplitsFile), ids)
	switch {
	case drawnErr != nil:
		return nil, drawnErr
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(pickledErr, fs.ErrNotExist):
		if pickledErr != nil {
			return nil, pickledErr
		}
		s.splits, s.path = pickled, filepath.Join(dir, PickledSplitsFile)
		s.origin = "splits of " + s.path
		s.warnings = d.notAsAsked(s, ids)
		return s, nil
	case errors.Is(err, fs.ErrNotExist):
		s.mode = d.mode()
		if s.splits, err = d.draw(s.mode, ids); err != nil {
			return nil, err
		}
		s.origin = fmt.Sprintf("new %d-fold cross-validation, drawn %s, written to %s", len(s.splits), s.mode, path)
		s.fresh, s.asked = true, d.Mode != ""
		return s, nil
	case before != nil:
		if again, err := d.again(dir, before, ids); again != nil || err != nil {
			return again, err
		}
		s.mode = before.Mode
	}
	if err != nil {
		return nil, err
	}
	s.splits = splits
	if !errors.Is(pickledErr, fs.ErrNotExist) && !sameSplits(splits, pickled) {
		s.warnings = append(s.warnings, remedy.Notef("%s says something else than %s and is not used; to train on the splits of the pickle, remove %s",
			PickledSplitsFile, path, SplitsFile))
	}
	s.warnings = append(s.warnings, d.notAsAsked(s, ids)...)
	return s, nil
}

// again redraws folds that were drawn in another way or from other cases; nil if they may stay.
func (d Drawing) again(dir string, before *drawn, ids []string) (*settled, error) {
	mode, why := before.Mode, ""
	if !before.Asked {
		mode = d.mode()
	}
	switch {
	case d.Mode != "" && d.Mode != before.Mode:
		mode, why = d.Mode, "instead of "+before.Mode
	case len(d.Cases) == 0: // nothing is known of them
	case mode != before.Mode:
		why = "since patients are declared now"
		if mode != SplitGrouped {
			why = "since patients are not declared any more"
		}
	case before.Cases != d.key(mode, ids):
		why = "again, since the cases have changed"
	}
	path := filepath.Join(dir, SplitsFile)
	switch {
	case why == "":
		return nil, nil
	case len(d.Trained) > 0 && d.Mode != "" && d.Mode != before.Mode:
		return nil, remedy.With(fmt.Errorf("%s was drawn %s, and folds were trained on it (%s): folds drawn %s would mix two cross-validations; remove %s and train all folds anew, or keep the folds",
			path, before.Mode, words.Some(d.Trained), d.Mode, SplitsFile), remedy.Unset{Option: remedy.Split})
	case len(d.Trained) > 0:
		return nil, nil
	}
	splits, err := d.draw(mode, ids)
	if err != nil {
		return nil, err
	}
	return &settled{splits: splits, path: path, mode: mode, fresh: true, asked: before.Asked || d.Mode != "",
		origin: fmt.Sprintf("%d-fold cross-validation, drawn %s %s, written to %s", len(splits), mode, why, path)}, nil
}

// notAsAsked warns of folds that are there and were not drawn as asked for.
func (d Drawing) notAsAsked(s *settled, ids []string) []remedy.Note {
	if d.Mode == "" || d.Mode == s.mode {
		return nil
	}
	if asked, err := d.draw(d.Mode, ids); err == nil && sameSplits(asked, s.splits) {
		return nil
	}
	return []remedy.Note{remedy.Notef("asking for folds drawn %s has no effect: the splits of %s count; remove that file to have others drawn", d.Mode, s.path)}
}

// overlap is a patient in both parts of a fold.
type overlap struct {
	fold string
	Overlap
}

// overlaps finds the patients in both parts of a fold.
func (d Drawing) overlaps(fold string, of Split) (found []overlap) {
	known := map[string]Case{}
	for _, c := range d.Cases {
		known[c.ID] = c
	}
	part := func(ids []string) []Case {
		out := make([]Case, len(ids))
		for i, id := range ids {
			out[i] = known[id]
		}
		return out
	}
	for _, o := range Shared(part(of.Train), part(of.Val)) {
		found = append(found, overlap{fold, o})
	}
	return found
}

// checkPatients refuses splits with patients on both sides of a fold, or warns of them where that is allowed. origin is
// where the splits come from.
func (d Drawing) checkPatients(found []overlap, origin string) (warnings []remedy.Note, err error) {
	if len(found) == 0 {
		return nil, nil
	}
	const most = 5
	var lines []string
	patients := map[string]bool{}
	for _, o := range found {
		patients[o.Patient] = true
		if len(lines) < most {
			lines = append(lines, fmt.Sprintf("fold %s: patient %s trains with %s and validates with %s", o.fold, o.Patient, words.Some(o.First), words.Some(o.Second)))
		}
	}
	if len(found) > most {
		lines = append(lines, fmt.Sprintf("and %d more", len(found)-most))
	}
	text := fmt.Sprintf("%s: %d patients are on both sides of a fold: %s", origin, len(patients), strings.Join(lines, "; "))
	if d.AllowPatientOverlap {
		return []remedy.Note{{Text: text + ". The validation will look better than new patients would"}}, nil
	}
	return nil, remedy.With(fmt.Errorf("%s. The validation would look better than new patients would: take folds drawn %s (a file of your own must be corrected or removed first), or insist",
		text, SplitGrouped), remedy.Set{Option: remedy.Split, Value: SplitGrouped}, remedy.Set{Option: remedy.AllowPatientOverlap})
}

// lacking warns of folds without a class in one of their parts, and says what mends that.
func (d Drawing) lacking(s *settled, ids []string) []remedy.Note {
	target := map[string][]int{}
	for _, c := range d.of(ids) {
		target[c.ID] = c.Targets
	}
	var lacks []string
	mended := false
	for at, label := range d.Labels {
		count := func(ids []string) []int {
			counts := make([]int, len(label.Values))
			for _, id := range ids {
				if of := target[id]; at < len(of) && of[at] >= 0 && of[at] < len(counts) {
					counts[of[at]]++
				}
			}
			return counts
		}
		total := count(ids)
		for class, name := range label.Values {
			var train, val []string
			for f, of := range s.splits {
				if count(of.Train)[class] == 0 {
					train = append(train, fmt.Sprint(f))
				}
				if count(of.Val)[class] == 0 {
					val = append(val, fmt.Sprint(f))
				}
			}
			if total[class] == 0 || len(train)+len(val) == 0 {
				continue
			}
			text := fmt.Sprintf("label %q, class %d (%s, %d cases):", label.Name, class, name, total[class])
			if len(val) > 0 {
				text += " none in the validation of fold " + strings.Join(val, ", ")
			}
			if len(train) > 0 {
				text += " none in the training of fold " + strings.Join(train, ", ")
			}
			lacks = append(lacks, text)
			mended = mended || total[class] >= numFolds
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	stratified := remedy.Set{Option: remedy.Split, Value: SplitStratified}
	note := remedy.Notef("FOLDS WITHOUT A CLASS (its AUC is not defined there): %s", strings.Join(lacks, "; "))
	switch {
	case !mended:
		note.Text += fmt.Sprintf(". There are fewer cases of it than %d folds", numFolds)
	case s.mode == SplitReference && len(d.Trained) > 0:
		note.Text += fmt.Sprintf(". Folds drawn %s spread the classes evenly; folds were trained already, so remove %s and train all anew", SplitStratified, s.path)
		note = note.See(stratified)
	case s.mode == SplitReference:
		note.Text += fmt.Sprintf(". Folds drawn %s spread the classes evenly", SplitStratified)
		note = note.See(stratified)
	case s.mode == "":
		note.Text += fmt.Sprintf(". Edit %s, or remove it and have folds drawn %s, which spread the classes evenly", s.path, SplitStratified)
		note = note.See(stratified)
	}
	return []remedy.Note{note}
}

// DrawSplits settles the folds of a task over the cases ids before any is trained: it reads them from dir, or draws and
// writes them. It returns what there is to say about them.
func DrawSplits(dir string, ids []string, d Drawing) (notes []string, warnings []remedy.Note, err error) {
	s, err := d.folds(dir, ids)
	if err != nil {
		return nil, nil, err
	}
	return []string{s.origin + sitesText(s.splits)}, s.warnings, nil
}

// sitesText lists which fold leaves out which site.
func sitesText(splits []Split) string {
	var folds []string
	for f, s := range splits {
		if s.Site != "" {
			folds = append(folds, fmt.Sprintf("fold %d: %s (%d cases)", f, s.Site, len(s.Val)))
		}
	}
	if len(folds) == 0 {
		return ""
	}
	return "; left out: " + strings.Join(folds, ", ")
}

// TrainedFolds names the folds of a task's models that hold a checkpoint, but for the folder except.
func TrainedFolds(f task.Folders, name, except string) []string {
	models, _ := os.ReadDir(filepath.Join(f.Models(), name)) // what is not there is not trained
	var found []string
	for _, m := range models {
		folds, _ := os.ReadDir(filepath.Join(f.Models(), name, m.Name()))
		for _, e := range folds {
			dir := filepath.Join(f.Models(), name, m.Name(), e.Name())
			if strings.HasPrefix(e.Name(), task.FoldDir("")) && dir != except && checkpoint.Any(dir) {
				found = append(found, filepath.Join(m.Name(), e.Name()))
			}
		}
	}
	return found
}

// DrawingFor gathers what dataset.json says of the cases of a task; without the file nothing is known of them.
func DrawingFor(f task.Folders, name, mode string) (Drawing, error) {
	d := Drawing{Mode: mode}
	l, err := task.ListedToday(f, name)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	d.Labels = l.Labels
	for _, c := range l.Cases {
		d.Cases = append(d.Cases, Case{ID: c.ID, Patient: c.Patient, Site: c.Site, Targets: c.Targets})
	}
	return d, nil
}

// FoldNames are the numbers of the folds in the split file of dir; nil if there is none that can be read.
func FoldNames(dir string) []string {
	var splits []Split
	if jsonfile.Read(filepath.Join(dir, SplitsFile), &splits) != nil {
		return nil
	}
	names := make([]string, len(splits))
	for f := range splits {
		names[f] = strconv.Itoa(f)
	}
	return names
}
