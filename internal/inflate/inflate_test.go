package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

func pack(t testing.TB, b []byte, level int) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpack reads a stream as it comes and again ahead, and once more without machine code; all must give the same.
func unpack(packed []byte) ([]byte, error) {
	got, err := readAll(bytes.NewReader(packed), false)
	same := func(how string, ahead bool) error {
		again, other := readAll(bytes.NewReader(packed), ahead)
		if bytes.Equal(got, again) && fmt.Sprint(err) == fmt.Sprint(other) {
			return nil
		}
		return fmt.Errorf("%d bytes and %v, but %s %d bytes and %v", len(got), err, how, len(again), other)
	}
	if err := same("ahead", true); err != nil {
		return nil, err
	}
	defer cpulevel.Use(cpulevel.Generic)()
	if err := same("in Go alone", false); err != nil {
		return nil, err
	}
	return got, err
}

func readAll(src io.Reader, ahead bool) ([]byte, error) {
	r, err := NewReader(src)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if ahead {
		r.Ahead()
	}
	return io.ReadAll(r)
}

// samples are data of every compressibility, some larger than the window and the buffers.
func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	fill := func(n int, f func(i int) byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = f(i)
		}
		return b
	}
	skewed := fill(900_000, func(int) byte { return byte(min(255, rng.ExpFloat64()*9)) })
	far := fill(700_000, func(int) byte { return byte(rng.Uint32()) })
	for i := window; i < len(far); i += window { // matches at the largest distance
		copy(far[i:min(i+9000, len(far))], far[i-window:])
	}
	period := make([]byte, 0, 500_000)
	for n := 1; len(period) < 400_000; n++ { // matches of every small distance
		unit := fill(n%40+1, func(int) byte { return byte(rng.Uint32()) })
		period = append(period, bytes.Repeat(unit, 1+rng.IntN(50))...)
	}
	return map[string][]byte{
		"empty":  nil,
		"one":    {7},
		"short":  []byte("a short text, a short text"),
		"zeros":  make([]byte, 1_000_000),
		"random": fill(600_000, func(int) byte { return byte(rng.Uint32()) }),
		"skewed": skewed,
		"far":    far,
		"period": period,
		"voxels": fill(1_200_000, func(i int) byte {
			if i%2 == 1 {
				return 1
			}
			return byte(40 + 12*rng.NormFloat64())
		}),
	}
}

func TestSameAsCompressGzip(t *testing.T) {
	for name, want := range samples() {
		for _, level := range []int{gzip.HuffmanOnly, 0, 1, 6, 9} {
			got, err := unpack(pack(t, want, level))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, level %d: %d bytes of %d, equal %v, error %v", name, level, len(got), len(want), bytes.Equal(got, want), err)
			}
		}
	}
}

func TestReadersOfEverySize(t *testing.T) {
	want := samples()["skewed"][:60_000]
	packed := pack(t, want, 6)
	for name, wrap := range map[string]func(io.Reader) io.Reader{"one byte": iotest.OneByteReader, "halves": iotest.HalfReader, "data with EOF": iotest.DataErrReader} {
		got, err := readAll(wrap(bytes.NewReader(packed)), true)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	broken := errors.New("broken")
	if _, err := readAll(io.MultiReader(bytes.NewReader(packed[:5000]), iotest.ErrReader(broken)), true); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestMembersHeadersAndPadding(t *testing.T) {
	var full bytes.Buffer
	z := gzip.NewWriter(&full)
	z.Name, z.Comment, z.Extra = "scan.nii", "a comment", []byte("extra")
	z.Write([]byte("two"))
	z.Close()
	packed := append(pack(t, []byte("one "), 6), full.Bytes()...)
	packed = append(packed, make([]byte, 300)...)
	got, err := unpack(packed)
	if err != nil || string(got) != "one two" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSurplus reads streams with something behind the last member. What begins like a member must be one.
func TestSurplus(t *testing.T) {
	member := pack(t, []byte("data "), 6)
	for name, test := range map[string]struct {
		tail    string
		surplus bool
		err     error
	}{
		"nothing":               {"", false, nil},
		"zeros":                 {"\x00\x00\x00", false, nil},
		"newline":               {"\n", true, nil},
		"text":                  {"-- end of upload --", true, nil},
		"zeros, then text":      {"\x00\x00 trailer", true, nil},
		"much":                  {strings.Repeat("x", 3*inSize), true, nil},
		"half a signature":      {"\x1f", true, nil},
		"a signature":           {"\x1f\x8b", false, io.ErrUnexpectedEOF},
		"a member cut off":      {string(member[:len(member)-3]), false, io.ErrUnexpectedEOF},
		"a member of no method": {"\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00", false, ErrCorrupt},
	} {
		packed := append(slices.Concat(member, member), test.tail...)
		if got, err := unpack(packed); !errors.Is(err, test.err) || test.err == nil && string(got) != "data data " {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		for _, ahead := range []bool{false, true} {
			r, err := NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			if ahead {
				r.Ahead()
			}
			io.Copy(io.Discard, r)
			if r.Surplus() != test.surplus {
				t.Errorf("%s: surplus %v", name, r.Surplus())
			}
			r.Close()
		}
	}
	if _, err := unpack([]byte("\nno gzip at all")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no member: %v", err)
	}
}

// TestHeaderChecksum reads members whose header has its own checksum, right and wrong.
func TestHeaderChecksum(t *testing.T) {
	plain := pack(t, []byte("data"), 6)
	for name, fields := range map[string]struct {
		flags byte
		text  string
	}{
		"alone":           {2, ""},
		"behind a name":   {2 | 8, "scan.nii\x00"},
		"behind them all": {2 | 4 | 8 | 16, "\x03\x00abcscan.nii\x00a comment\x00"},
	} {
		head := append(bytes.Clone(plain[:10]), fields.text...)
		head[3] = fields.flags
		sum := crc32.ChecksumIEEE(head)
		for wrong := range 3 {
			packed := append(bytes.Clone(head), byte(sum), byte(sum>>8))
			if wrong > 0 {
				packed[len(packed)-wrong] ^= 0x10
			}
			got, err := unpack(append(packed, plain[10:]...))
			if wrong == 0 && (err != nil || string(got) != "data") || wrong > 0 && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, wrong %d: %q, %v", name, wrong, got, err)
			}
		}
	}
}

// TestManyMembers reads more members than end within a part, most of them empty; a damaged checksum ends the data
// before it.
func TestManyMembers(t *testing.T) {
	var packed, want []byte
	for i := range 5 * maxEnds {
		b := bytes.Repeat([]byte{byte(i)}, i%3/2*i)
		packed, want = append(packed, pack(t, b, 6)...), append(want, b...)
	}
	if got, err := unpack(packed); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	at := len(packed)
	packed = append(packed, pack(t, []byte("the last one"), 6)...)
	packed[len(packed)-8] ^= 1
	if got, err := unpack(packed); !errors.Is(err, ErrCorrupt) || !bytes.HasPrefix(got, want) {
		t.Errorf("checksum behind byte %d damaged: %d bytes, %v", at, len(got), err)
	}
}

// TestCloseAhead leaves a stream at every stage; nothing is left behind that reads on.
func TestCloseAhead(t *testing.T) {
	packed := pack(t, samples()["zeros"], 6)
	for _, n := range []int64{0, 1, outSize, 3 * outSize, 1_000_000} {
		r, err := NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		r.Ahead()
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			t.Error(err)
		}
		r.Close()
		select {
		case <-r.gone:
		default:
			t.Errorf("still decompressing after %d bytes", n)
		}
	}
}

// TestTruncated cuts streams everywhere: always io.ErrUnexpectedEOF.
func TestTruncated(t *testing.T) {
	for name, level := range map[string]int{"short": 6, "voxels": 6, "random": 0} {
		want := samples()[name]
		want = want[:min(len(want), 3000)]
		packed := pack(t, want, level)
		for n := range packed {
			got, err := unpack(packed[:n])
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut to %d of %d bytes: %d bytes, %v", name, n, len(packed), len(got), err)
			}
		}
	}
}

// TestDamaged flips bits: an error or, in the parts of the header that say nothing, the same data.
func TestDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	want := samples()["skewed"][:5000]
	packed := pack(t, want, 6)
	for range 3000 {
		b := bytes.Clone(packed)
		at := rng.IntN(len(b))
		b[at] ^= 1 << rng.IntN(8)
		got, err := unpack(b)
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("byte %d damaged: other data without an error", at)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("byte %d damaged: %v", at, err)
		}
	}
}

// FuzzReader compares with compress/gzip: whatever that accepts must give the same bytes.
func FuzzReader(f *testing.F) {
	for _, b := range samples() {
		f.Add(pack(f, b[:min(len(b), 500)], 6))
		f.Add(pack(f, b[:min(len(b), 500)], 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		got, err := unpack(b)
		z, other := gzip.NewReader(bytes.NewReader(b))
		if other != nil {
			return
		}
		want, other := io.ReadAll(z)
		if other == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Fatalf("%d bytes, %v; compress/gzip reads %d", len(got), err, len(want))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	for name, data := range samples() {
		if len(data) < 1000 {
			continue
		}
		packed := pack(b, data, 6)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(packed))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
