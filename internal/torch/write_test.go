package torch

import (
	"math"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/universal-classifier/uc/internal/weights"
)

func TestWrittenFilesAreReadBack(t *testing.T) {
	sd := weights.NewStateDict()
	sd.Set("w", &weights.Tensor{Shape: []int{2, 1, 3}, F32: []float32{1, -2, float32(math.Inf(1)), 4, 5e-30, 6}})
	sd.Set("tracked", weights.NewScalar(-1<<40))
	sd.Set("none", &weights.Tensor{Shape: []int{0, 2}, F32: []float32{}})
	path := filepath.Join(t.TempDir(), "some.model")
	extras := Dict{
		{"state_dict", StateDict(sd)},
		{"epoch", 200},
		{"sums", Tuple{[]any{}, []any{1.5, -1, 255, 256, 65535, 65536, int64(1) << 40, int64(math.MinInt64)}, nil, true, false}},
		{"dict", Dict{{1, "ä\n"}, {"x", OrderedDict{{"y", Tuple{}}, {"z", Dict{}}}}}},
		{"array", Array{0.5, -300, 1e-9}},
	}
	if err := Write(path, extras); err != nil {
		t.Fatal(err)
	}
	got, rest, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, sd) {
		t.Errorf("state dictionary: got %v, want %v", got, sd)
	}
	want := map[string]any{
		"epoch": int64(200),
		"sums": []any{[]any{}, []any{1.5, int64(-1), int64(255), int64(256), int64(65535), int64(65536), int64(1) << 40, int64(math.MinInt64)},
			nil, true, false},
		"dict":  map[string]any{"1": "ä\n", "x": map[string]any{"y": []any{}, "z": map[string]any{}}},
		"array": []any{0.5, -300.0, 1e-9},
	}
	if !reflect.DeepEqual(rest, want) {
		t.Errorf("got %v, want %v", rest, want)
	}
	plain := filepath.Join(t.TempDir(), "plans.pkl")
	if err := WritePickle(plain, extras[1:]); err != nil {
		t.Fatal(err)
	}
	if v, err := ReadPickle(plain); err != nil || !reflect.DeepEqual(v, any(want)) {
		t.Errorf("pickle: got %v (%v), want %v", v, err, want)
	}
}

func TestWhatCannotBePickledIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := WritePickle(filepath.Join(dir, "a"), []any{struct{}{}}); err == nil {
		t.Error("a struct was written")
	}
	if err := WritePickle(filepath.Join(dir, "b"), weights.NewScalar(1)); err == nil {
		t.Error("a tensor was written into a plain pickle")
	}
	if err := Write(filepath.Join(dir, "c"), &weights.Tensor{Shape: []int{3}, F32: []float32{1}}); err == nil {
		t.Error("a tensor with too few values was written")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
