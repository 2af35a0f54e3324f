package reproduce

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// Finding is one thing that a lock names, compared with what is there.
type Finding struct {
	What string `json:"what"`
	Same bool   `json:"same"`
	// Text says how it differs, or what of it was not looked at.
	Text string `json:"text,omitempty"`
	// Data is set for what the same results cannot be had without; the rest only decides whether they are the same to
	// the last bit.
	Data bool `json:"data"`
}

// Check compares a lock with the task and the program that are there. The scans are read once.
func Check(ctx context.Context, l *Lock, s Source, r progress.Reporter) ([]Finding, error) {
	ids := map[string]bool{}
	for _, c := range l.Cases {
		ids[c.ID] = true
	}
	now, err := s.cases(ctx, ids, r)
	if err != nil {
		return nil, err
	}
	listing, plans, _, err := s.digests()
	if err != nil {
		return nil, err
	}
	findings := []Finding{
		compared("scans", l.Cases, now, func(c Case) string { return c.Files }),
		compared("preprocessed cases", l.Cases, now, func(c Case) string { return c.Arrays }),
		compared("classes", l.Cases, now, func(c Case) string { return fmt.Sprint(c.Targets) }),
		s.listed(l, listing),
		{What: "plans", Same: plans == l.Plans, Data: true, Text: unless(plans == l.Plans, "the task was planned otherwise")},
	}
	for _, f := range l.Folds {
		findings = append(findings, s.divided(f, l.Cases))
	}
	return append(findings, l.Program.compare(program(s.Version))...), nil
}

func unless(same bool, text string) string {
	if same {
		return ""
	}
	return text
}

// compared compares a property of the cases. One that is empty on a side was not there to be read.
func compared(what string, locked, now []Case, of func(Case) string) Finding {
	there := map[string]Case{}
	for _, c := range now {
		there[c.ID] = c
	}
	var gone, differ, unread []string
	for _, c := range locked {
		n, ok := there[c.ID]
		switch before, after := of(c), of(n); {
		case !ok:
			gone = append(gone, c.ID)
		case before == "" || after == "":
			unread = append(unread, c.ID)
		case before != after:
			differ = append(differ, c.ID)
		}
	}
	var parts []string
	for _, p := range []struct {
		text  string
		cases []string
	}{{"differ: %s", differ}, {"are not there: %s", gone}, {"could not be compared: %s", unread}} {
		if len(p.cases) > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d "+p.text, len(p.cases), len(locked), words.Some(p.cases)))
		}
	}
	return Finding{What: what, Same: len(differ)+len(gone) == 0, Text: strings.Join(parts, "; "), Data: true}
}

// listed compares dataset.json: its classes of the locked cases decide, the rest may change.
func (s Source) listed(l *Lock, digest string) Finding {
	f := Finding{What: task.DatasetFile, Same: digest == l.Dataset, Data: true}
	if f.Same {
		return f
	}
	if digest == "" || l.Dataset == "" {
		f.Same, f.Text = true, "could not be compared: it is not there, or was not"
		return f
	}
	today, err := task.ListedToday(s.Folders, s.Task)
	if err != nil {
		f.Text = err.Error()
		return f
	}
	var differ []string
	for _, c := range l.Cases {
		if !slices.Equal(today.Targets[c.ID], c.Targets) {
			differ = append(differ, c.ID)
		}
	}
	if len(differ) > 0 {
		f.Text = fmt.Sprintf("%d of %d cases have other classes, or are not listed: %s", len(differ), len(l.Cases), words.Some(differ))
		return f
	}
	f.Same, f.Text = true, "another text, with the same classes of these cases"
	return f
}

// divided compares the cases of a fold with those that a training would use.
func (s Source) divided(f Fold, cases []Case) Finding {
	finding := Finding{What: "cases of fold " + f.Fold, Data: true}
	number, err := task.ParseFold(f.Fold)
	if f.Fold == task.FoldAll {
		finding.Same = true // every case
		return finding
	}
	var splits []split.Split
	if err == nil {
		var ids []string
		for _, c := range cases {
			ids = append(ids, c.ID)
		}
		splits, err = split.ReadSplits(filepath.Join(s.Folders.PreprocessedTask(s.Task), split.SplitsFile), ids)
	}
	switch {
	case err != nil:
		finding.Text = err.Error()
	case number >= len(splits): // drawn from the number of the fold
		finding.Same, finding.Text = true, "beyond the folds of the file: compared after the training"
	default:
		of := splits[number]
		finding.Same = sameCases(of.Train, f.Training) && sameCases(of.Val, f.Validation)
		finding.Text = unless(finding.Same, split.SplitsFile+" divides the cases otherwise")
	}
	return finding
}

// sameCases compares lists whatever their order.
func sameCases(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// compare finds what keeps two programs from giving the same bits.
func (p Program) compare(now Program) []Finding {
	finding := func(what, before, after string) Finding {
		return Finding{What: what, Same: before == after, Text: unless(before == after, fmt.Sprintf("%s -> %s", before, after))}
	}
	binary := Finding{What: "program file", Same: p.Binary == now.Binary && p.Binary != ""}
	binary.Text = unless(binary.Same, "another build")
	return []Finding{
		finding("program version", p.Version, now.Version),
		binary,
		finding("system", p.OS+"/"+p.Arch, now.OS+"/"+now.Arch),
		finding("kernels of the processor", p.CPU, now.CPU),
	}
}

// DataDiffer reports whether the same results cannot be had from what is there.
func DataDiffer(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Data && !f.Same })
}

// bitsPromised reports whether the program is the one that gives the same bits.
func bitsPromised(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool { return !f.Same })
}
