package dicom

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/dicom/dicomtest"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/testutil"
)

// readAll does with a file whatever a conversion would. It must come back, whatever the file holds.
func readAll(path string) error {
	h, err := readHeader(path)
	if err != nil {
		return err
	}
	for _, s := range group([]*header{h}, splits) {
		s.inspect(true)
		if len(s.Refusals) == 0 && s.Bytes() < 1<<24 {
			if _, err := s.Read(context.Background()); err != nil {
				return err
			}
		}
	}
	return h.broken
}

func samples() map[string][]byte {
	out := map[string][]byte{}
	for name, syntax := range map[string]string{
		"explicit": dicomtest.ExplicitLittle, "implicit": dicomtest.ImplicitLittle, "big": dicomtest.ExplicitBig, "deflated": dicomtest.Deflated, "rle": dicomtest.RLE,
	} {
		out[name] = dicomtest.Series{Syntax: syntax, Size: [3]int{1, 2, 4}}.Slices()[0]
	}
	out["enhanced"] = dicomtest.Encode(dicomtest.ExplicitLittle, enhanced([]int{1, 0}, nil))
	out["enhanced implicit"] = dicomtest.Encode(dicomtest.ImplicitLittle, enhanced([]int{1, 0}, nil))
	return out
}

// No part of a file is taken for the whole.
func TestTruncatedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for name, b := range samples() {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readAll(path); err != nil {
			t.Fatalf("%s: the whole file: %v", name, err)
		}
		for n := 0; n < len(b); n += 3 {
			if err := os.WriteFile(path, b[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := readHeader(path)
			if err != nil || h.broken != nil {
				continue
			}
			s := group([]*header{h}, nil)[0]
			if s.inspect(false); len(s.Refusals) > 0 {
				continue
			}
			if v, err := s.Read(context.Background()); err == nil && (name == "rle" && n < len(b)-16 || name != "rle" && name != "deflated") {
				t.Errorf("%s: %d of %d bytes give %v", name, n, len(b), v.Size)
			}
		}
	}
}

// Lengths that a file claims are not allocated, and nesting does not grow the stack.
func TestClaimsAreNotBelieved(t *testing.T) {
	explicit := func(tag uint32, vr string, length uint32) []byte {
		b := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, uint16(tag>>16)), uint16(tag))
		return binary.LittleEndian.AppendUint32(append(append(b, vr...), 0, 0), length)
	}
	itemHead := func(length uint32) []byte {
		return binary.LittleEndian.AppendUint32([]byte{0xFE, 0xFF, 0x00, 0xE0}, length)
	}
	series := []dicomtest.Element{{Tag: 0x0008103E, VR: "LO", Value: "x"}}
	start := slices.Clip(dicomtest.Encode(dicomtest.ExplicitLittle, series))
	nested := func(tag uint32) []byte {
		b := append([]byte{}, start...)
		for range 200_000 {
			b = append(append(b, explicit(tag, "SQ", undefinedLength)...), itemHead(undefinedLength)...)
		}
		return b
	}
	huge := dicomtest.Series{Size: [3]int{1, 2, 4}, Change: func(_ int, e []dicomtest.Element) []dicomtest.Element {
		e = dicomtest.Set(e, 0x00280010, "US", []uint16{65535})
		return dicomtest.Set(e, 0x00280011, "US", []uint16{65535})
	}}.Slices()[0]
	frames := dicomtest.Encode(dicomtest.ExplicitLittle, func() []dicomtest.Element {
		e := enhanced([]int{0, 1}, nil)
		return dicomtest.Set(e, 0x00280008, "IS", "100000")
	}())
	for name, c := range map[string]struct {
		b    []byte
		says string
	}{
		"unknown of 4 GB":        {append(start, explicit(0x00091010, "OB", 0xFFFFFFF0)...), "truncated"},
		"sequence of 4 GB":       {append(start, explicit(0x52009230, "SQ", 0xFFFFFFF0)...), "truncated"},
		"item of 4 GB":           {append(append(start, explicit(0x52009230, "SQ", undefinedLength)...), itemHead(0xFFFFFFF0)...), "truncated"},
		"pixels of 4 GB":         {append(start, explicit(0x7FE00010, "OW", 0xFFFFFFF0)...), "Series Instance UID"},
		"fragment of 4 GB":       {append(append(start, explicit(0x7FE00010, "OB", undefinedLength)...), itemHead(0xFFFFFFF0)...), "truncated"},
		"nested":                 {nested(0x00091010), "nested"},
		"nested, wanted":         {nested(0x52009230), "nested"},
		"65535 rows and columns": {huge, ""},
		"100,000 frames":         {frames, "100000 frames, but places for 2"},
	} {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, c.b, 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if got := testutil.Allocated(func() { err = readAll(path) }); got > 64<<20 {
			t.Errorf("%s: %d bytes were allocated", name, got)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// A broken file is told, with the series it belongs to if that can be read.
func TestBrokenFileOfASeries(t *testing.T) {
	dir := t.TempDir()
	files := dicomtest.Series{}.Slices()
	for i, b := range files {
		if i == 4 {
			b = b[:len(b)-60]
		}
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := lookOne(t, dir, ScanOptions{})
	if len(s.Refusals) != 1 || !strings.Contains(s.Refusals[0].Reason, "60 of 96 bytes of pixels are missing") || !strings.HasSuffix(s.Refusals[0].Files[0], "e") {
		t.Errorf("%v", s.Refusals)
	}
	if err := os.WriteFile(filepath.Join(dir, "e"), files[4][:170], 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := Look(context.Background(), []string{dir}, ScanOptions{}, progress.Discard)
	if err != nil || len(all.Unreadable) != 1 {
		t.Errorf("%v, unreadable %v", err, all.Unreadable)
	}
}

func TestSourceThatChangesIsRefused(t *testing.T) {
	dir := t.TempDir()
	dicomtest.Series{}.Write(t, dir)
	s := lookOne(t, dir, ScanOptions{})
	if err := os.Truncate(s.Files[1], 500); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(context.Background()); err == nil || !strings.Contains(err.Error(), s.Files[1]) {
		t.Errorf("%v", err)
	}
}

func FuzzFile(f *testing.F) {
	for _, b := range samples() {
		f.Add(b)
	}
	path := filepath.Join(f.TempDir(), "a")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(path)
	})
}

func FuzzRLE(f *testing.F) {
	f.Add(append(append([]byte{1, 0, 0, 0, 64}, make([]byte, 59)...), 2, 1, 2, 3, 0xFD, 9), 2)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		out := make([]byte, 64)
		unpackRLE(b, out, 1+(width&3))
	})
}
