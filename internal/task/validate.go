package task

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// validator judges a dataset.json by the rules of the raw layout, gathering every one that is broken.
type validator struct {
	problems
	dir       string
	generated bool                       // see originalWithoutMasks
	files     map[string]map[string]bool // names of the files in each folder that was looked into
	out       Dataset
	closed    map[string]bool // folders that cannot be read
	declared  bool            // "labels" is there
	lost      problems        // masks that are named but do not exist
	unclear   problems        // what is wrong with patients and sites
}

func (v *validator) warn(format string, args ...any) {
	v.out.Warnings = append(v.out.Warnings, fmt.Sprintf(format, args...))
}

// dataset reads the whole document. What it returns is only complete if there is no problem.
func (v *validator) dataset(n *node) *Dataset {
	if n.kind != kindObject {
		v.add("", "", "line %d: found %s, expected an object with modality, classification_labels and training", n.line, n.kind)
		return &v.out
	}
	if newer := newerDataset(n); newer != "" {
		v.add("", "", "%s", newer)
		return &v.out
	}
	v.out.Raw, _ = n.value().(map[string]any)
	v.out.Name = v.text(n, "name")
	v.out.Description = v.text(n, "description")
	v.modalities(n.get("modality"))
	v.labels(n.get("classification_labels"))
	v.roiLabels(n.get("labels"))
	v.training(n.get("training"))
	v.test(n.get("test"))
	if count := n.get("numTraining"); count != nil {
		if c, ok := count.integer(); !ok || c != len(v.out.Cases) {
			v.warn("line %d: numTraining is %s, but training lists %d cases; the list counts", count.line, count.text, len(v.out.Cases))
		}
	}
	return &v.out
}

// text reads an optional string.
func (v *validator) text(n *node, field string) string {
	s := n.get(field)
	if s == nil {
		return ""
	}
	if s.kind != kindString {
		v.warn("line %d: %s is %s, expected a string; ignored", s.line, field, s.kind)
		return ""
	}
	return s.text
}

// numbered reads an object {"0": "...", "1": "..."}, whose keys must be 0..n-1 and whose values are strings.
func (v *validator) numbered(n *node, field string, least int) []string {
	if n.kind != kindObject {
		v.add("", field, `line %d: found %s, expected an object {"0": "...", "1": "...", ...}`, n.line, n.kind)
		return nil
	}
	byKey := map[string]string{}
	var keys []string
	for _, m := range n.members {
		switch m.value.kind {
		case kindString, kindNumber:
		default:
			v.add("", field, "line %d: %q is %s, expected a string", m.value.line, m.key, m.value.kind)
		}
		byKey[m.key] = m.value.text
		keys = append(keys, m.key)
	}
	values := make([]string, len(keys))
	for i := range values {
		text, ok := byKey[strconv.Itoa(i)]
		if !ok {
			slices.Sort(keys)
			v.add("", field, `line %d: keys are %s, expected the consecutive integers "0" to "%d"; number them without gaps`,
				n.line, `"`+strings.Join(keys, `", "`)+`"`, len(keys)-1)
			return nil
		}
		values[i] = text
	}
	if len(values) < least {
		v.add("", field, "line %d: %d entries, expected %d or more", n.line, len(values), least)
		return nil
	}
	return values
}

func (v *validator) modalities(n *node) {
	if n == nil {
		v.add("", "modality", `missing; expected an object such as {"0": "CT"}`)
		return
	}
	v.out.Modalities = v.numbered(n, "modality", 1)
	for i, name := range v.out.Modalities {
		if doubt := modalityDoubt(name); doubt != "" {
			v.warn("line %d: modality %d: %s", n.line, i, doubt)
		}
	}
}

func (v *validator) labels(n *node) {
	const field = "classification_labels"
	if n == nil || n.kind != kindArray || len(n.items) == 0 {
		v.add("", field, "missing or empty; expected a list with name and values of each label")
		return
	}
	seen := map[string]bool{}
	for i := range n.items {
		item := &n.items[i]
		where := fmt.Sprintf("%s[%d]", field, i)
		if item.kind != kindObject {
			v.add("", where, "line %d: found %s, expected an object with name and values", item.line, item.kind)
			continue
		}
		label := Label{}
		switch name := item.get("name"); {
		case name == nil || name.kind != kindString || name.text == "":
			v.add("", where+".name", "line %d: missing or no string; every label needs a name", item.line)
		case name.text == "image" || name.text == "label":
			v.add("", where+".name", "line %d: %q is a field of every case already; choose another name", name.line, name.text)
		case seen[name.text]:
			v.add("", where+".name", "line %d: %q names two labels; choose different names", name.line, name.text)
		case badLabel(name.text, v.out.Labels) != "":
			v.add("", where+".name", "line %d: %q %s; choose another name", name.line, name.text, badLabel(name.text, v.out.Labels))
		default:
			label.Name = name.text
			where = fmt.Sprintf("%s %q", field, name.text)
		}
		seen[label.Name] = true
		if ordinal := item.get("ordinal"); ordinal != nil {
			if ordinal.kind != kindTrue && ordinal.kind != kindFalse {
				v.add("", where+".ordinal", "line %d: found %s, expected true or false", ordinal.line, ordinal.kind)
			}
			label.Ordinal = ordinal.kind == kindTrue
		}
		if values := item.get("values"); values == nil {
			v.add("", where+".values", `line %d: missing; expected an object such as {"0": "absent", "1": "present"}`, item.line)
		} else {
			label.Values = v.numbered(values, where+".values", 2)
			for class, bad := range badClasses(label.Values) {
				if bad != "" {
					v.add("", where+".values", "line %d: the name of class %d, %q, %s; choose another name", values.line, class, label.Values[class], bad)
				}
			}
		}
		v.out.Labels = append(v.out.Labels, label)
	}
}

func (v *validator) roiLabels(n *node) {
	if n == nil {
		v.out.ROILabels = slices.Clone(generatedLabels)
		return
	}
	v.declared = true
	v.out.ROILabels = v.numbered(n, "labels", 2)
}

func (v *validator) training(n *node) {
	if n == nil || n.kind != kindArray || len(n.items) == 0 {
		v.add("", "training", "missing or empty; expected a list with one entry per case")
		return
	}
	all := entries{list: "training", folder: ImagesDir, seen: map[string]int{}}
	var without []string // cases without label
	unnamed := 0         // cases of which nothing but their bad name is known
	for i := range n.items {
		item := &n.items[i]
		if item.kind != kindObject {
			v.add("", fmt.Sprintf("training[%d]", i), "line %d: found %s, expected an object with image and classification labels", item.line, item.kind)
			continue
		}
		c, id, named := v.entry(i, item, &all)
		if !named {
			v.out.Cases = append(v.out.Cases, c)
			unnamed++
			continue
		}
		if item.get("label") == nil {
			without = append(without, id)
		} else if mask, _ := v.path(item, "label", id); mask != "" {
			v.mask(&c, id, mask, LabelsDir, item.get("label").line)
		}
		v.out.Cases = append(v.out.Cases, c)
	}
	v.maskRules(without, len(v.out.Cases)-unnamed)
	v.subjectRules(v.out.Cases)
	v.problems = append(v.problems, v.unclear...)
	v.classCounts()
}

// entries are those of a list of cases.
type entries struct {
	list     string         // its name in dataset.json
	folder   string         // of its images
	nameless string         // what precedes the number of an entry whose case has no name
	twice    string         // what is said of the list where a case is named a second time
	seen     map[string]int // lines, by case
}

// entry checks what training and test cases have in common: images, classes and subject. It reports whether anything
// but the bad name of the case is known. id is the case in messages.
func (v *validator) entry(i int, item *node, of *entries) (c Case, id string, named bool) {
	if image, name := v.path(item, "image", fmt.Sprintf("%s[%d]", of.list, i)); image != "" {
		if bad := badID(name); bad != "" {
			v.add(QuoteID(name), "image", "line %d: the name %s; rename the case's files", item.get("image").line, bad)
			return c, "", false
		}
		c.ID = name
		v.images(&c, image, of.folder)
	}
	id = c.ID
	if id == "" {
		id = fmt.Sprintf("%s%d (line %d)", of.nameless, i, item.line)
	} else if line, twice := of.seen[id]; twice {
		v.add(id, "image", "line %d: the case is listed twice%s, first in line %d; remove one entry", item.line, of.twice, line)
	}
	of.seen[id] = item.line
	v.targets(&c, id, item)
	v.subject(&c, id, item)
	return c, id, true
}

// maskRules checks that masks are all there and declared, or all absent, and settles HasMasks. cases is how many were
// looked at.
func (v *validator) maskRules(without []string, cases int) {
	if v.generated && (!v.declared || slices.Equal(v.out.ROILabels, generatedLabels)) {
		return // the masks are ours: EnsureMasks completes what is missing
	}
	v.problems = append(v.problems, v.lost...)
	with := cases - len(without)
	switch {
	case with == 0 && v.declared:
		v.add("", "labels", "ROI labels are declared, but no case has a label; add a mask to every case, or remove labels to have foreground masks generated")
	case with == 0:
		for i := range v.out.Cases {
			if found := v.findMask(v.out.Cases[i].ID); found != "" {
				v.add(v.out.Cases[i].ID, "label", "%s exists, but dataset.json declares neither labels nor a label for the case; declare the masks, or move them away to have foreground masks generated", filepath.Join(LabelsDir, found))
			}
		}
	case len(without) > 0:
		for _, id := range without {
			v.add(id, "label", "missing, while %d of %d cases have one; give every case a mask, or none", with, cases)
		}
	}
	if with > 0 && !v.declared {
		v.add("", "labels", `missing, but %d cases have a mask; declare its values, such as {"0": "background", "1": "organ"}`, with)
	}
	v.out.HasMasks = with > 0
}

// classCounts warns of classes that no case has.
func (v *validator) classCounts() {
	for l, label := range v.out.Labels {
		counts := make([]int, len(label.Values))
		for _, c := range v.out.Cases {
			if l < len(c.Targets) && c.Targets[l] >= 0 && c.Targets[l] < len(counts) {
				counts[c.Targets[l]]++
			}
		}
		for class, n := range counts {
			if n == 0 {
				v.warn("label %q: no case has the value %d (%s); it cannot be learned", label.Name, class, label.Values[class])
			}
		}
	}
}

func (v *validator) targets(c *Case, id string, item *node) {
	for _, label := range v.out.Labels {
		if label.Name == "" {
			continue // already a problem of its own
		}
		n := item.get(label.Name)
		target := -1
		switch value, ok := 0, false; {
		case n == nil:
			v.add(id, label.Name, "line %d: missing; every case needs a value from 0 to %d for it", item.line, len(label.Values)-1)
		default:
			value, ok = n.integer()
			switch {
			case !ok:
				v.add(id, label.Name, "line %d: found %s, expected an integer from 0 to %d", n.line, describe(n), len(label.Values)-1)
			case label.Values != nil && (value < 0 || value >= len(label.Values)):
				v.add(id, label.Name, "line %d: value %d is out of range, expected 0 to %d as declared in classification_labels", n.line, value, len(label.Values)-1)
			default:
				target = value
			}
		}
		c.Targets = append(c.Targets, target)
	}
}

// describe names a value for a message.
func describe(n *node) string {
	switch n.kind {
	case kindNumber:
		return n.text
	case kindString:
		return strconv.Quote(n.text)
	}
	return n.kind.String()
}

// entries lists the files in a folder of the task (relative to it), once.
func (v *validator) entries(dir string) map[string]bool {
	if names, ok := v.files[dir]; ok {
		return names
	}
	names := map[string]bool{}
	list, err := os.ReadDir(filepath.Join(v.dir, dir))
	if errors.Is(err, fs.ErrPermission) {
		v.unreadable(dir, err)
	}
	for _, e := range list {
		names[e.Name()] = true
	}
	v.files[dir] = names
	return names
}
