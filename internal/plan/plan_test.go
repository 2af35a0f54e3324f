package plan

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
)

// referencePlans is the part of the reference's plans that is compared.
type referencePlans struct {
	NumStages            int                     `json:"num_stages"`
	NumModalities        int                     `json:"num_modalities"`
	Modalities           indexed.List[string]    `json:"modalities"`
	NormalizationSchemes indexed.List[string]    `json:"normalization_schemes"`
	NumClasses           int                     `json:"num_classes"`
	AllClasses           []int                   `json:"all_classes"`
	NumClassification    []int                   `json:"num_classification_classes"`
	AllLabels            [][]int                 `json:"all_classification_labels"`
	UseMaskForNorm       indexed.List[bool]      `json:"use_mask_for_norm"`
	TransposeForward     [3]int                  `json:"transpose_forward"`
	TransposeBackward    [3]int                  `json:"transpose_backward"`
	DataIdentifier       string                  `json:"data_identifier"`
	PlansPerStage        indexed.List[StagePlan] `json:"plans_per_stage"`
	PreprocessorName     string                  `json:"preprocessor_name"`
}

func near(a, b [3]float64) bool {
	for d := range 3 {
		if math.Abs(a[d]-b[d]) > 1e-6*math.Abs(b[d]) {
			return false
		}
	}
	return true
}

func comparePlans(t *testing.T, name string, got *Plans, want referencePlans) {
	t.Helper()
	g, w := got.Stage(), want.PlansPerStage[0]
	if !near(g.CurrentSpacing, w.CurrentSpacing) || !near(g.OriginalSpacing, w.OriginalSpacing) {
		t.Errorf("%s: spacings %v %v, want %v %v", name, g.CurrentSpacing, g.OriginalSpacing, w.CurrentSpacing, w.OriginalSpacing)
	}
	g.CurrentSpacing, g.OriginalSpacing = w.CurrentSpacing, w.OriginalSpacing
	mine := referencePlans{got.NumStages, got.NumModalities, got.Modalities, got.NormalizationSchemes, got.NumClasses, got.AllClasses,
		got.NumClassificationClasses, got.AllClassificationLabels, got.UseMaskForNorm, got.TransposeForward, got.TransposeBackward,
		got.DataIdentifier, indexed.List[StagePlan]{g}, got.PreprocessorName}
	if !reflect.DeepEqual(mine, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", name, mine, want)
	}
}

func TestPlannerOnly(t *testing.T) {
	var all map[string]struct {
		Properties fingerprint.Fingerprint `json:"dataset_properties"`
		Plans      referencePlans          `json:"plans"`
	}
	testutil.ReadJSON(t, testutil.Shared(t, "reference", "preprocessing", "planner_only.json"), &all)
	if len(all) < 16 {
		t.Fatalf("only %d entries", len(all))
	}
	for name, c := range all {
		got, err := Make(&c.Properties, Subject{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		comparePlans(t, name, got, c.Plans)
		dimensions := c.Properties.MaxDimensions
		c.Properties.SetMaxDimensions()
		if !near(c.Properties.MaxDimensions, dimensions) {
			t.Errorf("%s: max_dimensions %v, want %v", name, c.Properties.MaxDimensions, dimensions)
		}
	}
}

func TestVariants(t *testing.T) {
	for _, variant := range []string{"mri_roi", "mri_noroi", "mri_bigroi", "ct_roi", "aniso", "aniso_mixed", "twomod", "twomod_noroi"} {
		var c struct {
			Properties fingerprint.Fingerprint `json:"dataset_properties"`
			Plans      referencePlans          `json:"plans"`
		}
		testutil.ReadJSON(t, testutil.Shared(t, "reference", "preprocessing", variant, "expected.json"), &c)
		got, err := Make(&c.Properties, Subject{})
		if err != nil {
			t.Errorf("%s: %v", variant, err)
			continue
		}
		comparePlans(t, variant, got, c.Plans)
	}
}

// sample is a small set of plans with everything filled in.
func sample(t *testing.T) *Plans {
	t.Helper()
	stats := fingerprint.Statistics{Median: 1, Mean: 2, SD: 3, Min: -4, Max: 5, Percentile99: 4.5, Percentile00: -3.5}
	fp := &fingerprint.Fingerprint{
		CaseIDs: []string{"a", "b"}, AllSizes: [][3]int{{10, 20, 30}, {11, 21, 31}}, AllSpacings: [][3]float64{{3, 1, 1}, {3.2, 1, 1}},
		AllClasses: []int{1, 2}, AllClassificationLabels: [][]int{{0, 1, 2}}, Modalities: indexed.List[string]{"CT"},
		IntensityProperties: indexed.List[*fingerprint.Intensity]{{Statistics: stats, LocalProps: map[string]fingerprint.Statistics{"a": stats, "b": stats}}},
		SizeReductions:      map[string]float64{"a": 0.5, "b": 0.25},
	}
	fp.SetMaxDimensions()
	p, err := Make(fp, Subject{TaskName: "Task001_X", RealMasks: true, Labels: []task.Label{{Name: "grade", Ordinal: true, Values: []string{"x", "y", "z"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSaveLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), File(Identifier))
	want := sample(t)
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got.InputChannels() != 2 || !slices.Equal(got.Outputs(), []int{3}) {
		t.Errorf("%d channels, outputs %v", got.InputChannels(), got.Outputs())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"plans_per_stage": {`, `"classification_labels": [`, `"real_masks": true`, `"percentile_99_5": 4.5`, `"do_dummy_2D_data_aug"`} {
		if !strings.Contains(string(b), field) {
			t.Errorf("%s is not in the file", field)
		}
	}
}

func TestLoadRefusesNonsense(t *testing.T) {
	for name, spoil := range map[string]func(p *Plans){
		"no stage":        func(p *Plans) { p.PlansPerStage = nil },
		"zero size":       func(p *Plans) { p.PlansPerStage[0].ImageSize[1] = 0 },
		"huge size":       func(p *Plans) { p.PlansPerStage[0].ImageSize = [3]int{1 << 14, 1 << 14, 1 << 14} },
		"zero spacing":    func(p *Plans) { p.PlansPerStage[0].CurrentSpacing[2] = 0 },
		"batch":           func(p *Plans) { p.PlansPerStage[0].BatchSize = -1 },
		"transposition":   func(p *Plans) { p.TransposeForward = [3]int{0, 1, 1} },
		"not its inverse": func(p *Plans) { p.TransposeForward, p.TransposeBackward = [3]int{2, 0, 1}, [3]int{2, 0, 1} },
		"axis":            func(p *Plans) { p.TransposeForward = [3]int{0, 1, 7} },
		"scheme":          func(p *Plans) { p.NormalizationSchemes[0] = "CT3" },
		"masks for norm":  func(p *Plans) { p.UseMaskForNorm = nil },
		"no intensities":  func(p *Plans) { p.DatasetProperties.IntensityProperties = nil },
		"percentiles":     func(p *Plans) { p.DatasetProperties.IntensityProperties[0].Percentile00 = 1e6 },
		"labels":          func(p *Plans) { p.Labels = nil },
		"classes":         func(p *Plans) { p.NumClasses = 0 },
		"identifier":      func(p *Plans) { p.DataIdentifier = "../../etc" },
	} {
		p := sample(t)
		spoil(p)
		path := filepath.Join(t.TempDir(), "plans.json")
		if err := p.Save(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil {
			t.Errorf("%s: loaded", name)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "plans.pkl")
	if err := os.WriteFile(path, []byte("\x80\x04\x95"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "pickle") {
		t.Errorf("a pickle: %v", err)
	}
}

func TestFollow(t *testing.T) {
	given, own := sample(t), sample(t)
	given.PlansPerStage[0].BatchSize = 5
	own.TaskName, own.RealMasks = "Task002_Y", false
	own.Labels = []task.Label{{Name: "other", Values: []string{"n", "y"}}}
	p, err := Follow(given, own, "mine")
	if err != nil {
		t.Fatal(err)
	}
	if p.Stage().BatchSize != 5 || p.TaskName != "Task002_Y" || p.RealMasks || p.Labels[0].Name != "other" || p.DataIdentifier != "nnUNetData_pretrained_mine" {
		t.Errorf("got %+v", p)
	}
	if given.DataIdentifier != DataIdentifier {
		t.Error("the given plans were changed")
	}
	own.Modalities = indexed.List[string]{"CT", "MRI"}
	if _, err := Follow(given, own, "mine"); err == nil {
		t.Error("plans of another number of modalities were taken")
	}
	if _, err := Follow(given, given, "../x"); err == nil {
		t.Error("a path was taken as identifier")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"plans_per_stage": {"0": {"image_size": [1, 2, 3]}}, "modalities": {"0": "CT"}}`))
	f.Add([]byte(`{"plans_per_stage": {"1": null}}`))
	path := filepath.Join(f.TempDir(), "plans.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := Load(path); err == nil && p.Stage().ImageSize[0] < 1 {
			t.Error("accepted an impossible size")
		}
	})
}
