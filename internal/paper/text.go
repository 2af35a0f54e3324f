package paper

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// section is a heading with paragraphs, in which [@key] cites the bibliography and everything else is plain text.
type section struct {
	title      string
	paragraphs []string
}

// text is a sequence of sections.
type text []section

var citation = regexp.MustCompile(`\[@[a-z0-9]+(; @[a-z0-9]+)*\]`)

// quoted keeps what is in a name from being taken for a citation.
func quoted(name string) string { return strings.ReplaceAll(plain(name), "[@", "[ @") }

// cited returns the keys of a citation.
func cited(match string) []string {
	var keys []string
	for _, part := range strings.Split(strings.Trim(match, "[]"), ";") {
		keys = append(keys, strings.TrimPrefix(strings.TrimSpace(part), "@"))
	}
	return keys
}

// keys are the works cited, in the order of the text.
func (t text) keys() []string {
	var keys []string
	for _, s := range t {
		for _, p := range s.paragraphs {
			for _, match := range citation.FindAllString(p, -1) {
				for _, key := range cited(match) {
					if !slices.Contains(keys, key) {
						keys = append(keys, key)
					}
				}
			}
		}
	}
	return keys
}

// render writes a paragraph with the texts between citations and the citations as the functions do.
func render(p string, words func(string) string, cite func(keys []string) string) string {
	var b strings.Builder
	for {
		at := citation.FindStringIndex(p)
		if at == nil {
			b.WriteString(words(p))
			return b.String()
		}
		before, after := p[:at[0]], ""
		if strings.HasSuffix(before, " ") { // words take spaces off their ends
			after = " "
		}
		b.WriteString(words(before) + after + cite(cited(p[at[0]:at[1]])))
		if p = p[at[1]:]; strings.HasPrefix(p, " ") {
			b.WriteString(" ")
		}
	}
}

// markdown writes the text with citations as Pandoc reads them.
func (t text) markdown() string {
	var b strings.Builder
	b.WriteString("# Methods\n")
	for _, s := range t {
		fmt.Fprintf(&b, "\n## %s\n", markdown(s.title))
		for _, p := range s.paragraphs {
			b.WriteString("\n" + render(p, markdown, func(keys []string) string { return "[@" + strings.Join(keys, "; @") + "]" }) + "\n")
		}
	}
	return b.String()
}

// latex writes the text as sections of a LaTeX document.
func (t text) latex() string {
	var b strings.Builder
	b.WriteString("\\section{Methods}\n")
	for _, s := range t {
		fmt.Fprintf(&b, "\n\\subsection{%s}\n", tex(s.title))
		for _, p := range s.paragraphs {
			words := render(p, tex, func(keys []string) string { return "\\cite{" + strings.Join(keys, ",") + "}" })
			b.WriteString("\n" + strings.ReplaceAll(words, " \\cite", "~\\cite") + "\n")
		}
	}
	return b.String()
}
