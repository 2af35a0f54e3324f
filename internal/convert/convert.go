// Package convert turns files in other layouts into a raw task: a table of labels next to a folder of images, one
// folder per class, a data set of nnU-Net v2, of the Medical Segmentation Decathlon or of MedMNIST.
//
// Each layout has a function that looks at the source and returns a Cohort, or every problem in one error. Cohort.Write
// makes the task of it, whole or not at all. The source is only read.
package convert

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// Cohort is what a source holds, ready to be written as a raw task.
type Cohort struct {
	Format      string   // the layout, as uc convert calls it
	Source      string   // the file or folder that it was made from
	Name        string   // a name for the task, from that of the source
	ID          int      // of the task in its own layout; 0 if it has none
	Description string   // for dataset.json
	Modalities  []string // names
	Labels      []task.Label
	ROILabels   []string // names of the mask values 0, 1, ...; nil without masks
	Training    []Case
	Test        []Case        // external test set, with classes
	Validation  []string      // training cases that validate fold 0, where the source has an official split
	Notes       []remedy.Note // what people should know before they agree
	Warnings    []string      // what they may not have meant

	inputs []string // what the cohort was made from in addition to the files of its cases: digests, options
}

// Case is one case and where its files come from.
type Case struct {
	task.DraftCase
	Images []File // one per modality
	Mask   File
}

// File is one file of the task to be.
type File struct {
	Path   string          // in the source; a folder for a DICOM series; "" for a file that is made from other data
	Volume int             // of a NIfTI with four axes, the volume to take, counted from 1; 0 for the whole file
	Values map[int16]int16 // of a mask, what to write for each value; nil to leave the file as it is

	write    func(ctx context.Context, path string) error // makes the file, as .nii.gz; nil for a file that is taken from Path
	parts    []string                                     // of a file that is made: the files it is made from, if there are some of its own
	modality string                                       // as DICOM has it: CT, MR, ...; "" if not known
}

// IsZero reports whether there is no file.
func (f File) IsZero() bool { return f.Path == "" && f.write == nil }

// ClassCount is how many cases of each part have a class.
type ClassCount struct {
	Class    string `json:"class"`
	Training int    `json:"training"`
	Test     int    `json:"test,omitempty"`
}

// Count counts the cases per class of a label, by its place in Labels.
func (c *Cohort) Count(label int) []ClassCount {
	counts := make([]ClassCount, len(c.Labels[label].Values))
	for i, name := range c.Labels[label].Values {
		counts[i].Class = name
	}
	for _, k := range c.Training {
		counts[k.Targets[label]].Training++
	}
	for _, k := range c.Test {
		counts[k.Targets[label]].Test++
	}
	return counts
}

// draft is the dataset.json of the cohort.
func (c *Cohort) draft(name string) *task.Draft {
	description := c.Description
	if description == "" {
		description = "Converted from " + filepath.Base(c.Source)
	}
	d := &task.Draft{Name: name, Description: description, Modalities: c.Modalities, Labels: c.Labels, ROILabels: c.ROILabels}
	for _, k := range c.Training {
		d.Training = append(d.Training, k.DraftCase)
	}
	for _, k := range c.Test {
		d.Test = append(d.Test, k.DraftCase)
	}
	return d
}

// cases are all cases, those for training first.
func (c *Cohort) cases() []Case { return slices.Concat(c.Training, c.Test) }

// problems gathers what is wrong with a source.
type problems []task.Problem

func (p *problems) add(id, field, message string, remedies ...remedy.Remedy) {
	*p = append(*p, task.Problem{Case: id, Field: field, Message: message, For: remedies})
}

func (p problems) err(subject string) error {
	if len(p) == 0 {
		return nil
	}
	return &task.ValidationError{Subject: subject, Problems: p}
}
