package torch

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/weights"
)

// sameTensor wants the values of an array that NumPy wrote. Tensors of 64-bit floats are kept as float32.
func sameTensor(t *testing.T, name string, got *weights.Tensor, want npz.Array) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: missing", name)
		return
	}
	if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
		return
	}
	if err := got.Check(); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	values := want.Float64s()
	_, isFloat32 := want.Data.([]float32)
	_, isFloat64 := want.Data.([]float64)
	for i, w := range values {
		switch {
		case isFloat32 || isFloat64:
			if got.F32[i] != float32(w) {
				t.Errorf("%s[%d]: %g, want %g", name, i, got.F32[i], w)
				return
			}
		case float64(got.I64[i]) != w:
			t.Errorf("%s[%d]: %d, want %g", name, i, got.I64[i], w)
			return
		}
	}
}

func expected(t *testing.T) (arrays map[string]npz.Array, rest map[string]any) {
	t.Helper()
	arrays, err := npz.Read(testutil.Shared(t, "reference", "mini_checkpoint", "expected.npz"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(testutil.Shared(t, "reference", "mini_checkpoint", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &rest); err != nil {
		t.Fatal(err)
	}
	return arrays, rest
}

func TestReadsTheReferencesCheckpoint(t *testing.T) {
	arrays, rest := expected(t)
	dir := testutil.Shared(t, "reference", "mini_checkpoint")
	sd, extras, err := Read(filepath.Join(dir, "fold_0", "model_final_checkpoint.model"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(sd.Names()), fmt.Sprint(rest["state_dict_keys"]); got != want {
		t.Errorf("names %s, want %s", got, want)
	}
	alone, none, err := Read(filepath.Join(dir, "state_dict_only.pth"))
	if err != nil {
		t.Fatal(err)
	}
	if len(none) != 0 || alone.Len() != sd.Len() {
		t.Errorf("the state dictionary alone: %d tensors and extras %v", alone.Len(), none)
	}
	compared := 0
	for key, want := range arrays {
		if name, ok := strings.CutPrefix(key, "state_dict/"); ok {
			sameTensor(t, name, sd.Get(name), want)
			sameTensor(t, name, alone.Get(name), want)
			compared++
		}
	}
	if compared != sd.Len() || compared == 0 {
		t.Errorf("%d tensors compared of %d", compared, sd.Len())
	}

	optimizer := extras["optimizer_state_dict"].(map[string]any)
	states := optimizer["state"].(map[string]any)
	for index := range rest["momentum_state_indices"].([]any) {
		momentum := states[fmt.Sprint(index)].(map[string]any)["momentum_buffer"].(*weights.Tensor)
		sameTensor(t, fmt.Sprintf("momentum %d", index), momentum, arrays[fmt.Sprintf("momentum/%d", index)])
	}
	if got := asJSON(t, optimizer["param_groups"]); got != asJSON(t, rest["param_groups"]) {
		t.Errorf("param_groups: %s", got)
	}
	for _, key := range []string{"epoch", "lr_scheduler_state_dict", "plot_stuff", "best_stuff", "amp_grad_scaler"} {
		if got, want := asJSON(t, extras[key]), asJSON(t, rest[key]); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

func TestReadsTheOldFormat(t *testing.T) {
	arrays, _ := expected(t)
	path := testutil.Shared(t, "reference", "mini_checkpoint", "legacy_format.pth")
	sd, _, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if sd.Len() != 5 {
		t.Errorf("%d tensors, want 5", sd.Len())
	}
	for _, name := range sd.Names() {
		want, ok := arrays["state_dict/"+name]
		if !ok {
			t.Errorf("unexpected tensor %s", name)
			continue
		}
		sameTensor(t, name, sd.Get(name), want)
	}
}

func TestReadPickleReadsThePlans(t *testing.T) {
	_, rest := expected(t)
	want := rest["pkl"].(map[string]any)
	got, err := ReadPickle(testutil.Shared(t, "reference", "mini_checkpoint", "fold_0", "model_final_checkpoint.model.pkl"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range want {
		if g, w := asJSON(t, got.(map[string]any)[key]), asJSON(t, want[key]); g != w {
			t.Errorf("%s:\n%s\nwant\n%s", key, g, w)
		}
	}
	plans, err := ReadPickle(testutil.Shared(t, "reference", "mini_checkpoint", "plans.pkl"))
	if err != nil {
		t.Fatal(err)
	}
	if g, w := asJSON(t, plans), asJSON(t, want["plans"]); g != w {
		t.Errorf("plans.pkl:\n%s\nwant\n%s", g, w)
	}
}

func TestReadAnyTellsFormatsApart(t *testing.T) {
	sd := weights.NewStateDict()
	sd.Set("w", &weights.Tensor{Shape: []int{2}, F32: []float32{1, 2}})
	path := filepath.Join(t.TempDir(), "weights")
	if err := weights.WriteSafetensors(path, sd, nil); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAny(path)
	if err != nil || !reflect.DeepEqual(got.Get("w"), sd.Get("w")) {
		t.Errorf("safetensors: %v, %v", got, err)
	}
	torch := writeTorchZip(t, smallStateDict, map[string]string{"0": "\x00\x00\x80\x3f\x00\x00\x00\x40"})
	got, err = ReadAny(torch)
	if err != nil || !reflect.DeepEqual(got.Get("w"), sd.Get("w")) {
		t.Errorf("torch: %v, %v", got, err)
	}
}

// smallStateDict is {"module.w": tensor([1., 2.])} as torch.save pickles it.
const smallStateDict = "\x80\x02}X\x08\x00\x00\x00module.w" + smallTensor + "s."

const smallTensor = "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ" +
	"K\x00K\x02\x85K\x01\x85\x89}tR"

func writeTorchZip(t testing.TB, program string, storages map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "checkpoint.model")
	if err := os.WriteFile(path, torchZip(t, program, storages), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func torchZip(t testing.TB, program string, storages map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	files := map[string]string{"archive/data.pkl": program}
	for key, data := range storages {
		files["archive/data/"+key] = data
	}
	for name, text := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHostileCheckpointsAreRefused(t *testing.T) {
	values := map[string]string{"0": "\x00\x00\x80\x3f\x00\x00\x00\x40"}
	tensor := func(storage, view string) string {
		return "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" +
			storage + "tQ" + view + "\x89}tRs."
	}
	const big = "\x8a\x07\xff\xff\xff\xff\xff\xff\x7f" // 2^55 - 1
	tests := map[string]struct{ program, want string }{
		"runs a command":     {"\x80\x02cposix\nsystem\nX\x09\x00\x00\x00echo owned\x85R.", `"system" of "posix"`},
		"evaluates text":     {"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.", `"eval" of "__builtin__"`},
		"name off the stack": {"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.", `"system" of "os"`},
		"copyreg extension":  {"\x80\x02\x82\x01.", "operation 0x82"},
		"instance":           {"\x80\x02(ios\nsystem\n.", `"system" of "os"`},
		"calls a class":      {"\x80\x02cnumpy\nndarray\n)R.", "not called"},
		"reaches outside":    {tensor("K\x02", "K\x01K\x02\x85K\x01\x85"), "outside its storage"},
		"offset outside":     {tensor("K\x02", "K\x02))"), "outside its storage"},
		"huge strides":       {tensor("K\x02", "K\x00"+big+"\x85"+big+"\x85"), "outside its storage"},
		"expanded endlessly": {tensor("K\x02", "K\x00"+big+"\x85K\x00\x85"), "more than a file"},
		"negative stride":    {tensor("K\x02", "K\x00K\x02\x85J\xff\xff\xff\xff\x85"), "strides"},
		"short storage":      {tensor("K\x09", "K\x00K\x09\x85K\x01\x85"), "9 elements"},
		"endless storage":    {tensor(big, "K\x00K\x02\x85K\x01\x85"), "number of elements"},
		"no storage":         {strings.Replace(smallStateDict, "\x00\x00\x000X", "\x00\x00\x007X", 1), "no data/7"},
		"string too long":    {"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", "are left"},
		"cut short":          {smallStateDict[:40], "ends after"},
		"whole module":       {"\x80\x02}X\x01\x00\x00\x00wK\x01s.", "save its state_dict()"},
		"no dictionary":      {"\x80\x02K\x01.", "a state dictionary was expected"},
		"recalls nothing":    {"\x80\x02h\x05.", "never kept"},
		"empty stack":        {"\x80\x02R.", "empty stack"},
		"itself":             {"\x80\x02}X\x0a\x00\x00\x00state_dict}sX\x01\x00\x00\x00x]q\x00h\x00as.", "nested"},
		"doubling":           {"\x80\x02}X\x0a\x00\x00\x00state_dict}sX\x01\x00\x00\x00x" + doubling(60) + "s.", "more values"},
	}
	for name, test := range tests {
		sd, _, err := Read(writeTorchZip(t, test.program, values))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v (%v), want an error with %q", name, err, sd, test.want)
		}
	}
}

func TestPlainPicklesAreNotCheckpoints(t *testing.T) {
	for program, want := range map[string]string{
		"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.": `"system" of "posix"`,
		"\x80\x04}.": "a plain pickle",
	} {
		path := filepath.Join(t.TempDir(), "model_final_checkpoint.model")
		if err := os.WriteFile(path, []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAny(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", program, err, want)
		}
	}
	// A header of 0x280 bytes begins like a pickle.
	sd := weights.NewStateDict()
	sd.Set("w", &weights.Tensor{Shape: []int{1}, F32: []float32{1}})
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for padding := range 700 {
		if err := weights.WriteSafetensors(path, sd, map[string]string{"p": strings.Repeat("x", padding)}); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || b[0] != 0x80 || b[1] != 2 {
			continue
		}
		if _, err := ReadAny(path); err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("no such header")
}

// doubling pickles a list that holds the one before it twice, n deep.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("]q\x00")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "0](h%ch%ceq%c", i-1, i-1, i)
	}
	return b.String()
}

func TestCompressedAndOverlappingEntriesAreRefused(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "a/data.pkl", Method: zip.Deflate})
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(smallStateDict))
	z.Close()
	if _, _, err := decodeTorch(bytes.NewReader(b.Bytes()), int64(b.Len()), true); err == nil || !strings.Contains(err.Error(), "compressed") {
		t.Errorf("got %v", err)
	}
	damaged := torchZip(t, smallStateDict, map[string]string{"0": "\x00\x00\x80\x3f\x00\x00\x00\x40"})
	at := bytes.Index(damaged, []byte("\x00\x00\x80\x3f"))
	damaged[at+1] ^= 1
	if _, _, err := decodeTorch(bytes.NewReader(damaged), int64(len(damaged)), true); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a flipped bit: got %v", err)
	}
}

func TestPickledNumbers(t *testing.T) {
	tests := map[string]any{
		"\x80\x02\x8a\x01\xff.":                             int64(-1),
		"\x80\x02\x8a\x00.":                                 int64(0),
		"\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.": int64(math.MinInt64),
		"\x80\x02J\xfe\xff\xff\xff.":                        int64(-2),
		"\x80\x02M\x01\x02.":                                int64(513),
		"\x80\x02G\x3f\xf8\x00\x00\x00\x00\x00\x00.":        1.5,
		// numpy.float32(1.5), numpy.array([[1, 2], [3, 4]], order="F"), big-endian.
		"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00f4\x85RC\x04\x00\x00\xc0\x3f\x86R.": 1.5,
		"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K\x02K\x02\x86cnumpy\ndtype\nX\x02\x00\x00\x00i2\x85R(K\x03X\x01\x00\x00\x00>tb\x88C\x08\x00\x01\x00\x03\x00\x02\x00\x04tb.": []any{
			[]any{int64(1), int64(2)}, []any{int64(3), int64(4)}},
	}
	for program, want := range tests {
		got, err := decodePickle([]byte(program))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v (%v), want %v", program, got, err, want)
		}
	}
}

func TestHalfFloats(t *testing.T) {
	for h, want := range map[uint16]float64{0: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: math.Ldexp(1, -24), 0x0400: math.Ldexp(1, -14), 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1)} {
		if got := halfFloat(h); got != want {
			t.Errorf("%04x: %g, want %g", h, got, want)
		}
	}
	if !math.IsNaN(halfFloat(0x7e00)) {
		t.Error("7e00 is not a number")
	}
}

// FuzzTorch wants that no file makes the reader crash, hang or take more memory than its size explains.
func FuzzTorch(f *testing.F) {
	values := map[string]string{"0": "\x00\x00\x80\x3f\x00\x00\x00\x40"}
	f.Add([]byte(smallStateDict), []byte(values["0"]))
	f.Add([]byte("\x80\x02}X\x0a\x00\x00\x00state_dict}sX\x01\x00\x00\x00x"+doubling(9)+"s."), []byte{})
	f.Fuzz(func(t *testing.T, program, data []byte) {
		b := torchZip(t, string(program), map[string]string{"0": string(data)})
		sd, _, err := decodeTorch(bytes.NewReader(b), int64(len(b)), true)
		if err == nil {
			for _, name := range sd.Names() {
				if err := sd.Get(name).Check(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		decodePickle(program)
		old := append([]byte("\x80\x02"+oldTorchStart+"\x80\x02M\xe9\x03.\x80\x02}."), program...)
		decodeTorch(bytes.NewReader(old), int64(len(old)), true)
	})
}

// asJSON is a value in a form that compares; numbers of Go and of JSON look alike.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
