package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/explain"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

type explainFlags struct {
	inputFlags

	method  string
	layer   string
	classes []string
	targets string
	curves  int
}

func explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain -i IMAGES [-s MASKS] -o OUT -t TASK",
		Short: "Show where the network looked: heat maps of cases over their images",
		Long: `Makes heat maps of cases: what in the image speaks for a class of a label, by default the predicted one. Cases are
preprocessed as in prediction, and the maps of all folds are averaged. Methods:
  hirescam   activations times gradients of a layer (--layer), place by place: fast
  gradcam    Grad-CAM++ of a layer: smoother, but its maps hardly depend on what the network has learnt
  occlusion  how much the class's score falls where a patch of the image is hidden: slow, no gradients
  gradients  integrated gradients: the share of every voxel in the class's score, smoothed
Writes per case a folder with the map as NIfTI in the geometry of the original image, a picture of the three planes
through its maximum, and numbers; and explain.json and explain.csv over all cases: the share of the heat inside the
region of interest, and deletion and insertion curves. A heat map shows what a network used, not what is there: it is
no segmentation. A case that cannot be explained does not stop the others; then the exit code is 1.`,
		Example: `  uc explain --data-root demo -i images -s masks -o explained -t 900
  uc explain -i images -o explained -t 10 --class Tumour=1 --layer mixed_3c
  uc explain -i images -o explained -t 10 -f 0 --method occlusion --curve-steps 0
  uc explain -i images -o explained --model artifact --method gradients --disable_tta --class all`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runExplain(cmd, &f) },
	}
	f.add(cmd, inputWords{out: "maps", noTTA: "no mirror images: one in place of eight; occlusion never has any", overwrite: "explain", done: "explained"})
	fs := cmd.Flags()
	fs.StringVar(&f.method, "method", string(explain.HiResCAM), "`METHOD`: hirescam, gradcam, occlusion or gradients")
	fs.StringVar(&f.layer, "layer", "", "`LAYER` that hirescam and gradcam look at: "+strings.Join(i3d.Layers()[1:], ", ")+" (default: by the size of the input)")
	fs.StringSliceVar(&f.classes, "class", nil, "`CLASSES` to explain: LABEL=CLASS or CLASS, by number or value, or all (default: the predicted one of every label)")
	list(fs, "class")
	fs.IntVar(&f.curves, "curve-steps", 10, "`N` parts that the deletion and insertion curves take away and bring back; 0: no curves")
	fs.StringVar(&f.targets, "targets", "", "`DIR` with masks, named CASE.nii.gz, of what the network should look at: whether the maximum of each map lies there (pointing game)")
	return cmd
}

// check finds mistakes that need no look at the data.
func (f *explainFlags) check() error {
	if err := f.inputFlags.check(); err != nil {
		return err
	}
	switch {
	case !slices.Contains(explain.Methods, explain.Method(f.method)):
		return usagef("flag --method: %q is not hirescam, gradcam, occlusion or gradients", f.method)
	case f.layer != "" && f.method != string(explain.HiResCAM) && f.method != string(explain.GradCAM):
		return usagef("flag --layer: the method %s does not look at a layer", f.method)
	case f.layer != "" && !slices.Contains(i3d.Layers()[1:], f.layer):
		return usagef("flag --layer: %q is not one of %s", f.layer, strings.Join(i3d.Layers()[1:], ", "))
	case f.curves < 0 || f.curves > maxCurveSteps:
		return usagef("flag --curve-steps: %d is not a number from 0 to %d", f.curves, maxCurveSteps)
	case len(f.classes) > 1 && slices.Contains(f.classes, everyClass):
		return usagef("flag --class: all stands alone")
	}
	return nil
}

const (
	maxCurveSteps = 1000
	everyClass    = "all"
)

// explained is what uc explain --json prints.
type explained struct {
	Folds     []string `json:"folds"`
	Method    string   `json:"method"`
	Explained int      `json:"explained"`
	Kept      int      `json:"kept"`
	withoutResult
	Hits    int             `json:"pointing_hits"`    // maps whose maximum lies in their target
	Targets int             `json:"pointing_targets"` // maps with a target
	JSON    string          `json:"json"`
	CSV     string          `json:"csv"`
	Results json.RawMessage `json:"results,omitempty"` // explain.json
}

// newExplained is the answer about a folder, with what there is to type about each failure.
func newExplained(h hints, s *explain.Summary) *explained {
	return &explained{Explained: s.Explained, Kept: s.Kept, withoutResult: newWithoutResult(h, s.Failed, s.Unused), Hits: s.Hits, Targets: s.Targets, JSON: s.JSON, CSV: s.CSV}
}

func runExplain(cmd *cobra.Command, f *explainFlags) error {
	if err := cmp.Or(f.check(), checkThreads(cmd, f.threads)); err != nil {
		return err
	}
	budget, err := f.budget()
	if err != nil {
		return err
	}
	dir, err := f.model.folder(f.dataRoot, f.task)
	if err != nil {
		return err
	}
	limit := cmp.Or(budget, memory.Default())
	o := explain.Options{
		Folds: f.folds, Checkpoint: f.checkpoint, Device: f.device, GPU: f.gpu, Threads: f.threads, Memory: limit, NoWait: f.noWait, DisableTTA: f.noTTA,
		Method: explain.Method(f.method), Layer: f.layer, AllClasses: slices.Equal(f.classes, []string{everyClass}), CurveSteps: f.curves,
	}
	if len(f.classes) > 0 && !o.AllClasses {
		plans, err := model.OpenPlans(dir, progress.Discard)
		if err != nil {
			return err
		}
		if o.Classes, err = classesOf(f.classes, plans.Labels); err != nil {
			return err
		}
	}
	d := displayOf(cmd)
	defer d.Close()
	m, err := explain.Open(dir, o, d)
	if err != nil {
		return err
	}
	defer m.Close()
	defer limitHeap(limit)()
	plans := m.Plans()
	cases, found, broken := f.namedCases(len(plans.Modalities), plans.RealMasks || plans.MasksUnknown && f.masks != "")
	if broken != nil && len(found) == 0 {
		return broken
	}
	s, err := m.Folder(cmd.Context(), cases, found, f.targets, f.out, f.overwrite, d)
	if err != nil {
		return err
	}
	d.Close()
	r := newExplained(hints{cmd}, s)
	r.Folds, r.Method = m.Folds(), f.method
	if err := r.print(cmd.OutOrStdout(), f.json); err != nil {
		return err
	}
	return r.join(broken, found, len(cases), "explained")
}

// classesOf finds the classes that are asked for: LABEL=CLASS or CLASS, each by number or by the class's value.
func classesOf(asked []string, labels []task.Label) ([]explain.Class, error) {
	var classes []explain.Class
	for _, text := range asked {
		label, class := -1, text
		for i, l := range labels {
			if rest, ok := strings.CutPrefix(text, l.Name+"="); ok {
				label, class = i, rest
			}
		}
		found := false
		for i, l := range labels {
			for k, value := range l.Values {
				if (label < 0 || label == i) && (class == value || class == strconv.Itoa(k)) {
					found = true
					classes = append(classes, explain.Class{Label: i, Class: k})
				}
			}
		}
		if !found {
			var known []string
			for _, l := range labels {
				for k, value := range l.Values {
					known = append(known, fmt.Sprintf("%s=%d (%s)", l.Name, k, value))
				}
			}
			return nil, usagef("flag --class: %q is none of the model's: %s", text, strings.Join(known, ", "))
		}
	}
	return classes, nil
}

func (r *explained) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if b, err := infile.ReadFile(r.JSON, infile.MaxText); err == nil {
			r.Results = b
		}
		return printJSON(w, r)
	}
	fmt.Fprintf(w, "%d explained by %s, folds %s", r.Explained, r.Method, strings.Join(r.Folds, " "))
	if r.Kept > 0 {
		fmt.Fprintf(w, ", %d had results already (--overwrite_existing explains them again)", r.Kept)
	}
	fmt.Fprint(w, r.text())
	if r.Targets > 0 {
		fmt.Fprintf(w, "\npointing game: %d of %d maxima within %d voxels of their target", r.Hits, r.Targets, explain.PointingTolerance)
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n", r.CSV, r.JSON)
	return err
}
