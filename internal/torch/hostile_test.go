package torch

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
)

// array pickles a NumPy array of one axis with a dtype and its bytes, as protocol 2 does.
func array(dtype string, n int, data string) string {
	var b strings.Builder
	b.WriteString("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K" + string(rune(n)) + "\x85cnumpy\ndtype\nX")
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(dtype))))
	b.WriteString(dtype + "\x85R(K\x03X\x01\x00\x00\x00<tb\x89B")
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(data))))
	b.WriteString(data + "tb")
	return b.String()
}

func TestPickledText(t *testing.T) {
	tests := map[string]struct {
		program string
		want    any
	}{
		"U":      {"\x80\x02" + array("U2", 2, "a\x00\x00\x00\x00\x00\x00\x00\xe4\x00\x00\x00b\x00\x00\x00") + ".", []any{"a", "äb"}},
		"S":      {"\x80\x02" + array("S3", 2, "ab\x00abc") + ".", []any{"ab", "abc"}},
		"scalar": {"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00U1\x85RC\x04x\x00\x00\x00\x86R.", "x"},
		"objects": {"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R" +
			"(K\x03X\x01\x00\x00\x00|tb\x89](X\x01\x00\x00\x00aK\x07etb.", []any{"a", int64(7)}},
		"protocol 5": {"\x80\x05cnumpy.core.numeric\n_frombuffer\n(\x96\x02\x00\x00\x00\x00\x00\x00\x00\x05\x06cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85RK\x02\x85X\x01\x00\x00\x00CtR.",
			[]any{int64(5), int64(6)}},
	}
	for name, test := range tests {
		if got, err := decodePickle([]byte(test.program)); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v (%v), want %v", name, got, err, test.want)
		}
	}
	for name, program := range map[string]string{
		"too few bytes": "\x80\x02" + array("U2", 2, "a\x00\x00\x00") + ".",
		"endless text":  "\x80\x02" + array("U999999999", 1, "") + ".",
		"dates":         "\x80\x02" + array("M8", 1, "12345678") + ".",
	} {
		if v, err := decodePickle([]byte(program)); err == nil {
			t.Errorf("%s: got %v", name, v)
		}
	}
}

// maxHostile is the memory that no hostile file may make us take, in bytes.
const maxHostile = 200 << 20

// TestHostilePicklesTakeLittleMemory counts every allocation, also what the collector freed meanwhile.
func TestHostilePicklesTakeLittleMemory(t *testing.T) {
	size := maxPickle - 100
	repeat := func(start, s, end string) []byte {
		return []byte(start + strings.Repeat(s, (size-len(start)-len(end))/len(s)) + end)
	}
	gigabyte := []byte("\x80\x04\x8e\x00\x00\x00\x40\x00\x00\x00\x00x.")
	tests := map[string]struct {
		program []byte
		want    string
	}{
		"nothing, ten million times": {repeat("\x80\x02", "N", "."), "stack"},
		"marks":                      {repeat("\x80\x02", "(", "."), "stack"},
		"empty dictionaries":         {repeat("\x80\x02](", "}0", "e."), "memory"},
		"dictionaries in a list":     {repeat("\x80\x02]", "}a", "."), "memory"},
		"numbers in a list":          {repeat("\x80\x02]", "M\xff\xffa", "."), "memory"},
		"one list recalled":          {repeat("\x80\x02]q\x00](", strings.Repeat("h\x00", 500)+"e(", "."), ""},
		"memos":                      {repeat("\x80\x04N", "\x94", "."), "memory"},
		"memos out of order":         {repeat("\x80\x02N", "r\x00\x00\x00\xf0", "."), ""},
		"calls":                      {repeat("\x80\x02ccollections\nOrderedDict\nq\x000]", "h\x00)Ra", "."), "memory"},
		"copies of a list":           {append(append([]byte("\x80\x02cbuiltins\nlist\nq\x010]("+strings.Repeat("N", 1<<17)+"eq\x000]"), bytes.Repeat([]byte("h\x01h\x00\x85Ra"), 1<<20)...), '.'), "memory"},
		"a gigabyte announced":       {gigabyte, "are left"},
		"doubling":                   {[]byte("\x80\x02" + doubling(60) + "."), "more values"},
		"recursion":                  {[]byte("\x80\x02]q\x00h\x00a."), "nested"},
		"nested":                     {[]byte("\x80\x02" + strings.Repeat("]", 5000) + strings.Repeat("a", 4999) + "."), "nested"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plans.pkl")
			if err := os.WriteFile(path, test.program, 0o644); err != nil {
				t.Fatal(err)
			}
			for form, read := range map[string]func() error{
				"pickle": func() error { _, err := ReadPickle(path); return err },
				"old": func() error {
					old := append([]byte("\x80\x02"+oldTorchStart+"\x80\x02M\xe9\x03.\x80\x02}."), test.program...)
					_, _, err := decodeTorch(bytes.NewReader(old), int64(len(old)), true)
					return err
				},
			} {
				if form == "old" && len(test.program) > 1<<20 {
					continue // the same machine
				}
				var err error
				took := testutil.Allocated(func() { err = read() })
				if err == nil || form == "pickle" && !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: got %v, want an error with %q", form, err, test.want)
				}
				if took > maxHostile {
					t.Errorf("%s: took %d MB", form, took>>20)
				}
			}
		})
	}
	long := filepath.Join(t.TempDir(), "long.pkl")
	f, err := os.Create(long)
	if err == nil {
		f.Write(gigabyte)
		err = f.Truncate(1<<30 + 20) // sparse
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var err2 error
	took := testutil.Allocated(func() {
		_, err = ReadPickle(long)
		_, err2 = ReadAny(long)
	})
	if err == nil || err2 == nil || took > maxHostile {
		t.Errorf("a gigabyte: %v, %v, %d MB", err, err2, took>>20)
	}
}
