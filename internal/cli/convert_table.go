package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/convert"
	"github.com/universal-classifier/uc/internal/progress"
)

// tableFlags say what the columns of a table mean.
type tableFlags struct {
	convertFlags
	o convert.TableOptions
}

// addColumns adds the flags of every command that reads a table of labels.
func (f *tableFlags) addColumns(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.o.ID, "id", "", "`COLUMN` that names the cases (default: the one whose cells name images)")
	fs.StringVar(&f.o.Patient, "patient", "", "`COLUMN` of the patient, whose scans stay together in the folds (default: patient, patient_id, subject, ...; - for none)")
	fs.StringVar(&f.o.Site, "site", "", "`COLUMN` of the site where the scan was made (default: site, center, hospital, ...; - for none)")
	fs.StringArrayVar(&f.o.Covariates, "covariates", nil, "`COLUMNS` with what else is known of a case, such as age and sex")
	list(fs, "covariates")
	classesFlag(cmd, &f.o.Classes)
	fs.BoolVar(&f.o.Partial, "partial", false, "leave out rows without images, masks or classes, and files without a row, and list them as warnings")
}

// classesFlag adds --classes, which orders the classes.
func classesFlag(cmd *cobra.Command, classes *[]string) {
	cmd.Flags().StringArrayVar(classes, "classes", nil, "`CLASSES` in their order, 0 first; with several labels LABEL=A,B,C for each (default: numbers in numerical, text in alphabetical order)")
	list(cmd.Flags(), "classes")
}

// fileFlags adds the flags that tell the files of a case apart.
func fileFlags(cmd *cobra.Command, modalities *[]string, masks, maskSuffix *string, maskLabels *[]string) {
	fs := cmd.Flags()
	fs.StringArrayVar(modalities, "modalities", nil, "`NAMES` of the modalities in the order of _0000, _0001, ..., or NAME=SUFFIX for files that end otherwise (CASE_t2.nii.gz: T2=_t2); "+
		"CT is normalised by Hounsfield units (default: CT if the images hold such, else unknown)")
	list(fs, "modalities")
	fs.StringVar(masks, "masks", "", "`DIR` with a mask of the region of interest for every case")
	fs.StringVar(maskSuffix, "mask-suffix", "", "`SUFFIX` of the masks' names (default: none, or _mask, _seg, _segmentation, _label, _labels, _roi)")
	fs.StringArrayVar(maskLabels, "mask-labels", nil, "`NAMES` of the mask values 1, 2, ...")
	list(fs, "mask-labels")
}

func convertTableCommand() *cobra.Command {
	var f tableFlags
	var modalities []string
	cmd := &cobra.Command{
		Use:   "table LABELS --images DIR",
		Short: "Make a raw task of a spreadsheet and a folder of images",
		Long: `Reads a table with a header and one row per case (CSV: commas, semicolons or tabs; UTF-8 or UTF-16), finds the images of
each case by its name and writes a raw task. A case's images are CASE.nii.gz, CASE_0000.nii.gz and so on for several
modalities, or the file of any name in a folder CASE; the same for .nii, .mha and .mhd; or the DICOM series in a folder
CASE, which is converted. A cell may also hold the path of an image within DIR. Masks are found likewise.

The classes and how many cases each has are shown and, on a terminal, confirmed. Everything that is missing, surplus or
double is listed at once, and nothing is written then. The source is never changed.`,
		Example: `  uc convert table labels.csv --images scans -t 1 --name Nodules
  uc convert table labels.csv --images scans --masks masks -t 1 --name Nodules --id case --labels Malignant Size --patient patient --site hospital --covariates age sex
  uc convert table labels.csv --images scans -t 2 --labels grade --classes low medium high --modalities T2=_t2 ADC=_adc --yes`,
		Args: exactArgs("LABELS"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.o.Images == "" {
				return usagef("missing --images DIR")
			}
			if f.o.Masks == "" && (f.o.MaskSuffix != "" || len(f.o.MaskLabels) > 0) {
				return usagef("missing --masks DIR, which --mask-suffix and --mask-labels belong to")
			}
			if f.o.Modalities, err = convert.ParseModalities(modalities); err != nil {
				return usagef("flag --modalities: %v", err)
			}
			f.o.Table = args[0]
			return f.run(cmd, func(ctx context.Context, r progress.Reporter) (*convert.Cohort, error) {
				return convert.Table(ctx, f.o, r)
			})
		},
	}
	cmd.Flags().StringVar(&f.o.Images, "images", "", "`DIR` with the images, also in folders below; required")
	fileFlags(cmd, &modalities, &f.o.Masks, &f.o.MaskSuffix, &f.o.MaskLabels)
	cmd.Flags().StringArrayVar(&f.o.Labels, "labels", nil, "`COLUMNS` of the classification labels (default: the only column that means nothing else)")
	list(cmd.Flags(), "labels")
	f.addColumns(cmd)
	f.add(cmd)
	return cmd
}
