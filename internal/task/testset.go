package task

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Folders of an external test set.
const (
	TestImagesDir = "imagesTs"
	TestLabelsDir = "labelsTs"
)

// test reads the entries of "test" that carry classes: the cases of an external test set, which follow the rules of
// training cases. Other entries are not looked at, as in the reference. What is wrong with them does not concern
// planning and training, and is kept apart.
func (v *validator) test(n *node) {
	if n == nil || n.kind != kindArray {
		return
	}
	t := &validator{dir: v.dir, generated: v.generated, files: v.files, declared: v.declared,
		out: Dataset{Modalities: v.out.Modalities, Labels: v.out.Labels, ROILabels: v.out.ROILabels}}
	all := entries{list: "test", folder: TestImagesDir, nameless: "test ", twice: " in test", seen: map[string]int{}}
	for i := range n.items {
		item := &n.items[i]
		if !slices.ContainsFunc(v.out.Labels, func(l Label) bool { return l.Name != "" && item.get(l.Name) != nil }) {
			continue
		}
		c, id, named := t.entry(i, item, &all)
		if !named {
			continue
		}
		t.testMask(&c, id, item, v.out.HasMasks)
		t.out.Cases = append(t.out.Cases, c)
	}
	t.problems = append(append(t.problems, t.lost...), t.unclear...)
	v.out.Test, v.out.testProblems = t.out.Cases, t.problems
}

// testMask finds the mask of a test case, which it has if the training cases have one.
func (v *validator) testMask(c *Case, id string, item *node, wanted bool) {
	n := item.get("label")
	switch {
	case wanted && n == nil:
		v.add(id, "label", "line %d: missing, while the training cases have masks; give every test case its mask", item.line)
	case !wanted && n != nil:
		v.add(id, "label", "line %d: a mask is given, while the training cases have none; remove the field", n.line)
	case wanted:
		if mask, _ := v.path(item, "label", id); mask != "" {
			v.mask(c, id, mask, TestLabelsDir, n.line)
		}
	}
}

// Test returns the cases of the external test set: the entries of "test" in dataset.json that carry classes. None, and
// any broken rule, is an error.
func (t *Task) Test() ([]Case, error) {
	path := filepath.Join(t.Dir, DatasetFile)
	if err := t.Dataset.testProblems.err(path + ": test"); err != nil {
		return nil, err
	}
	if len(t.Dataset.Test) == 0 {
		return nil, fmt.Errorf(`%s: test lists no case with classes; expected entries such as {"image": "./%s/case_001.nii.gz", "%s": 0}`,
			path, TestImagesDir, t.Dataset.Labels[0].Name)
	}
	return t.Dataset.Test, nil
}
