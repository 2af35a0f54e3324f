package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/universal-classifier/uc/internal/convert"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// convertFlags are those of every command that writes a raw task.
type convertFlags struct {
	dataRoot  string
	task      string
	name      string
	copy      bool
	overwrite bool
	yes       bool
	json      bool
}

func (f *convertFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	dataRootFlag(cmd, &f.dataRoot)
	fs.StringVarP(&f.task, "task", "t", "", "`ID` of the new task, or its full name (Task001_X) (default: that of the source, or the first that is free)")
	fs.StringVar(&f.name, "name", "", "`NAME` of the new task, without its id (default: that of the source)")
	fs.BoolVar(&f.copy, "copy", false, "copy the files, rather than link to them (hard links) where the file system allows it")
	fs.BoolVar(&f.overwrite, "overwrite", false, "replace a task that was converted earlier, from other inputs; a task that uc convert did not make always stays")
	fs.BoolVarP(&f.yes, "yes", "y", false, "write the task without asking")
	jsonFlag(cmd, &f.json)
}

// target reads -t and --name.
func (f *convertFlags) target() (id int, name string, err error) {
	if f.task == "" {
		return -1, f.name, nil
	}
	if id, err = strconv.Atoi(f.task); err == nil && id >= 0 {
		return id, f.name, nil
	}
	id, ok := task.ParseName(f.task)
	_, name, _ = strings.Cut(f.task, "_")
	switch {
	case !ok:
		return 0, "", usagef("flag -t: %q is neither a whole number nor a full name such as Task001_X", f.task)
	case f.name != "" && f.name != name:
		return 0, "", usagef("-t %s and --name %s give two names; leave one out", f.task, f.name)
	}
	return id, name, nil
}

// convertedTask is what the commands print with --json.
type convertedTask struct {
	Task      string           `json:"task"`
	Folder    string           `json:"folder"`
	Written   bool             `json:"written"` // false if it was there, made from the same inputs
	Cases     int              `json:"cases"`
	TestCases int              `json:"test_cases"`
	Labels    []convertedLabel `json:"classification_labels"`
	Warnings  []string         `json:"warnings"`
}

type convertedLabel struct {
	Name    string               `json:"name"`
	Classes []convert.ClassCount `json:"classes"`
}

// run reads a cohort, shows what would be written, asks, and writes it.
func (f *convertFlags) run(cmd *cobra.Command, read func(context.Context, progress.Reporter) (*convert.Cohort, error)) error {
	id, name, err := f.target()
	if err != nil {
		return err
	}
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	c, err := read(cmd.Context(), d)
	if err != nil {
		return err
	}
	target, err := c.Target(folders, id, name, f.overwrite)
	if err != nil {
		return err
	}
	d.Close()
	for _, w := range c.Warnings {
		d.Warn("%s", w)
	}
	if err := summarise(hints{cmd}, cmd.ErrOrStderr(), c, target); err != nil {
		return err
	}
	r := convertedTask{Task: target.Name, Folder: target.Dir, Cases: len(c.Training), TestCases: len(c.Test), Warnings: append([]string{}, c.Warnings...)}
	for i, l := range c.Labels {
		r.Labels = append(r.Labels, convertedLabel{l.Name, c.Count(i)})
	}
	if !target.UpToDate {
		if err := f.confirm(cmd, target); err != nil {
			return err
		}
		w, err := c.Write(cmd.Context(), target, f.copy, d)
		d.Close()
		if err != nil {
			return err
		}
		r.Written = true
		d.Note("%s", placed(w, f.copy))
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), r)
	}
	return f.print(cmd.OutOrStdout(), target)
}

// placed says how the files came into the task.
func placed(w *convert.Written, copyAll bool) string {
	var parts []string
	if w.Linked > 0 {
		parts = append(parts, fmt.Sprintf("%d files linked to those of the source", w.Linked))
	}
	if w.Copied > 0 && copyAll {
		parts = append(parts, fmt.Sprintf("%d files copied", w.Copied))
	} else if w.Copied > 0 {
		parts = append(parts, fmt.Sprintf("%d files copied, as the file system makes no hard link to them", w.Copied))
	}
	if w.Converted > 0 {
		parts = append(parts, fmt.Sprintf("%d files written again", w.Converted))
	}
	return strings.Join(parts, ", ")
}

func (f *convertFlags) print(w io.Writer, t *convert.Target) error {
	if t.UpToDate {
		fmt.Fprintf(w, "%s: up to date, made from the same inputs\n", printable(t.Dir))
	} else {
		fmt.Fprintf(w, "%s\n", printable(t.Dir))
	}
	root := ""
	if f.dataRoot != "" {
		root = "--data-root " + printable(f.dataRoot) + " "
	}
	id, _ := task.ParseName(t.Name)
	_, err := fmt.Fprintf(w, "\nNext:\n  uc plan-and-preprocess %s-t %d --verify_dataset_integrity\n", root, id)
	return err
}

// confirm asks on a terminal; elsewhere --yes has to be given.
func (f *convertFlags) confirm(cmd *cobra.Command, t *convert.Target) error {
	if f.yes {
		return nil
	}
	in := cmd.InOrStdin()
	file, isFile := in.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return errors.New("nothing was written, as there is no terminal to ask for consent; add --yes if the above is right")
	}
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	fmt.Fprintf(cmd.ErrOrStderr(), "Write %s? [y/N] ", t.Name)
	select {
	case <-cmd.Context().Done():
		return cmd.Context().Err()
	case a := <-answer:
		if a != "y" && a != "yes" {
			return errors.New("nothing was written")
		}
	}
	return nil
}

// summarise shows what a cohort is.
func summarise(h hints, w io.Writer, c *convert.Cohort, t *convert.Target) error {
	var b strings.Builder
	verb := "to be written to " + t.Dir
	switch {
	case t.UpToDate:
		verb = "already in " + t.Dir
	case t.Replaces:
		verb = "to replace what lies in " + t.Dir
	}
	fmt.Fprintf(&b, "%s: %d cases", t.Name, len(c.Training))
	if len(c.Test) > 0 {
		fmt.Fprintf(&b, " and %d of an external test set", len(c.Test))
	}
	fmt.Fprintf(&b, " from %s, %s\n", filepath.Base(c.Source), verb)
	line := func(name, text string) { fmt.Fprintf(&b, "  %s: %s\n", name, text) }
	line(words.CountOf(len(c.Modalities), "modality", "modalities"), strings.Join(c.Modalities, ", "))
	if c.ROILabels == nil {
		line("masks", "none, the whole image is the region of interest")
	} else {
		line("masks", strings.Join(c.ROILabels[1:], ", "))
	}
	if len(c.Validation) > 0 {
		line("fold 0", fmt.Sprintf("the official split, %d cases train and %d validate", len(c.Training)-len(c.Validation), len(c.Validation)))
	}
	aboutCases(c, line)
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "  %s\n", h.add(note.Text, note.For))
	}
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	head := "  label\tclass\t\tcases"
	if len(c.Test) > 0 {
		head += "\ttest"
	}
	fmt.Fprintln(table, head)
	for i, l := range c.Labels {
		for class, n := range c.Count(i) {
			fmt.Fprintf(table, "  %s\t%d\t%s\t%d", task.QuoteID(l.Name), class, task.QuoteID(n.Class), n.Training)
			if len(c.Test) > 0 {
				fmt.Fprintf(table, "\t%d", n.Test)
			}
			fmt.Fprintln(table)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}

// aboutCases counts patients, sites and covariates.
func aboutCases(c *convert.Cohort, line func(name, text string)) {
	patients, sites := map[string]int{}, map[string]int{}
	var covariates []string
	for _, k := range append(slices.Clone(c.Training), c.Test...) {
		if k.Patient != "" {
			patients[k.Patient]++
		}
		if k.Site != "" {
			sites[k.Site]++
		}
		for _, v := range k.Covariates {
			if !slices.Contains(covariates, v.Name) {
				covariates = append(covariates, v.Name)
			}
		}
	}
	if len(patients) > 0 {
		several := 0
		for _, n := range patients {
			if n > 1 {
				several++
			}
		}
		line("patients", fmt.Sprintf("%d, of whom %d have several scans", len(patients), several))
	}
	if len(sites) > 0 {
		var names []string
		for name, n := range sites {
			names = append(names, fmt.Sprintf("%s (%d)", name, n))
		}
		slices.Sort(names)
		line("sites", strings.Join(names, ", "))
	}
	if len(covariates) > 0 {
		line("covariates", strings.Join(covariates, ", "))
	}
}
