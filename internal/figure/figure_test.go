package figure

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostile is a name that no format may take for its own syntax.
const hostile = `<b>&"' ]]> \{%$#_^~} (x) ` + "\x00\x1b\ufffe\u202e\ufeff\xff)"

func example() *Figure {
	nan := math.NaN()
	return &Figure{Title: "Example " + hostile, Description: "All marks.", Panels: []Panel{
		{Title: "ROC " + hostile, X: Unit("1 - specificity"), Y: Unit("sensitivity"), Marks: []Mark{
			Band{Name: "95 % band", X: []float64{0, 0.5, 1}, Low: []float64{0, 0.4, 1}, High: []float64{0.5, 0.9, 1}, Colour: Series(0)},
			Line{Points: []Point{{0, 0}, {1, 1}}, Colour: Grey, Dashed: true, Width: 1},
			Line{Name: hostile, Points: []Point{{0, 0}, {0.1, 0.6}, {nan, nan}, {0.5, 0.9}, {nan, 1}, {0.9, 0.95}, {1, 1}}, Colour: Series(0)},
			Dots{Name: "operating point", At: []Point{{0.2, 0.8}, {nan, 1}}, X: []Range{{0.1, 0.3}}, Y: []Range{{0.7, 0.9}}, Labels: []string{"at " + hostile}, Colour: Series(1)},
			Words{At: Point{0.7, 0.3}, Text: "α β Ж 漢字 😀", Size: 10, Bold: true, Colour: Ink},
			Note{Text: "no curve: " + strings.Repeat("long ", 80), Colour: Series(2)},
		}},
		{X: Axis{Label: "epoch", Whole: true}, Y: Axis{Label: "loss"}, Height: 150, Marks: []Mark{
			Line{Name: "training", Points: []Point{{1, 0.7}, {2, 0.5}, {3, 0.42}}, Colour: Series(1), Pale: true},
			Dots{At: []Point{{3, 0.42}}, Ring: true, Colour: Ink},
			Box{From: Point{1.2, 0.45}, To: Point{1.6, 0.5}, Fill: Series(3).Towards(White, 0.5), Label: "box"},
		}},
	}}
}

// strings of an SVG: its character data and its attributes.
func svgStrings(t *testing.T, raw []byte) []string {
	t.Helper()
	var found []string
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, raw)
		}
		switch token := token.(type) {
		case xml.CharData:
			found = append(found, string(token))
		case xml.StartElement:
			if name := token.Name.Local; name == "b" || name == "script" {
				t.Errorf("a name became the element %s", name)
			}
			for _, a := range token.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s=%q", a.Name.Local, a.Value)
				}
				found = append(found, a.Value)
			}
		}
	}
}

func TestSVGHoldsNamesAsText(t *testing.T) {
	var b bytes.Buffer
	if err := example().SVG(&b); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(svgStrings(t, b.Bytes()), "\n")
	for _, want := range []string{`<b>&"' ]]> \{%$#_^~} (x)`, "95 % band", "box", "漢字 😀", "sensitivity", "no curve: long", "\u2026"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, r := range all {
		if r < ' ' && r != '\n' || r == '\u202e' {
			t.Errorf("control character %q", r)
		}
	}
}

func TestPDFIsWholeAndReproducible(t *testing.T) {
	var first, second bytes.Buffer
	if err := example().PDF(&first); err != nil {
		t.Fatal(err)
	}
	if err := example().PDF(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same figure gave other bytes")
	}
	raw := first.Bytes()
	if !bytes.HasPrefix(raw, []byte("%PDF-1.")) || !bytes.HasSuffix(bytes.TrimSpace(raw), []byte("%%EOF")) {
		t.Errorf("starts with %q, ends with %q", raw[:8], raw[len(raw)-8:])
	}
	if !bytes.Contains(raw, []byte("/FontFile2")) {
		t.Error("the font is not embedded")
	}
	if dir := os.Getenv("UC_KEEP_PICTURES"); dir != "" {
		if _, err := example().Write(filepath.Join(dir, "example")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		whole     bool
		want      string
	}{
		{0, 1, false, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{0.93, 1.27, false, "0.95 1.00 1.05 1.10 1.15 1.20 1.25"},
		{1, 3, true, "1 2 3"},
		{1, 50, true, "10 20 30 40 50"},
		{-2, 2, false, "-2.0 -1.5 -1.0 -0.5 0.0 0.5 1.0 1.5 2.0"},
		{0, 3e7, false, "0 5e+06 1e+07 1.5e+07 2e+07 2.5e+07 3e+07"},
		{1, 1, false, ""},
		{math.NaN(), 1, false, ""},
		{1e300, math.Nextafter(1e300, 2e300), false, ""},
	} {
		var got []string
		for _, tick := range RoundTicks(c.low, c.high, c.whole) {
			got = append(got, tick.Label)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%g to %g: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

// What is not finite, empty or of no extent is drawn all the same.
func TestOddSeries(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, m := range map[string]Mark{
		"none":     Line{},
		"one":      Line{Points: []Point{{1, 1}}},
		"nothing":  Line{Points: []Point{{nan, nan}, {inf, 1}}},
		"constant": Line{Points: []Point{{1, 0}, {2, 0}}},
		"huge":     Line{Points: []Point{{1, -1.7e308}, {2, 1.7e308}}},
		"band":     Band{X: []float64{1, 2}, Low: []float64{nan, nan}, High: []float64{1, 2}},
	} {
		f := &Figure{Panels: []Panel{{Marks: []Mark{m}}}}
		var b bytes.Buffer
		if err := f.SVG(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		svgStrings(t, b.Bytes())
		if err := f.PDF(io.Discard); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&Figure{}).SVG(io.Discard); err == nil {
		t.Error("no panels")
	}
	if err := (&Figure{Panels: []Panel{{Marks: []Mark{Band{X: []float64{1}}}}}}).SVG(io.Discard); err == nil {
		t.Error("a band without values")
	}
}

func TestLettersThatAPDFLacks(t *testing.T) {
	if !Printable("Läsion β Ж") || Printable("漢") || printable("a漢b😀") != "a?b?" {
		t.Errorf("%q", printable("Läsion β Ж a漢b😀"))
	}
}
