package cli

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/marks"
	"github.com/universal-classifier/uc/internal/view"
)

func viewCommand() *cobra.Command {
	var f evaluateFlags
	var port int
	var table string
	cmd := &cobra.Command{
		Use:   "view TASK",
		Short: "Look at the evaluated cases with their scans in full resolution, in a browser on this computer, and mark cases",
		Long: `Measures the trained folds of a TASK as uc evaluate does and serves the same page with the scans as they are stored, to this
computer alone (127.0.0.1), until Ctrl-C. Prints the address to open in a browser; it holds a secret, so that nobody else on the
computer finds the page. Writes nothing but a table of marks: a reader may mark cases as relabel, whose class is wrong, or exclude,
with a comment. Heat maps of what the network looked at are made when they are asked for. The table is read again at the next start; uc plan-and-preprocess --exclude reads it, too.`,
		Example: `  uc view --data-root /path/to/data 4
  uc view 4 --test -f 0 1 2 3 4
  uc view 4 --port 8080 --marks review.csv
  uc plan-and-preprocess -t 4 --exclude review.csv`,
		Args: exactArgs("TASK"),
		RunE: func(cmd *cobra.Command, args []string) error { return runView(cmd, &f, args, port, table) },
	}
	fs := cmd.Flags()
	fs.IntVar(&port, "port", 0, "`PORT` of the page (default: any that is free)")
	fs.StringVar(&table, "marks", "", "table `FILE` (CSV) of the marks (default: evaluation/"+marks.File+" in the model's folder)")
	fs.BoolVar(&f.test, "test", false, "show the external test set of the task instead of its cross-validation")
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` to pool (default: all that are validated, without all), or, with --test, to average; give TASK before it")
	list(fs, "folds")
	f.model.add(cmd)
	groupFlags(cmd, &f)
	dataRootFlag(cmd, &f.dataRoot)
	deviceFlags(cmd, &f.device, &f.threads, &f.gpu)
	noWaitFlag(cmd, &f.noWait)
	return cmd
}

func runView(cmd *cobra.Command, f *evaluateFlags, args []string, port int, table string) error {
	if port < 0 || port > 65535 {
		return usagef("flag --port: %d, expected 0 to 65535", port)
	}
	f.heat = true
	r, dir, incomplete, err := f.measure(cmd, args)
	if err != nil {
		return err
	}
	t, cases, err := f.casesOf(r)
	if err != nil {
		return fmt.Errorf("the scans are not at hand: %w", err)
	}
	if table == "" {
		table = filepath.Join(dir, "evaluation", marks.File)
		if err := atomicfile.MkdirAll(filepath.Dir(table)); err != nil {
			return err
		}
	}
	marked, err := marks.Open(table)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range r.Predictions {
		known[p.Case] = true
	}
	o := view.Options{Report: r, Details: detailsOf(cases), Masked: t.Dataset.HasMasks, Modalities: t.Dataset.Modalities, Marks: marked}
	for _, c := range cases {
		if known[c.ID] {
			o.Cases = append(o.Cases, c)
		}
	}
	d := displayOf(cmd)
	defer d.Close()
	heat, done, err := f.heats(cmd, r, t, d)
	if err != nil {
		d.Warn("there are no heat maps: %v", err)
	} else {
		defer done()
		o.Heat = heat
	}
	s, err := view.Listen(port, o)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "Open this address in a browser on this computer; Ctrl-C ends it:\n  %s\nMarks are kept in %s\n", s.URL(), printable(table)); err != nil {
		return err
	}
	return cmp.Or(s.Run(cmd.Context()), incomplete)
}
