package cohort

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/task"
)

func TestAnyNumberOfWorkersGivesTheSameFiles(t *testing.T) {
	for _, modality := range []string{"MRI", "CT"} {
		var first map[string][]byte
		for _, o := range []Options{{Workers: 1}, {Workers: 3}, {Workers: 8}, {Workers: 8, Memory: 300 << 10}} { // the last reads cases twice
			f := cohorttest.MakeTask(t, modality, cohorttest.Cases(6))
			mustRun(t, f, o)
			now := map[string][]byte{}
			for path, b := range cohorttest.Snapshot(t, f.PreprocessedTask(cohorttest.Task)) {
				if rel, _ := filepath.Rel(f.Preprocessed, path); filepath.Base(rel) != manifestFile {
					now[rel] = b
				}
			}
			if first == nil {
				first = now
			}
			if len(now) != len(first) || len(now) < 15 {
				t.Errorf("%d files, then %d", len(first), len(now))
			}
			for name, b := range now {
				if !bytes.Equal(b, first[name]) {
					t.Errorf("%s, %+v: %s differs", modality, o, name)
				}
			}
		}
	}
}

func TestNothingChangedNothingDone(t *testing.T) {
	for _, modality := range []string{"CT", "MRI"} {
		f := cohorttest.MakeTask(t, modality, cohorttest.Cases(4))
		mustRun(t, f, Options{KeepCropped: true})
		stage := f.Stage(cohorttest.Task, plan.DataIdentifier)
		killed := filepath.Join(stage, ".c_1.npz.123.tmp")
		if err := os.WriteFile(killed, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
		touched, touchedCropped := cohorttest.Age(t, f.PreprocessedTask(cohorttest.Task)), cohorttest.Age(t, f.CroppedTask(cohorttest.Task))
		mustRun(t, f, Options{Workers: 1, KeepCropped: true})
		if got := append(touched(), touchedCropped()...); len(got) > 0 {
			t.Errorf("%s: written again: %v", modality, got)
		}
		if exists(killed) {
			t.Error("what a killed run had begun is still there")
		}
		if err := os.Remove(dataset.ArraysFile(f.CroppedTask(cohorttest.Task), "c_2")); err != nil {
			t.Fatal(err)
		}
		mustRun(t, f, Options{KeepCropped: true})
		got := slices.DeleteFunc(touched(), func(s string) bool { return s == manifestFile })
		if len(got) > 0 || !exists(dataset.ArraysFile(f.CroppedTask(cohorttest.Task), "c_2")) {
			t.Errorf("%s: after the loss of a cropped case these were written: %v", modality, got)
		}
	}
}

func TestOneChangedCaseIsRedoneAlone(t *testing.T) {
	cases := cohorttest.Cases(4)
	f := cohorttest.MakeTask(t, "MRI", cases)
	mustRun(t, f, Options{})
	was := cases[1].Voxel
	cases[1].Voxel = func(z, y, x int) float32 { return was(z, y, x) + float32(x) }
	image, mask := cohorttest.CaseFiles(f, 1)
	cases[1].Write(t, image, mask)
	touched := cohorttest.Age(t, f.PreprocessedTask(cohorttest.Task))
	mustRun(t, f, Options{})
	if got, want := touched(), []string{"c_1.json", "c_1.npz", manifestFile}; !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("written again: %v, want %v", got, want)
	}
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestChangedTargetsAndLostCases(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(4))
	p := mustRun(t, f, Options{})
	stage := f.Stage(cohorttest.Task, p.DataIdentifier)
	cohorttest.WriteDataset(t, f, "MRI", 4, 1)
	touched := cohorttest.Age(t, f.PreprocessedTask(cohorttest.Task))
	mustRun(t, f, Options{})
	if got := touched(); slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, ".npz") }) || !slices.Contains(got, "c_0.json") {
		t.Errorf("after a change of targets these were written: %v", got)
	}
	d, err := cohorttest.Open(t, stage, false, "c_0", "c_1")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !slices.Equal(d.Targets(0), []int{1}) || !slices.Equal(d.Targets(1), []int{0}) {
		t.Errorf("targets %v %v", d.Targets(0), d.Targets(1))
	}
	foreign := filepath.Join(stage, "notes.json")
	if err := os.WriteFile(foreign, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	cohorttest.WriteDataset(t, f, "MRI", 3, 0)
	mustRun(t, f, Options{})
	ids, err := dataset.Cases(stage)
	if err != nil || !slices.Equal(ids, []string{"c_0", "c_1", "c_2"}) {
		t.Errorf("cases left: %v (%v)", ids, err)
	}
	if !exists(foreign) {
		t.Error("a file of someone else's was removed")
	}
}

func TestPlansOnly(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	p := mustRun(t, f, Options{NoPreprocess: true})
	if exists(f.Stage(cohorttest.Task, p.DataIdentifier)) {
		t.Error("-no_pp wrote cases")
	}
	for _, name := range []string{plan.File(plan.Identifier), fingerprint.File, "dataset.json"} {
		if !exists(filepath.Join(f.PreprocessedTask(cohorttest.Task), name)) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestFollowedPlans(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	own := mustRun(t, f, Options{NoPreprocess: true})
	given := *own
	stage := own.Stage()
	stage.ImageSize, stage.CurrentSpacing = [3]int{20, 20, 20}, [3]float64{1.3, 1.3, 1.3}
	given.PlansPerStage = indexed.List[plan.StagePlan]{stage}
	file := filepath.Join(t.TempDir(), "given.json")
	if err := given.Save(file); err != nil {
		t.Fatal(err)
	}
	p := mustRun(t, f, Options{OverwritePlans: file, OverwriteIdentifier: "MINE"})
	if p.Stage() != stage {
		t.Errorf("stage %+v, want %+v", p.Stage(), stage)
	}
	if _, err := plan.Load(filepath.Join(f.PreprocessedTask(cohorttest.Task), "nnUNetPlans_pretrained_MINE_plans_3D.json")); err != nil {
		t.Error(err)
	}
	a := cohorttest.ReadData(t, dataset.ArraysFile(filepath.Join(f.PreprocessedTask(cohorttest.Task), "nnUNetData_pretrained_MINE_stage0"), "c_2"))
	if !slices.Equal(a.Shape, []int{2, 20, 20, 20}) {
		t.Errorf("shape %v", a.Shape)
	}
	pickled := t.TempDir() // the same plans as the reference writes them
	if err := reference.WriteModel(t.Context(), pickled, &given, nil, progress.Discard); err != nil {
		t.Fatal(err)
	}
	q := mustRun(t, f, Options{OverwritePlans: filepath.Join(pickled, reference.PlansFile), OverwriteIdentifier: "PICKLED", NoPreprocess: true})
	if q.Stage() != stage || q.TaskName != cohorttest.Task || q.MasksUnknown || q.RealMasks != p.RealMasks || !slices.Equal(q.Outputs(), p.Outputs()) {
		t.Errorf("from a pickle: %+v, want %+v", q, p)
	}
	stage.ImageSize = [3]int{2, 20, 20}
	given.PlansPerStage = indexed.List[plan.StagePlan]{stage}
	if err := given.Save(file); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, f, Options{OverwritePlans: file, OverwriteIdentifier: "SMALL"}); err == nil || !strings.Contains(err.Error(), "case c_0") {
		t.Errorf("cases larger than the followed plans: %v", err)
	}
}

func TestPredictionUsesTheSameCode(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	p := mustRun(t, f, Options{})
	image, mask := cohorttest.CaseFiles(f, 2)
	out, err := preprocess.Case(t.Context(), task.Case{ID: "x", Images: []string{image}, Mask: mask}, p)
	if err != nil {
		t.Fatal(err)
	}
	want := cohorttest.ReadData(t, dataset.ArraysFile(f.Stage(cohorttest.Task, p.DataIdentifier), "c_2"))
	if !slices.Equal(out.Shape[:], want.Shape) || !slices.Equal(out.Data, want.Floats()) {
		t.Error("the case differs from what training saw")
	}
	// Larger than the plans on one axis only.
	small := *p
	stage := p.Stage()
	stage.ImageSize[1] = 3
	small.PlansPerStage = indexed.List[plan.StagePlan]{stage}
	larger, err := preprocess.Case(t.Context(), task.Case{ID: "x", Images: []string{image}, Mask: mask}, &small)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := larger.Shape, [4]int{2, stage.ImageSize[0], out.Properties.SizeAfterResampling[1], stage.ImageSize[2]}; got != want {
		t.Errorf("shape %v, want %v", got, want)
	}
	input := make([]float32, len(out.Data))
	preprocess.NetworkInput(input, out.Data, out.Shape, 2)
	n := len(input) / 2
	if !slices.Equal(input[:n], out.Data[:n]) {
		t.Error("the modalities changed on their way to the network")
	}
	for i, v := range input[n:] {
		if w := max(out.Data[n+i], 0) / 3; v != w {
			t.Fatalf("mask voxel %g became %g, want %g", out.Data[n+i], v, w)
		}
	}
}

// TestSecondScan makes the cohort's values too many to hold: reading all cases twice must give the same statistics.
func TestSecondScan(t *testing.T) {
	f := cohorttest.MakeTask(t, "CT", cohorttest.Cases(4))
	want := mustRun(t, f, Options{NoPreprocess: true}).DatasetProperties
	loaded, err := task.Load(f, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{task: loaded, options: Options{Workers: 2, Memory: 1 << 28}, progress: progress.Discard}
	j.limitMemory()
	co := &cohort{job: j, cases: sortedCases(loaded.Dataset.Cases)}
	collected := fingerprint.NewCollector(co.cases, 1, 0)
	stride := fingerprint.Stride(want.AllSizes)
	if err := co.rescan(t.Context(), &manifest{}, stride, collected.Add); err != nil {
		t.Fatal(err)
	}
	if !collected.Overflown() {
		t.Fatal("the values were held")
	}
	collected.ChooseBins()
	if err := co.rescan(t.Context(), &manifest{}, stride, collected.Refine); err != nil {
		t.Fatal(err)
	}
	if got := collected.Properties(); !reflect.DeepEqual(got, want.IntensityProperties) {
		t.Errorf("got %+v\nwant %+v", got[0].Statistics, want.IntensityProperties[0].Statistics)
	}
}

func run(t *testing.T, f task.Folders, o Options) (*plan.Plans, error) {
	t.Helper()
	loaded, err := task.Load(f, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	return Preprocess(t.Context(), loaded, o, progress.Discard)
}

func mustRun(t *testing.T, f task.Folders, o Options) *plan.Plans {
	t.Helper()
	p, err := run(t, f, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
