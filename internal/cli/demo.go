package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/task"
)

func demoCommand() *cobra.Command {
	var o phantom.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo DIR",
		Short: "Write a small cohort of phantom scans to try everything on",
		Long: `Writes a raw task of artificial scans under the data root DIR: NIfTI images of an organ with texture, noise and, in
half of the cases, lesions; masks with two labels; two classification labels (Lesion: absent, present; Size: small,
medium, large); spacings that differ between cases; and held-out cases with their classes in truthTs.csv.`,
		Example: `  uc demo demo
  uc demo demo --cases 80 --seed 7`,
		Args: exactArgs("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Cases < 1 || o.TestCases < 0 {
				return usagef("flags --cases and --test-cases: %d and %d cases make no cohort", o.Cases, o.TestCases)
			}
			if o.TestCases == 0 {
				o.TestCases = -1 // none, where 0 would mean the default
			}
			d := displayOf(cmd)
			err := phantom.Generate(cmd.Context(), args[0], o, d)
			d.Close()
			if err != nil {
				return err
			}
			folders, err := task.ResolveFolders(args[0])
			if err != nil {
				return err
			}
			out, dir := cmd.OutOrStdout(), folders.RawTask(o.TaskName())
			if asJSON {
				return printJSON(out, map[string]any{"task": o.TaskName(), "folder": dir, "cases": o.Cases, "test_cases": max(o.TestCases, 0)})
			}
			id, _ := task.ParseName(o.TaskName())
			fmt.Fprintf(out, "%s: %d cases, %d held out\n\nNext:\n", dir, o.Cases, max(o.TestCases, 0))
			fmt.Fprintf(out, "  uc plan-and-preprocess --data-root %s -t %d -tf 2 -tl 2 --verify_dataset_integrity\n", args[0], id)
			fmt.Fprintf(out, "  uc train --data-root %s 3d_fullres ClassifierTrainer %d 0 --epochs 10 --iterations 25 --val-iterations 4 --batch-size 8\n", args[0], id)
			_, err = fmt.Fprintf(out, "  uc predict --data-root %s -i %s -s %s -o %s -t %d -f 0\n  uc evaluate --data-root %s %d\n",
				args[0], filepath.Join(dir, "imagesTs"), filepath.Join(dir, "labelsTs"), filepath.Join(args[0], "predictions"), id, args[0], id)
			return err
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&o.Cases, "cases", 48, "`N` cases to train on")
	fs.IntVar(&o.TestCases, "test-cases", 12, "`N` held-out cases")
	fs.Uint64Var(&o.Seed, "seed", 0, "the same `SEED` gives the same scans")
	jsonFlag(cmd, &asJSON)
	return cmd
}
