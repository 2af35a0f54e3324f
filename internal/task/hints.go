package task

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/universal-classifier/uc/internal/imagefile"
)

// missingImage says that modality m of the case is missing from the folder dir, and what lies there in its place if
// there is something like it.
func (v *validator) missingImage(dir, id string, m int) string {
	stem := fmt.Sprintf("%s_%04d", id, m)
	text := fmt.Sprintf("%s not found: modality %d (%s) of the case is missing", path.Join(dir, stem+imagefile.Extensions[0]), m, v.out.Modalities[m])
	if hint := v.lookAlike(dir, id, stem, m); hint != "" {
		text += "; " + hint
	}
	return text
}

// lookAlike finds what may have been meant by stem.
func (v *validator) lookAlike(dir, id, stem string, m int) string {
	names := v.entries(dir)
	spelled := func(stem string) string {
		found, _ := pick(names, stem)
		return found
	}
	if found := spelled(id); found != "" && len(v.out.Modalities) == 1 {
		return fmt.Sprintf("%s has no modality suffix: rename it to %s", found, stem+strings.TrimPrefix(found, id))
	} else if found != "" {
		return fmt.Sprintf("%s has no modality suffix: every modality is a file of its own, %s and so on", found, stem+strings.TrimPrefix(found, id))
	}
	for digits := 1; digits <= 6; digits++ {
		other := fmt.Sprintf("%s_%0*d", id, digits, m)
		if found := spelled(other); found != "" && other != stem {
			return fmt.Sprintf("%s is there: the modality has four digits, rename it to %s", found, stem+strings.TrimPrefix(found, other))
		}
	}
	for _, other := range []string{id + "-" + stem[len(id)+1:], id + stem[len(id)+1:]} {
		if found := spelled(other); found != "" {
			return fmt.Sprintf("%s is there: the modality follows an underscore, rename it to %s", found, stem+strings.TrimPrefix(found, other))
		}
	}
	if last := fmt.Sprintf("%s_%04d", id, len(v.out.Modalities)); m == 0 && spelled(last) != "" {
		return fmt.Sprintf("%s is there: modalities are counted from 0000, rename the files", spelled(last))
	}
	for _, name := range sortedNames(names) {
		base, ext := imagefile.SplitExtension(name)
		if ext == "" || base == stem {
			continue
		}
		switch {
		case norm.NFC.String(base) == norm.NFC.String(stem):
			return fmt.Sprintf("a file of that name is there, but its accents are written in another way (decomposed, as macOS does): "+
				"rename it (convmv -f utf8 -t utf8 --nfc --notest %s), or write the name in dataset.json as the file has it", dir)
		case strings.EqualFold(base, stem):
			return fmt.Sprintf("%s is there: capital and small letters are different names, rename it", name)
		}
	}
	return ""
}

func sortedNames(names map[string]bool) []string {
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// unreadable reports a folder that is there and cannot be listed, once, so that its cases are not said to be missing.
func (v *validator) unreadable(dir string, err error) {
	if v.closed == nil {
		v.closed = map[string]bool{}
	}
	v.closed[dir] = true
	v.add("", dir, "the folder cannot be read: %v; give this user the right to read and enter it (chmod u+rX, or ask its owner)", underlying(err))
}

// underlying is the reason within an error of a file operation.
func underlying(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// modalityDoubt says that the name of a modality is close to one with rules of its own, but is not it; "" if it is not.
func modalityDoubt(name string) string {
	plain := strings.ToUpper(strings.TrimSpace(name))
	switch {
	case slices.Contains(namesOfCT, name) || name == "noNorm":
		return ""
	case plain == "CT", strings.HasPrefix(plain, "CT"), strings.HasSuffix(plain, "CT") && !strings.HasSuffix(plain, "OCT"), strings.HasSuffix(plain, "CTA"), plain == "HU",
		strings.HasPrefix(plain, "COMPUTED TOMO"), strings.HasPrefix(plain, "COMPUTER TOMO"), strings.HasPrefix(plain, "COMPUTERISED TOMO"), strings.HasPrefix(plain, "COMPUTERIZED TOMO"):
		return fmt.Sprintf(`%q is not "CT": each image will be normalised by its own mean and sd, not by the cohort's Hounsfield units; write "CT" if these are CT images`, name)
	case strings.EqualFold(plain, "noNorm"):
		return fmt.Sprintf(`%q is not "noNorm": the images will be normalised; write "noNorm" if they shall stay as they are`, name)
	case plain != strings.ToUpper(name):
		return fmt.Sprintf("%q begins or ends with a space; remove it", name)
	}
	return ""
}

// namesOfCT are the names that stand for CT.
var namesOfCT = []string{"CT", "ct"}

// encodingProblem names the encoding of a JSON file that is not UTF-8; "" if there is nothing to say.
func encodingProblem(b []byte) string {
	const remedy = "save the file as UTF-8"
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe, 0, 0}), bytes.HasPrefix(b, []byte{0, 0, 0xfe, 0xff}):
		return "the file is UTF-32, expected UTF-8; " + remedy
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), bytes.HasPrefix(b, []byte{0xfe, 0xff}),
		len(b) >= 2 && (b[0] == 0) != (b[1] == 0): // no byte order mark: every other byte of ASCII is 0
		return "the file is UTF-16, expected UTF-8; " + remedy + ` (in Windows' editors "UTF-8", in PowerShell -Encoding utf8)`
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return "the file is a zip archive or a spreadsheet, expected JSON"
	}
	return ""
}

// notJSON names a value that other programs write and JSON does not have; "" if word is none.
func notJSON(b []byte) string {
	for _, word := range []string{"NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "None", "True", "False", "undefined"} {
		if bytes.HasPrefix(b, []byte(word)) {
			switch word {
			case "True", "False", "None":
				return word + " is Python, JSON writes " + map[string]string{"True": "true", "False": "false", "None": "null"}[word]
			}
			return word + " is not a JSON value; give the number that is meant, or remove the case if it is not known"
		}
	}
	return ""
}

// newerTask matches the folders of nnU-Net v2.
var newerTask = regexp.MustCompile(`^Dataset(\d{3,})_(.+)$`)

// newerTaskHint says what to do with a task that lies there under nnU-Net v2's name; "" if there is none.
func newerTaskHint(f Folders, idOrName string) string {
	wanted := strings.TrimLeft(idOrName, "0")
	for _, dir := range []string{f.RawTasks(), filepath.Join(f.Raw, "nnUNet_raw"), f.Raw, filepath.Join(filepath.Dir(f.Raw), "nnUNet_raw")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			m := newerTask.FindStringSubmatch(e.Name())
			if m == nil || e.Name() != idOrName && strings.TrimLeft(m[1], "0") != wanted && "Task"+m[1]+"_"+m[2] != idOrName {
				continue
			}
			name := "Task" + m[1] + "_" + m[2]
			return fmt.Sprintf("%s has the name of nnU-Net v2: rename the folder to %s; its dataset.json needs the fields of this program too (modality, classification_labels, training); or convert it into a task",
				filepath.Join(dir, e.Name()), filepath.Join(f.RawTasks(), name))
		}
	}
	return ""
}

// newerDataset says that a dataset.json is one of nnU-Net v2; "" if it is not.
func newerDataset(n *node) string {
	if n.get("channel_names") == nil || n.get("modality") != nil {
		return ""
	}
	return `this is a dataset.json of nnU-Net v2 (channel_names, file_ending): rename channel_names to modality, ` +
		`add classification_labels, and list the cases with their classes under training; labels is {"0": "background", "1": "organ"}`
}
