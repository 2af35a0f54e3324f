package cli

import "github.com/spf13/cobra"

// convertCommand is the parent of the commands that make a raw task, or images for one, of files in other layouts.
func convertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "convert FORMAT",
		Short: "Turn a hospital's export, a spreadsheet or a public data set into a raw task",
		Long: `Turns files in other layouts into what uc plan-and-preprocess reads: a raw task of images, masks and dataset.json. Each
format is a command of its own. The source is never changed.`,
		Example: "  uc convert table labels.csv --images scans -t 1 --name Nodules",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown format %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(convertDICOMCommand(), convertTableCommand(), convertFoldersCommand(), convertNNUNetCommand(), convertMSDCommand(), convertMedMNISTCommand())
	return cmd
}
