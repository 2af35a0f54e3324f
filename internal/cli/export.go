package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/export"
	"github.com/universal-classifier/uc/internal/model"
)

type exportFlags struct {
	dataRoot   string
	task       string
	format     string
	out        string
	model      modelFlags
	folds      []string
	checkpoint string
	ensemble   bool
	json       bool
}

func exportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export -t TASK --format FORMAT -o OUT",
		Short: "Write a trained model in the format of another program",
		Long: `Writes the trained folds of a task in a format that other programs read:
` + formatList() + `
OUT is a file if it ends as files of the format do, else a folder with one file per fold. --ensemble puts all folds into
one file. For the reference, OUT becomes a folder of results, which serves as artifact too; only this format writes pickles.`,
		Example: `  uc export --data-root /path/to/data -t 4 --format pytorch -f 0 -o fold_0.pth
  uc export -t 4 --format safetensors -o weights
  uc export -t 4 --format pytorch -f 0 1 2 3 4 --ensemble -o ensemble.pth`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runExport(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.task, "task_name", "t", "", "`TASK`, an id (4, 004) or a full name (Task004_X); required unless --model names a folder")
	fs.StringVar(&f.format, "format", "", "`FORMAT`: "+strings.Join(export.Names(), ", ")+"; required")
	fs.StringVarP(&f.out, "output", "o", "", "`FILE` or folder to write; required")
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` to export, numbers or all (default: the trained ones)")
	list(fs, "folds")
	fs.BoolVar(&f.ensemble, "ensemble", false, "put all folds into one file")
	f.model.addFolder(cmd)
	fs.StringVar(&f.checkpoint, "chk", checkpoint.Final, "`NAME` of the checkpoint")
	dataRootFlag(cmd, &f.dataRoot)
	jsonFlag(cmd, &f.json)
	return cmd
}

func formatList() string {
	var b strings.Builder
	for _, f := range export.Formats {
		fmt.Fprintf(&b, "  %-12s %s\n", f.Name, f.Short)
	}
	return b.String()
}

// exported is what uc export --json prints.
type exported struct {
	Task   string   `json:"task"`
	Format string   `json:"format"`
	Folds  []string `json:"folds"`
	Files  []string `json:"files"`
}

func runExport(cmd *cobra.Command, f *exportFlags) error {
	for _, required := range []struct{ flag, value string }{{"--format FORMAT", f.format}, {"-o OUT", f.out}} {
		if required.value == "" {
			return usagef("missing %s", required.flag)
		}
	}
	format, ok := export.Find(f.format)
	if !ok {
		return usagef("unknown format %q: expected one of %s", f.format, strings.Join(export.Names(), ", "))
	}
	if err := f.model.checkFolder(f.task); err != nil {
		return err
	}
	if err := checkFolds(f.folds); err != nil {
		return err
	}
	dir, err := f.model.folder(f.dataRoot, f.task)
	if err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	m, err := model.Open(dir, model.Options{Folds: f.folds, Checkpoint: f.checkpoint}, d)
	if err != nil {
		return err
	}
	files, err := format.Write(cmd.Context(), f.out, m, f.ensemble, d)
	d.Close()
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), exported{m.Plans.TaskName, format.Name, m.Names(), files})
	}
	for _, path := range files {
		fmt.Fprintln(cmd.OutOrStdout(), path)
	}
	return nil
}
