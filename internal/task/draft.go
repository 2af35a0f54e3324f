package task

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
)

// Draft is a dataset.json that is yet to be written.
type Draft struct {
	Name, Description string
	Modalities        []string
	Labels            []Label
	ROILabels         []string // names of the mask values 0, 1, ...; nil for a task without masks
	Training, Test    []DraftCase
}

// DraftCase is one case of a Draft.
type DraftCase struct {
	ID            string
	Targets       []int  // class per classification label
	Patient, Site string // "" if not known
	Covariates    []Covariate
}

// Covariate is what is known of a case besides its classes: a number if Value is a float64, else a text.
type Covariate struct {
	Name  string
	Value any
}

// Problems are the rules that the names in the draft break: those of its classification labels, classes and cases.
func (d *Draft) Problems() []Problem {
	var p problems
	var earlier []Label
	for _, l := range d.Labels {
		switch bad := badLabel(l.Name, earlier); {
		case l.Name == "image", l.Name == "label", l.Name == patientField, l.Name == siteField, l.Name == covariatesField:
			p.add("", l.Name, "the name of a field that every case may have; rename the label")
		case bad != "":
			p.add("", QuoteID(l.Name), "the label's name %s; rename it", bad)
		}
		for class, bad := range badClasses(l.Values) {
			if bad != "" {
				p.add("", l.Name, "the name of class %d, %q, %s; choose another name", class, l.Values[class], bad)
			}
		}
		earlier = append(earlier, l)
	}
	seen := map[string]string{}
	for _, cases := range [][]DraftCase{d.Training, d.Test} {
		for _, c := range cases {
			if bad := badID(c.ID); bad != "" {
				p.add(QuoteID(c.ID), "", "the name of the case %s; choose another", bad)
			}
			key := strings.ToLower(c.ID)
			switch other, twice := seen[key]; {
			case twice && other == c.ID:
				p.add(c.ID, "", "two cases have this name; rename one")
			case twice:
				p.add(c.ID, "", "differs from case %s in small and capital letters alone, which some file systems take for one name; rename one", QuoteID(other))
			}
			seen[key] = c.ID
		}
	}
	return p
}

// Write writes the draft as dataset.json into dir. The images and masks are those that Load finds by the cases' names
// in imagesTr, labelsTr, imagesTs and labelsTs.
func (d *Draft) Write(dir string) error {
	str := func(s string) node { return node{kind: kindString, text: s} }
	number := func(v string) node { return node{kind: kindNumber, text: v} }
	object := func(names []string) node {
		n := node{kind: kindObject}
		for i, name := range names {
			n.members = append(n.members, member{strconv.Itoa(i), str(name)})
		}
		return n
	}
	labels := node{kind: kindArray}
	for _, l := range d.Labels {
		ordinal := node{kind: kindFalse}
		if l.Ordinal {
			ordinal.kind = kindTrue
		}
		labels.items = append(labels.items, node{kind: kindObject, members: []member{{"name", str(l.Name)}, {"ordinal", ordinal}, {"values", object(l.Values)}}})
	}
	cases := func(list []DraftCase, images, masks string) node {
		n := node{kind: kindArray}
		for _, c := range list {
			item := node{kind: kindObject, members: []member{{"image", str("./" + images + "/" + c.ID + writtenExtension)}}}
			add := func(name string, value node) { item.members = append(item.members, member{name, value}) }
			if d.ROILabels != nil {
				add("label", str("./"+masks+"/"+c.ID+writtenExtension))
			}
			for i, target := range c.Targets {
				add(d.Labels[i].Name, number(strconv.Itoa(target)))
			}
			if c.Patient != "" {
				add(patientField, str(c.Patient))
			}
			if c.Site != "" {
				add(siteField, str(c.Site))
			}
			if len(c.Covariates) > 0 {
				known := node{kind: kindObject}
				for _, v := range c.Covariates {
					value := str(fmt.Sprint(v.Value))
					if f, ok := v.Value.(float64); ok {
						value = number(strconv.FormatFloat(f, 'g', -1, 64))
					}
					known.members = append(known.members, member{v.Name, value})
				}
				add(covariatesField, known)
			}
			n.items = append(n.items, item)
		}
		return n
	}
	document := node{kind: kindObject, members: []member{
		{"name", str(d.Name)}, {"description", str(d.Description)}, {"tensorImageSize", str("3D")},
		{"modality", object(d.Modalities)}, {"classification_labels", labels},
	}}
	if d.ROILabels != nil {
		document.members = append(document.members, member{"labels", object(d.ROILabels)})
	}
	document.members = append(document.members,
		member{"numTraining", number(strconv.Itoa(len(d.Training)))}, member{"numTest", number(strconv.Itoa(len(d.Test)))},
		member{"training", cases(d.Training, ImagesDir, LabelsDir)}, member{"test", cases(d.Test, TestImagesDir, TestLabelsDir)})
	return atomicfile.WriteBytes(filepath.Join(dir, DatasetFile), append(document.format(), '\n'))
}
