package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/task"
)

// pageFlag adds --report, which puts the scans on the page of an evaluation.
func pageFlag(cmd *cobra.Command, scans, noHeat *bool) {
	cmd.Flags().BoolVar(noHeat, "no-heat", false, "with --report: no maps of what the network looked at, which take a pass of the network for every case")
	cmd.Flags().BoolVar(scans, "report", false, fmt.Sprintf("put the scans on %s: per case a small copy with the region of interest and a heat map, at most %d MB in all. "+
		"Reads every image of the evaluated cases and runs the network on it", report.PageFile, report.MaxBytes/1_000_000))
}

// page makes what report.html shows in addition to the numbers: of each case what dataset.json says, and with --report
// the scan. Where the raw task is not at hand, only the numbers are shown.
func (f *evaluateFlags) page(cmd *cobra.Command, r *evaluate.Report) (*report.Page, error) {
	if f.predictions != "" && !f.test { // of whatever cases
		return &report.Page{}, nil
	}
	d := displayOf(cmd)
	defer d.Close()
	t, cases, err := f.casesOf(r)
	if err != nil {
		if f.scans {
			d.Warn("the page has no scans: %v", err)
		}
		return &report.Page{}, nil
	}
	p := &report.Page{Details: detailsOf(cases)}
	if f.scans {
		err = f.addScans(cmd, p, r, t, cases, d)
	}
	return p, err
}

// casesOf finds the cases of a report in the raw task.
func (f *evaluateFlags) casesOf(r *evaluate.Report) (*task.Task, []task.Case, error) {
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return nil, nil, err
	}
	t, err := task.Load(folders, r.Task)
	if err != nil {
		return nil, nil, err
	}
	if !r.External {
		return t, t.Dataset.Cases, nil
	}
	cases, err := t.Test()
	return t, cases, err
}

// detailsOf are patient, site and covariates of the cases.
func detailsOf(cases []task.Case) map[string][]report.Detail {
	all := map[string][]report.Detail{}
	for _, c := range cases {
		var of []report.Detail
		add := func(name, text string) {
			if text != "" {
				of = append(of, report.Detail{Name: name, Text: text})
			}
		}
		add("patient", c.Patient)
		add("site", c.Site)
		var names []string
		for name := range c.Covariates {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			add(name, fmt.Sprint(c.Covariates[name]))
		}
		all[c.ID] = of
	}
	return all
}

// addScans copies the scans of the report's cases to the page, those that are looked at first before the others.
func (f *evaluateFlags) addScans(cmd *cobra.Command, p *report.Page, r *evaluate.Report, t *task.Task, cases []task.Case, d progress.Reporter) error {
	room, err := report.Room(r, p)
	if err != nil {
		return err
	}
	by := map[string]task.Case{}
	for _, c := range cases {
		by[c.ID] = c
	}
	var order []task.Case
	for _, id := range report.Order(r) {
		if c, known := by[id]; known {
			order = append(order, c)
		}
	}
	o := preview.Options{Bytes: room}
	if f.heat {
		heat, done, err := f.heats(cmd, r, t, d)
		if err != nil {
			d.Warn("the page has no heat maps: %v", err)
		} else {
			defer done()
			o.Heat = heat
		}
	}
	scans, err := preview.Make(cmd.Context(), order, t.Dataset.HasMasks, t.Dataset.Modalities, o, d)
	if err != nil {
		return err
	}
	p.Scans = map[string]*preview.Case{}
	for i, c := range order {
		if scans[i] != nil {
			p.Scans[c.ID] = scans[i]
		}
	}
	return nil
}
