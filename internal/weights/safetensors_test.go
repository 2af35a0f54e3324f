package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func example() *StateDict {
	sd := NewStateDict()
	w := NewTensor(2, 3)
	copy(w.F32, []float32{0, -1.5, float32(math.Inf(1)), 1e-45, 3, 4})
	sd.Set("z.weight", w)
	sd.Set("a.num_batches_tracked", NewScalar(-7))
	sd.Set("empty", NewTensor(0, 5))
	long := NewTensor(5000)
	for i := range long.F32 {
		long.F32[i] = float32(i)
	}
	sd.Set("long", long)
	return sd
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	sd := example()
	if err := WriteSafetensors(path, sd, map[string]string{"epoch": "12", "note": "ä \"quoted\""}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := binary.LittleEndian.Uint64(raw); n%8 != 0 || raw[8] != '{' {
		t.Errorf("header of %d bytes begins with %q; the format wants alignment to 8 and a brace", n, raw[8])
	}
	got, meta, err := ReadSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	if meta["epoch"] != "12" || meta["note"] != "ä \"quoted\"" {
		t.Errorf("metadata %v", meta)
	}
	if !slices.Equal(got.Names(), sd.Names()) {
		t.Errorf("names %v, written %v", got.Names(), sd.Names())
	}
	for _, n := range sd.Names() {
		a, b := sd.Get(n), got.Get(n)
		if b == nil || !slices.Equal(a.Shape, b.Shape) || !slices.Equal(a.F32, b.F32) || !slices.Equal(a.I64, b.I64) {
			t.Errorf("%s: %v, written %v", n, b, a)
		}
	}
}

// file puts a header and data bytes together.
func file(header string, data int) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, uint64(len(header)))
	b.WriteString(header)
	b.Write(make([]byte, data))
	return b.Bytes()
}

// TestByHand reads a file as other programs write it: names not in the order of the data, spaces, no metadata.
func TestByHand(t *testing.T) {
	raw := file(`{"b": {"dtype":"F32","shape":[2],"data_offsets":[8,16]}, "a":{"shape":[],"dtype":"I64","data_offsets":[0,8]}}   `, 16)
	sd, meta, err := Decode(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if len(meta) != 0 || !slices.Equal(sd.Names(), []string{"a", "b"}) || len(sd.Get("a").I64) != 1 || len(sd.Get("b").F32) != 2 {
		t.Errorf("read %v, %v", sd.Names(), meta)
	}
}

func TestHostileFiles(t *testing.T) {
	one := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for what, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"empty":             {nil, "too few"},
		"huge header":       {append([]byte{255, 255, 255, 255, 255, 255, 255, 255}, make([]byte, 100)...), "header claims"},
		"header too long":   {file("{}", 0)[:9], "header claims"},
		"no JSON":           {file("hello", 0), "header"},
		"an array":          {file("[]", 0), "expected a JSON object"},
		"trailing text":     {file("{} {}", 0), "follows"},
		"twice":             {file(one+`,"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8), "twice"},
		"unknown type":      {file(`{"a":{"dtype":"BOOL","shape":[8],"data_offsets":[0,8]}}`, 8), "only F32 and I64"},
		"huge shape":        {file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0), "does not fit"},
		"huge axes, none":   {file(`{"a":{"dtype":"F32","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]}}`, 0), "does not fit"},
		"negative shape":    {file(`{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}`, 8), "does not fit"},
		"shape and size":    {file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), "does not fit"},
		"beyond the end":    {file(one+"}", 4), "does not fit"},
		"overlap":           {file(one+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "expected 8 bytes from 8"},
		"gap":               {file(one+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16), "expected 4 bytes from 8"},
		"negative offset":   {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 0), "does not fit"},
		"data left over":    {file(one+"}", 12), "end at byte 8"},
		"metadata not text": {file(`{"__metadata__":{"a":1}}`, 0), "__metadata__"},
	} {
		_, _, err := Decode(bytes.NewReader(c.raw), int64(len(c.raw)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, expected %q", what, err, c.want)
		}
	}
}

func TestReadErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.safetensors")
	if err := os.WriteFile(path, []byte("not one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadSafetensors(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if _, _, err := ReadSafetensors(filepath.Dir(path)); err == nil {
		t.Error("a folder was read")
	}
}

func TestWriteRefusesBadTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for _, bad := range []*Tensor{{Shape: []int{2}, F32: make([]float32, 3)}, {Shape: []int{1}, F32: []float32{1}, I64: []int64{1}}, {Shape: []int{1}}} {
		sd := NewStateDict()
		sd.Set("x", bad)
		if err := WriteSafetensors(path, sd, nil); err == nil || !strings.Contains(err.Error(), "tensor x") {
			t.Errorf("error %v", err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}

func TestWant(t *testing.T) {
	sd := example()
	for want, err := range map[string]error{
		"x is missing":                  second(sd.Want("x", 1)),
		"has shape [2 3], expected [6]": second(sd.Want("z.weight", 6)),
		"is not float32":                second(sd.Want("a.num_batches_tracked")),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, expected %q", err, want)
		}
	}
	if got, err := sd.Want("z.weight", 2, 3); err != nil || got.Len() != 6 {
		t.Errorf("%v, %v", got, err)
	}
}

func second(_ *Tensor, err error) error { return err }

func TestCloneSharesNothing(t *testing.T) {
	sd := example()
	c := sd.Clone()
	c.Get("z.weight").F32[0] = 99
	c.Set("new", NewScalar(1))
	if sd.Get("z.weight").F32[0] == 99 || sd.Get("new") != nil || sd.Len() != 4 {
		t.Error("the copy shares values")
	}
}

func FuzzDecode(f *testing.F) {
	for _, header := range []string{"{}", `{"__metadata__":{"a":"b"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}`, `{"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`} {
		f.Add(file(header, 8))
		f.Add(file(header, 0))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		sd, _, err := Decode(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return
		}
		for _, n := range sd.Names() {
			if err := sd.Get(n).Check(); err != nil {
				t.Fatal(fmt.Errorf("%q %w", n, err))
			}
		}
	})
}
