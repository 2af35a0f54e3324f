package figure

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// faces are Liberation Sans, regular and bold. Its letters are as wide as those of Arial and Helvetica, so that what is
// measured holds for whichever of them a reader of SVG has.
var faces = sync.OnceValue(func() (f [2]*sfnt.Font) {
	for i, ttf := range [][]byte{liberationsansregular.TTF, liberationsansbold.TTF} {
		parsed, err := sfnt.Parse(ttf)
		if err != nil {
			panic(err) // it is part of the program
		}
		f[i] = parsed
	}
	return f
})

func face(bold bool) *sfnt.Font {
	if bold {
		return faces()[1]
	}
	return faces()[0]
}

// textWidth is how wide words are, in points.
func textWidth(words string, size float64, bold bool) float64 {
	const units = 1024 // per em
	var b sfnt.Buffer
	f, sum := face(bold), 0
	for _, r := range words {
		g, err := f.GlyphIndex(&b, r)
		if err != nil {
			g = 0
		}
		advance, err := f.GlyphAdvance(&b, g, fixed.I(units), font.HintingNone)
		if err != nil {
			advance = fixed.I(units / 2)
		}
		if g == 0 {
			advance = fixed.I(units) // as wide as ideographs
		}
		sum += advance.Ceil()
	}
	return float64(sum) * size / units
}

// visible is a text on one line without characters that steer its display, such as those that turn its direction.
func visible(words string) string {
	words = strings.Join(strings.Fields(words), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, words)
}

// fit cuts words that are wider than there is room.
func fit(words string, size, room float64, bold bool) string {
	words = visible(words)
	if textWidth(words, size, bold) <= room {
		return words
	}
	const dots = "\u2026"
	for words != "" && textWidth(words+dots, size, bold) > room {
		_, n := utf8.DecodeLastRuneInString(words)
		words = words[:len(words)-n]
	}
	return strings.TrimRight(words, " ") + dots
}

// printable is what the font of the PDF can show of a text, with ? in place of the rest.
func printable(words string) string {
	var b sfnt.Buffer
	return strings.Map(func(r rune) rune { // a broken byte is U+FFFD here
		if g, err := face(false).GlyphIndex(&b, r); err != nil || g == 0 || r > 0xffff || unicode.IsControl(r) {
			return '?'
		}
		return r
	}, words)
}

// Printable reports whether a PDF shows all characters of a text; the font has Latin, Greek and Cyrillic letters.
func Printable(words string) bool { return printable(words) == words }
