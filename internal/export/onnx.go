package export

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/onnx"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

var onnxFormat = Format{
	Name:       "onnx",
	Short:      "the network from preprocessed case to probabilities, for ONNX Runtime, OpenVINO and others",
	Extensions: []string{".onnx"},
	write:      writeONNX,
}

// Keys of the metadata of an ONNX file.
const (
	metaTask          = "uc.task"
	metaFolds         = "uc.folds"
	metaLabels        = "uc.labels"
	metaPreprocessing = "uc.preprocessing"
	metaPlans         = "uc.plans"
)

// ONNXInput is the name of the network's input, unless a label has it.
const ONNXInput = "input"

// writeONNX writes the folds of m as one graph that averages their probabilities, and the vectors of its self-test
// next to it.
func writeONNX(ctx context.Context, path string, m *model.Model, r progress.Reporter) error {
	file, err := onnxModel(m)
	if err != nil {
		return err
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<16)
		if err := file.Write(b); err != nil {
			return err
		}
		return b.Flush()
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	vectors, err := selfTest(ctx, m)
	if err != nil {
		return err
	}
	beside := strings.TrimSuffix(path, filepath.Ext(path)) + ".selftest.npz"
	if err := npz.Write(beside, vectors, true); err != nil {
		return err
	}
	r.Note("%s: inputs of several sizes and the probabilities expected for them", beside)
	return nil
}

func onnxModel(m *model.Model) (*onnx.Model, error) {
	labels := m.Plans.Labels
	input := ONNXInput
	for slices.ContainsFunc(labels, func(l task.Label) bool { return l.Name == input }) {
		input += "_"
	}
	g := onnx.NewGraph(m.Plans.TaskName)
	g.Input(input, onnx.Dim{Name: "batch"}, onnx.Dim{Size: m.Config.InChannels}, onnx.Dim{Name: "depth"}, onnx.Dim{Name: "height"}, onnx.Dim{Name: "width"})
	perLabel := make([][]string, len(labels))
	for _, fold := range m.Folds {
		// A slash keeps inner names apart from those of labels that hold none, as PyTorch's exporter does; those that do
		// begin otherwise.
		for k, p := range i3d.AddONNX(g, "/"+fold.Name+"/", input, m.Config, fold.Weights) {
			perLabel[k] = append(perLabel[k], p)
		}
	}
	for k, l := range labels {
		if strings.HasPrefix(l.Name, "/") {
			return nil, fmt.Errorf("label %q begins with a slash, as the names inside of the ONNX graph do; rename it in %s", l.Name, m.Dir)
		}
		g.Node("Mean", l.Name, perLabel[k])
		g.Output(l.Name, onnx.Dim{Name: "batch"}, onnx.Dim{Size: len(l.Values)})
	}
	metadata, err := onnxMetadata(m)
	if err != nil {
		return nil, err
	}
	return &onnx.Model{Graph: g, Producer: "uc", Doc: "Probabilities per classification label of a case that was preprocessed as the metadata " + metaPreprocessing + " says.", Metadata: metadata}, nil
}

// onnxLabel is a label in the metadata: the output of its name has one column a value.
type onnxLabel struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// preprocessing says how the network's input comes from images; see docs/how-to/onnx.md.
type preprocessing struct {
	Axes          string          `json:"axes"`
	Channels      []string        `json:"channels"`
	Crop          string          `json:"crop"`
	ROIMargin     float64         `json:"roi_margin"`
	Transpose     [3]int          `json:"transpose_forward"`
	Spacing       [3]float64      `json:"target_spacing"` // mm
	Size          [3]int          `json:"size"`           // voxels, after padding; larger cases keep their size
	Resampling    string          `json:"resampling"`
	Normalization []normalization `json:"normalization"` // per modality
	ROILabels     int             `json:"roi_labels"`    // without background
	MaskDivisor   int             `json:"mask_divisor"`
	Masks         string          `json:"masks"` // real; generated, that is, 1 everywhere; unknown
	Note          string          `json:"note"`
}

type normalization struct {
	Modality string                  `json:"modality"`
	Scheme   string                  `json:"scheme"` // CT, nonCT, noNorm
	UseMask  bool                    `json:"use_mask"`
	Cohort   *fingerprint.Statistics `json:"cohort,omitempty"` // CT: clip to the percentiles, then mean and sd
}

func onnxMetadata(m *model.Model) ([][2]string, error) {
	p := shareable(m.Plans)
	var labels []onnxLabel
	for _, l := range p.Labels {
		labels = append(labels, onnxLabel{l.Name, l.Values})
	}
	stage := p.Stage()
	pre := preprocessing{
		Axes:        "batch, channel, then the image's axes z, y, x in the order of transpose_forward",
		Crop:        "to the nonzero region, then to the mask's bounding box plus roi_margin of its extent a side",
		ROIMargin:   preprocess.ROIMargin,
		Transpose:   p.TransposeForward,
		Spacing:     stage.CurrentSpacing,
		Size:        stage.ImageSize,
		Resampling:  "images: cubic spline; mask: linear per label, at least 0.5; a coarse axis on its own, nearest neighbour",
		ROILabels:   p.NumClasses,
		MaskDivisor: p.NumClasses + 1,
		Masks:       "generated",
		Note:        "uc preprocess-case writes exactly this input",
	}
	for i, name := range p.Modalities {
		pre.Channels = append(pre.Channels, name)
		n := normalization{Modality: name}
		if i < len(p.NormalizationSchemes) {
			n.Scheme = p.NormalizationSchemes[i]
		}
		if i < len(p.UseMaskForNorm) {
			n.UseMask = p.UseMaskForNorm[i]
		}
		if n.Scheme == plan.NormCT && p.DatasetProperties != nil && i < len(p.DatasetProperties.IntensityProperties) {
			if s := p.DatasetProperties.IntensityProperties[i]; s != nil {
				n.Cohort = &s.Statistics
			}
		}
		pre.Normalization = append(pre.Normalization, n)
	}
	if p.MasksUnknown {
		pre.Masks = "unknown"
	} else if p.RealMasks {
		pre.Masks = "real"
	}
	pre.Channels = append(pre.Channels, "mask")
	metadata := [][2]string{{metaTask, p.TaskName}}
	for _, part := range []struct {
		key   string
		value any
	}{{metaFolds, m.Names()}, {metaLabels, labels}, {metaPreprocessing, pre}, {metaPlans, p}} {
		b, err := json.Marshal(part.value)
		if err != nil {
			return nil, err
		}
		metadata = append(metadata, [2]string{part.key, string(b)})
	}
	return metadata, nil
}

// shareable are the plans without what names cases or folders.
func shareable(p *plan.Plans) *plan.Plans {
	out := *p
	out.ListOfNpzFiles, out.PreprocessedDataFolder = nil, ""
	if p.DatasetProperties == nil {
		return &out
	}
	fp := *p.DatasetProperties
	fp.CaseIDs, fp.SizeReductions = nil, nil
	fp.IntensityProperties = slices.Clone(fp.IntensityProperties)
	for i, s := range fp.IntensityProperties {
		if s != nil {
			fp.IntensityProperties[i] = &fingerprint.Intensity{Statistics: s.Statistics}
		}
	}
	out.DatasetProperties = &fp
	return &out
}
