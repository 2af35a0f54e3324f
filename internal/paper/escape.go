package paper

import (
	"strings"
	"unicode"

	"github.com/universal-classifier/uc/internal/task"
)

// plain is a text on one line, without control characters, in valid UTF-8.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case task.IsControl(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

var texSpecial = strings.NewReplacer(
	`\`, `\textbackslash{}`, `{`, `\{`, `}`, `\}`, `$`, `\$`, `&`, `\&`, `#`, `\#`, `%`, `\%`, `_`, `\_`,
	`~`, `\textasciitilde{}`, `^`, `\textasciicircum{}`, `<`, `\textless{}`, `>`, `\textgreater{}`, `|`, `\textbar{}`,
	`"`, `\textquotedbl{}`, `'`, `\textquotesingle{}`, "`", `\textasciigrave{}`,
	`μ`, `\textmu{}`, `µ`, `\textmu{}`, `±`, `\textpm{}`, `×`, `\texttimes{}`, `≥`, `\ensuremath{\geq}`, `≤`, `\ensuremath{\leq}`,
)

// tex is a text for LaTeX, with every character that is one of its commands taken as itself. Characters beyond those
// that pdfLaTeX knows in UTF-8 are for XeLaTeX and LuaLaTeX, which the document also compiles with.
func tex(text string) string {
	text = texSpecial.Replace(plain(text))
	for _, ligature := range []string{"-", ",", "?", "!"} { // -- is a dash, ,, a quotation mark
		for strings.Contains(text, ligature+ligature) {
			text = strings.ReplaceAll(text, ligature+ligature, ligature+"{}"+ligature)
		}
	}
	if strings.HasPrefix(text, "[") || strings.HasPrefix(text, "*") { // options of the end of the row before
		text = "{" + text[:1] + "}" + text[1:]
	}
	return text
}

var markdownSpecial = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `{`, `\{`, `}`, `\}`, `[`, `\[`, `]`, `\]`, `<`, `&lt;`, `>`, `&gt;`, `&`, `&amp;`,
	`#`, `\#`, `|`, `\|`, `~`, `\~`, `$`, `\$`, `!`, `\!`, `@`, `\@`,
)

// markdown is a text for Markdown, also in the cell of a table.
func markdown(text string) string { return markdownSpecial.Replace(plain(text)) }
