package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/export"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
)

type preprocessCaseFlags struct {
	dataRoot string
	task     string
	images   []string
	mask     string
	out      string
	model    modelFlags
	json     bool
}

func preprocessCaseCommand() *cobra.Command {
	var f preprocessCaseFlags
	cmd := &cobra.Command{
		Use:   "preprocess-case -t TASK -i IMAGE... [-s MASK] -o OUT.npz",
		Short: "Write the network's input for one case, for a server that runs an exported model",
		Long: `Preprocesses one case exactly as uc predict does, with the plans of the trained model, and writes the array that the
network takes: "input" in OUT.npz, float32, (1, channels, z, y, x), the modalities and then the mask. An ONNX file
written by uc export takes it as it is.`,
		Example: `  uc preprocess-case --data-root /path/to/data -t 4 -i t2.mha adc.mha -s prostate.mha -o case.npz
  uc preprocess-case -t Task010_PancreaticCancer -i scan.nii.gz -o case.npz`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPreprocessCase(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.task, "task_name", "t", "", "`TASK`, an id (4, 004) or a full name (Task004_X); required unless --model names a folder")
	fs.StringArrayVarP(&f.images, "images", "i", nil, "image `FILES` of the case, of any name, one per modality in the order of the training; required")
	list(fs, "images")
	fs.StringVarP(&f.mask, "mask", "s", "", "`FILE` with the mask of the region of interest, for a model trained with masks")
	fs.StringVarP(&f.out, "output", "o", "", "`FILE` to write, .npz; required")
	f.model.addFolder(cmd)
	dataRootFlag(cmd, &f.dataRoot)
	jsonFlag(cmd, &f.json)
	return cmd
}

// preprocessedCase is what uc preprocess-case --json prints.
type preprocessedCase struct {
	Case  string `json:"case"`
	File  string `json:"file"`
	Input string `json:"input"` // name of the array
	Shape []int  `json:"shape"`
}

func runPreprocessCase(cmd *cobra.Command, f *preprocessCaseFlags) error {
	for _, required := range []struct{ flag, value string }{{"-i IMAGE", strings.Join(f.images, "")}, {"-o OUT.npz", f.out}} {
		if required.value == "" {
			return usagef("missing %s", required.flag)
		}
	}
	if !strings.EqualFold(filepath.Ext(f.out), ".npz") {
		return usagef("-o %s: expected a file that ends in .npz", f.out)
	}
	if err := f.model.checkFolder(f.task); err != nil {
		return err
	}
	dir, err := f.model.folder(f.dataRoot, f.task)
	if err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	p, err := model.OpenPlans(dir, d)
	if err != nil {
		return err
	}
	c, err := task.OneCase(f.images, f.mask, len(p.Modalities), p.RealMasks || p.MasksUnknown && f.mask != "")
	if err != nil {
		return err
	}
	prepared, err := preprocess.Case(cmd.Context(), c, p)
	if err != nil {
		return err
	}
	for _, w := range prepared.Warnings {
		d.Warn("case %s: %s", c.ID, w)
	}
	d.Close()
	preprocess.NetworkInput(prepared.Data, prepared.Data, prepared.Shape, p.NumClasses)
	array := npz.Array{Name: export.ONNXInput, Shape: append([]int{1}, prepared.Shape[:]...), Data: prepared.Data}
	if err := npz.Write(f.out, []npz.Array{array}, false); err != nil {
		return err
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), preprocessedCase{c.ID, f.out, array.Name, array.Shape})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), f.out)
	return err
}
