package convert

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// MedMNISTOptions say what a file of MedMNIST does not.
type MedMNISTOptions struct {
	File    string   // .npz
	Labels  []string // names of the labels, one per column; nil for "Class", or "Class 1", "Class 2", ...
	Classes []string // names of the classes 0, 1, ..., as ClassOrder takes them; nil for those that MedMNIST gives its 3D sets, or the numbers
}

// medmnistClasses are the classes of the 3D sets, by the start of the file's name (medmnist/info.py, version 3).
var medmnistClasses = map[string][]string{
	"organmnist3d": {"liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder", "heart", "lung-right", "lung-left",
		"spleen", "pancreas"},
	"nodulemnist3d":   {"benign", "malignant"},
	"adrenalmnist3d":  {"normal", "hyperplasia"},
	"fracturemnist3d": {"buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"},
	"vesselmnist3d":   {"vessel", "aneurysm"},
	"synapsemnist3d":  {"inhibitory synapse", "excitatory synapse"},
}

const (
	maxMedMNISTBytes = 4 << 30 // of the images of one file; the largest set at 64 x 64 x 64 has half a GiB
	maxMedMNISTCases = 10_000_000
	maxMedMNISTSize  = 4096
	maxMedMNISTClass = 1000 // the largest number of a class
	maxChannels      = 4
)

// medmnistPart is train, val or test.
type medmnistPart struct {
	name     string
	images   npz.Description
	labels   npz.Description
	cases    int
	size     [3]int
	channels int
	targets  []int64 // cases x labels
}

// MedMNIST reads a 3D set of MedMNIST: arrays train_images, val_images, test_images of uint8 (N, D, H, W) or (N, D, H,
// W, C), and train_labels and so on of whole numbers (N, 1) or, for several labels, (N, L). The parts train and val
// train, with val as the validation of fold 0; test becomes the external test set. Voxels are taken to be 1 mm, as the
// files have no spacing.
func MedMNIST(ctx context.Context, o MedMNISTOptions) (*Cohort, error) {
	described, err := npz.Describe(o.File)
	if err != nil {
		return nil, err
	}
	parts, problems := medmnistParts(described)
	if err := problems.err(o.File); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	elements := 0
	for _, p := range parts {
		elements += p.cases*p.size[0]*p.size[1]*p.size[2]*p.channels + p.cases*p.labels.Shape[1]
	}
	arrays, err := npz.ReadAtMost(o.File, elements)
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(filepath.Base(o.File))
	name = strings.TrimSuffix(name, filepath.Ext(name))
	c := &Cohort{Format: "medmnist", Source: o.File, Name: name, Modalities: slices.Repeat([]string{modalityUnknown}, parts[0].channels)}
	c.Notes = append(c.Notes, remedy.Notef("voxels are taken to be 1 x 1 x 1 mm, as MedMNIST has no spacings"))
	digest, err := provenance.DigestFile(o.File)
	if err != nil {
		return nil, err
	}
	c.inputs = []string{provenance.Hex(digest)}
	if c.Labels, err = medmnistLabels(o, name, parts, arrays, &problems); err != nil {
		return nil, err
	}
	for _, p := range parts {
		c.addMedMNIST(p, arrays[p.name+"_images"].Data.([]uint8))
	}
	return c, append(problems, c.draft("").Problems()...).err(o.File)
}

// medmnistParts checks what the headers of the arrays say.
func medmnistParts(found map[string]npz.Description) ([]*medmnistPart, problems) {
	var all problems
	var parts []*medmnistPart
	total := 0
	for _, name := range []string{"train", "val", "test"} {
		images, hasImages := found[name+"_images"]
		labels, hasLabels := found[name+"_labels"]
		switch {
		case !hasImages && !hasLabels && name != "train":
			continue
		case !hasImages || !hasLabels:
			all.add("", name, fmt.Sprintf("%s_images and %s_labels are expected, both of them", name, name))
			continue
		}
		p := &medmnistPart{name: name, images: images, labels: labels}
		if why := p.measure(); why != "" {
			all.add("", name, why)
			continue
		}
		if len(parts) > 0 && (p.size != parts[0].size || p.channels != parts[0].channels || p.labels.Shape[1] != parts[0].labels.Shape[1]) {
			all.add("", name, fmt.Sprintf("images of shape %v and labels of shape %v do not go with those of train, %v and %v", p.images.Shape, p.labels.Shape, parts[0].images.Shape, parts[0].labels.Shape))
			continue
		}
		n := p.size[0] * p.size[1] * p.size[2] * p.channels
		if p.cases > (maxMedMNISTBytes-total)/n {
			all.add("", name, fmt.Sprintf("images of shape %v are more than %d GiB", p.images.Shape, maxMedMNISTBytes>>30))
			continue
		}
		total += p.cases * n
		parts = append(parts, p)
	}
	for name := range found {
		if base, kind, _ := strings.Cut(name, "_"); base != "train" && base != "val" && base != "test" || kind != "images" && kind != "labels" {
			all.add("", strconv.Quote(name), "an array that MedMNIST does not have")
		}
	}
	return parts, all
}

// measure reads the shapes of a part; why says what is wrong with them.
func (p *medmnistPart) measure() (why string) {
	s := p.images.Shape
	switch {
	case p.images.Type != "u1":
		return fmt.Sprintf("images of type %s, expected uint8", p.images.Type)
	case len(s) == 3, len(s) == 4 && s[3] <= maxChannels && s[1] > maxChannels && s[1] == s[2]:
		return fmt.Sprintf("images of shape %v are flat, expected N x D x H x W: uc classifies 3D images, such as OrganMNIST3D", s)
	case len(s) != 4 && len(s) != 5:
		return fmt.Sprintf("images of shape %v, expected N x D x H x W, or N x D x H x W x C", s)
	}
	p.cases, p.size, p.channels = s[0], [3]int(s[1:4]), 1
	if len(s) == 5 {
		p.channels = s[4]
	}
	if p.cases < 1 || p.cases > maxMedMNISTCases || min(s[1], s[2], s[3]) < 1 || max(s[1], s[2], s[3]) > maxMedMNISTSize {
		return fmt.Sprintf("images of shape %v, expected 1 to %d images of up to %d voxels along an axis", s, maxMedMNISTCases, maxMedMNISTSize)
	}
	if p.channels < 1 || p.channels > maxChannels {
		return fmt.Sprintf("images of shape %v with %d channels, expected 1 to %d", s, p.channels, maxChannels)
	}
	l := p.labels.Shape
	if len(l) == 1 {
		l = []int{l[0], 1}
	}
	p.labels.Shape = l
	switch {
	case p.labels.Type[0] != 'u' && p.labels.Type[0] != 'i':
		return fmt.Sprintf("labels of type %s, expected whole numbers", p.labels.Type)
	case len(l) != 2 || l[1] < 1 || l[1] > 100:
		return fmt.Sprintf("labels of shape %v, expected N x 1, or N x L", p.labels.Shape)
	case l[0] != p.cases:
		return fmt.Sprintf("%d labels for %d images", l[0], p.cases)
	}
	return ""
}

// medmnistLabels names the labels and their classes.
func medmnistLabels(o MedMNISTOptions, name string, parts []*medmnistPart, arrays map[string]npz.Array, all *problems) ([]task.Label, error) {
	n := parts[0].labels.Shape[1]
	labels := make([]task.Label, n)
	names := o.Labels
	if names == nil {
		for i := range n {
			names = append(names, fmt.Sprintf("Class %d", i+1))
		}
		if n == 1 {
			names = []string{"Class"}
		}
	}
	if len(names) != n {
		return nil, fmt.Errorf("%s: %d names of labels, but there are %d", o.File, len(names), n)
	}
	order, err := ClassOrder(o.Classes, names)
	if err != nil {
		return nil, err
	}
	known := ""
	for set := range medmnistClasses {
		if n == 1 && strings.HasPrefix(name, set) {
			known = set
		}
	}
	for i := range labels {
		most := int64(0)
		for _, p := range parts {
			p.targets = wholeNumbers(arrays[p.name+"_labels"].Data)
			for k := range p.cases {
				v := p.targets[k*n+i]
				if v < 0 || v > maxMedMNISTClass {
					all.add("", p.name+"_labels", fmt.Sprintf("label %d of image %d is %d, expected a class from 0", i, k, v))
					p.targets[k*n+i] = 0
				}
				most = max(most, v)
			}
		}
		if len(*all) > 0 {
			continue
		}
		classes := order[names[i]]
		if classes == nil {
			classes = medmnistClasses[known]
		}
		switch {
		case classes == nil:
			for v := range max(most, 1) + 1 {
				classes = append(classes, strconv.FormatInt(v, 10))
			}
		case int(most) >= len(classes):
			all.add("", names[i], fmt.Sprintf("there is a class %d, but names for 0 to %d (%s)", most, len(classes)-1, strings.Join(classes, ", ")))
		}
		labels[i] = task.Label{Name: names[i], Values: classes}
	}
	return labels, nil
}

// wholeNumbers are the values of an array of any whole type.
func wholeNumbers(data any) []int64 {
	switch d := data.(type) {
	case []uint8:
		return widen(d)
	case []int16:
		return widen(d)
	case []int32:
		return widen(d)
	case []int64:
		return d
	}
	return nil
}

func widen[T uint8 | int16 | int32](in []T) []int64 {
	out := make([]int64, len(in))
	for i, v := range in {
		out[i] = int64(v)
	}
	return out
}

// addMedMNIST adds the cases of a part, whose images are written from their place in the array.
func (c *Cohort) addMedMNIST(p *medmnistPart, voxels []uint8) {
	n := p.size[0] * p.size[1] * p.size[2]
	for k := range p.cases {
		one := Case{DraftCase: task.DraftCase{ID: fmt.Sprintf("%s_%05d", p.name, k)}}
		for l := range c.Labels {
			one.Targets = append(one.Targets, int(p.targets[k*len(c.Labels)+l]))
		}
		for ch := range p.channels {
			from := voxels[k*n*p.channels:][:n*p.channels]
			one.Images = append(one.Images, File{write: func(_ context.Context, path string) error {
				data := make([]int16, n)
				for i := range data {
					data[i] = int16(from[i*p.channels+ch])
				}
				g := volume.Geometry{Size: p.size, Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
				return nifti.WriteInt16(path, g, data)
			}})
		}
		switch p.name {
		case "test":
			c.Test = append(c.Test, one)
			continue
		case "val":
			c.Validation = append(c.Validation, one.ID)
		}
		c.Training = append(c.Training, one)
	}
}
