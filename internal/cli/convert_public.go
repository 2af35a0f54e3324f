package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/convert"
	"github.com/universal-classifier/uc/internal/progress"
)

func convertMedMNISTCommand() *cobra.Command {
	var f convertFlags
	var o convert.MedMNISTOptions
	cmd := &cobra.Command{
		Use:   "medmnist FILE",
		Short: "Make a raw task of a 3D set of MedMNIST, with its official split",
		Long: `Reads a 3D set of MedMNIST (organmnist3d.npz, adrenalmnist3d_64.npz, ...) and writes a raw task. The parts train and val
become the training cases, with val as the validation of fold 0, and test the external test set. The classes of the
known sets get their names.`,
		Example: `  uc convert medmnist adrenalmnist3d.npz --data-root /path/to/data -t 10
  uc convert medmnist own.npz --data-root /path/to/data -t 11 --name Own --labels Kind --classes vessel aneurysm --yes`,
		Args: exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.File = args[0]
			return f.run(cmd, func(ctx context.Context, _ progress.Reporter) (*convert.Cohort, error) {
				return convert.MedMNIST(ctx, o)
			})
		},
	}
	cmd.Flags().StringArrayVar(&o.Labels, "labels", nil, "`NAMES` of the labels, one for each column of the file's labels (default: Class)")
	list(cmd.Flags(), "labels")
	classesFlag(cmd, &o.Classes)
	cmd.Flags().Lookup("classes").Usage = "`CLASSES`, the names of 0, 1, ...; with several labels LABEL=A,B,C for each (default: those of MedMNIST's 3D sets, else the numbers)"
	f.add(cmd)
	return cmd
}

func convertNNUNetCommand() *cobra.Command {
	return challengeCommand("nnunet-v2", convert.NNUNetV2, &cobra.Command{
		Short: "Make a raw task of a data set of nnU-Net v2 and a table of classes",
		Long: `Reads a data set of nnU-Net v2 (dataset.json with channel_names and file_ending, imagesTr, labelsTr) and a table with the
class of every case, and writes a raw task. The segmentations become the masks of the region of interest. Rows for cases
in imagesTs become the external test set.`,
		Example: `  uc convert nnunet-v2 nnUNet_raw/Dataset004_Liver --labels classes.csv --data-root /path/to/data
  uc convert nnunet-v2 Dataset004_Liver --labels classes.csv --label-columns Malignant --patient patient --no-masks --data-root /path/to/data --yes`,
	})
}

func convertMSDCommand() *cobra.Command {
	return challengeCommand("msd", convert.Decathlon, &cobra.Command{
		Short: "Make a raw task of a Medical Segmentation Decathlon data set and a table of classes",
		Long: `Reads a data set of the Medical Segmentation Decathlon (dataset.json with modality, imagesTr, labelsTr) and a table with
the class of every case, and writes a raw task. Images with several modalities along a fourth axis are split. The
segmentations become the masks of the region of interest. Rows for cases in imagesTs become the external test set.`,
		Example: `  uc convert msd Task04_Hippocampus --labels classes.csv --data-root /path/to/data
  uc convert msd Task05_Prostate --labels classes.csv --label-columns Grade --classes low high --data-root /path/to/data --yes`,
	})
}

// challengeCommand completes the command for a data set with dataset.json, whose classes come from a table.
func challengeCommand(name string, read func(context.Context, string, convert.TableOptions, progress.Reporter) (*convert.Cohort, error), cmd *cobra.Command) *cobra.Command {
	var f tableFlags
	var noMasks bool
	cmd.Use = name + " DIR --labels TABLE"
	cmd.Args = exactArgs("DIR")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.o.Table == "" {
			return usagef("missing --labels TABLE")
		}
		if noMasks {
			f.o.Masks = convert.None
		}
		return f.run(cmd, func(ctx context.Context, r progress.Reporter) (*convert.Cohort, error) {
			return read(ctx, args[0], f.o, r)
		})
	}
	fs := cmd.Flags()
	fs.StringVar(&f.o.Table, "labels", "", "`TABLE` with a header and one row per case (CSV), see uc convert table; required")
	fs.StringArrayVar(&f.o.Labels, "label-columns", nil, "`COLUMNS` of the classification labels (default: the only column that means nothing else)")
	list(fs, "label-columns")
	fs.BoolVar(&noMasks, "no-masks", false, "leave the segmentations out: the whole image is the region of interest")
	f.addColumns(cmd)
	f.add(cmd)
	return cmd
}

func convertFoldersCommand() *cobra.Command {
	var f convertFlags
	var o convert.FoldersOptions
	var modalities []string
	cmd := &cobra.Command{
		Use:   "folders DIR",
		Short: "Make a raw task of a folder with one folder of images per class",
		Long: `Reads a folder that holds one folder per class, and writes a raw task. The images of a case are CASE.nii.gz,
CASE_0000.nii.gz and so on for several modalities, or the file in a folder CASE; the same for .nii, .mha and .mhd; or the
DICOM series in a folder CASE, which is converted. Where DIR holds train, val and test, the folders of the classes lie in those: val is the validation of fold 0, test the
external test set. Cases of one name in two folders get the folder's name in front.`,
		Example: `  uc convert folders scans --data-root /path/to/data -t 5 --name Kidney
  uc convert folders scans --masks masks --label Malignant --classes benign malignant --data-root /path/to/data --yes`,
		Args: exactArgs("DIR"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Masks == "" && (o.MaskSuffix != "" || len(o.MaskLabels) > 0) {
				return usagef("missing --masks DIR, which --mask-suffix and --mask-labels belong to")
			}
			if o.Modalities, err = convert.ParseModalities(modalities); err != nil {
				return usagef("flag --modalities: %v", err)
			}
			o.Dir = args[0]
			return f.run(cmd, func(ctx context.Context, r progress.Reporter) (*convert.Cohort, error) {
				return convert.Folders(ctx, o, r)
			})
		},
	}
	cmd.Flags().StringVar(&o.Label, "label", "Class", "`NAME` of the classification label")
	classesFlag(cmd, &o.Classes)
	cmd.Flags().Lookup("classes").Usage = "`CLASSES`, the folders in their order, 0 first (default: numbers in numerical, text in alphabetical order)"
	fileFlags(cmd, &modalities, &o.Masks, &o.MaskSuffix, &o.MaskLabels)
	f.add(cmd)
	return cmd
}
