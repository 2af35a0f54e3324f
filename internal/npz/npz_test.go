package npz

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zip"
)

// samples holds one array of every type that is written.
func samples() []Array {
	return []Array{
		{Name: "f4", Shape: []int{2, 3}, Data: []float32{0, 1.5, -2, float32(math.Inf(1)), 1e-30, 7}},
		{Name: "f8", Shape: []int{2}, Data: []float64{math.Pi, -1e300}},
		{Name: "i8", Shape: []int{1, 1, 2}, Data: []int64{math.MinInt64, 9}},
		{Name: "i4", Shape: []int{2}, Data: []int32{-5, 1 << 30}},
		{Name: "i2", Shape: []int{3}, Data: []int16{-1, 0, 300}},
		{Name: "u1", Shape: []int{2}, Data: []uint8{0, 255}},
		{Name: "b1", Shape: []int{2}, Data: []bool{true, false}},
		{Name: "scalar", Data: []float64{2}},
		{Name: "empty", Shape: []int{0, 4}, Data: []float32{}},
		{Name: "long", Shape: []int{40000}, Data: make([]float32, 40000)},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, compress := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "a.npz")
		if err := Write(path, samples(), compress); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range samples() {
			if !reflect.DeepEqual(got[want.Name], want) {
				t.Errorf("compress %v, %s: got %v, want %v", compress, want.Name, got[want.Name], want)
			}
		}
	}
}

// TestNumPyBytes reads what numpy.save writes for each type, byte for byte.
func TestNumPyBytes(t *testing.T) {
	const pad = "20"
	for _, test := range []struct {
		header string
		data   string
		want   Array
	}{
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "0000803f000000c0", Array{Shape: []int{2}, Data: []float32{1, -2}}},
		{"{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", "0001fffe", Array{Shape: []int{2}, Data: []int16{1, -2}}},
		{"{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }", "01fe", Array{Shape: []int{2}, Data: []int16{1, -2}}},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (1,), }", "ffff", Array{Shape: []int{1}, Data: []int32{65535}}},
		{"{'descr': '<u4', 'fortran_order': False, 'shape': (1,), }", "ffffffff", Array{Shape: []int{1}, Data: []int64{4294967295}}},
		{"{'descr': '<f2', 'fortran_order': False, 'shape': (4,), }", "003c00c0010000fc", Array{Shape: []int{4}, Data: []float32{1, -2, 1.0 / (1 << 24), float32(math.Inf(-1))}}},
		{"{'descr': '|b1', 'fortran_order': False, 'shape': (), }", "01", Array{Data: []bool{true}}},
		{"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", "000301040205", Array{Shape: []int{2, 3}, Data: []uint8{0, 1, 2, 3, 4, 5}}},
	} {
		length := (10+len(test.header)+1+63)/64*64 - 10
		raw := "934e554d5059" + "0100" + fmt.Sprintf("%02x%02x", length&255, length>>8) + hex.EncodeToString([]byte(test.header)) +
			strings.Repeat(pad, length-1-len(test.header)) + "0a" + test.data
		b, err := hex.DecodeString(raw)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.npy")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadNPY(path)
		if err != nil {
			t.Errorf("%s: %v", test.header, err)
			continue
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.header, got, test.want)
		}
		if strings.Contains(test.header, "<f4") {
			again := filepath.Join(t.TempDir(), "b.npy")
			if err := WriteNPY(again, got); err != nil {
				t.Fatal(err)
			}
			if written, _ := os.ReadFile(again); !bytes.Equal(written, b) {
				t.Errorf("wrote %q, numpy writes %q", written, b)
			}
		}
	}
}

func TestMapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npy")
	want := []float32{1, 2, 3, 4, 5, 6}
	if err := WriteNPY(path, Array{Shape: []int{1, 2, 3}, Data: want}); err != nil {
		t.Fatal(err)
	}
	m, err := OpenMapped(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.Data, want) || !reflect.DeepEqual(m.Shape, []int{1, 2, 3}) {
		t.Errorf("got %v %v", m.Shape, m.Data)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := WriteNPY(path, Array{Shape: []int{2}, Data: []int64{1, 2}}); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenMapped(path); !errors.Is(err, ErrFormat) {
		t.Errorf("int64 file: got %v, want ErrFormat", err)
	}
}

func TestBadFilesAreErrors(t *testing.T) {
	good := string(formatHeader("<f4", []int{2})) + "12345678"
	for name, content := range map[string]string{
		"empty":         "",
		"no signature":  strings.Repeat("x", 200),
		"cut short":     good[:len(good)-1],
		"huge claim":    string(formatHeader("<f4", []int{1 << 40})),
		"overflow":      string(formatHeader("<f4", []int{1 << 40, 1 << 40})),
		"negative":      string(formatHeader("<f4", []int{-1})),
		"objects":       string(formatHeader("|O", []int{1})),
		"strings":       string(formatHeader("<U3", []int{1})),
		"version 9":     good[:6] + "\x09" + good[7:],
		"no dictionary": magic + "\x01\x00\x02\x00{}",
	} {
		path := filepath.Join(t.TempDir(), "a.npy")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadNPY(path); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
}

func TestDamagedArchives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := Write(path, samples(), true); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(whole, []byte("f4.npy"))+40] ^= 0x55
	for name, content := range map[string][]byte{"cut": whole[:len(whole)/2], "flipped": flipped, "empty": nil} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
	if err := Write(path, []Array{{Name: "x", Shape: []int{3}, Data: []float32{1}}}, false); err == nil {
		t.Error("an array that does not fill its shape was written")
	}
	if err := Write(path, []Array{{Name: "../x", Shape: []int{1}, Data: []float32{1}}}, false); err == nil {
		t.Error("a path was taken as an array's name")
	}
}

func FuzzReadArray(f *testing.F) {
	var b bytes.Buffer
	for _, a := range samples()[:8] {
		b.Reset()
		if err := writeArray(&b, a); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := readArray(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		if _, n, err := describe(a.Data); err != nil || n > len(content) {
			t.Fatalf("read %d elements from %d bytes (%v)", n, len(content), err)
		}
	})
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	entry, err := w.Create("a.npy")
	if err != nil {
		f.Fatal(err)
	}
	if err := writeArray(entry, samples()[0]); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	path := filepath.Join(f.TempDir(), "a.npz")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		Read(path)
	})
}

func BenchmarkWriteCompressed(b *testing.B) {
	data := make([]float32, 1<<22)
	for i := range data {
		data[i] = float32(math.Sin(float64(i)/50)) * float32(i%97)
	}
	path := filepath.Join(b.TempDir(), "a.npz")
	b.SetBytes(int64(4 * len(data)))
	for b.Loop() {
		if err := Write(path, []Array{{Name: "data", Shape: []int{len(data)}, Data: data}}, true); err != nil {
			b.Fatal(err)
		}
	}
}
