package paper

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/figure"
)

// document is a LaTeX file that puts methods, tables, figures and references together.
func (f *Facts) document(figures []drawing, tables []table) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%% Compile with: pdflatex paper; bibtex paper; pdflatex paper; pdflatex paper
%% Names in scripts that pdfLaTeX lacks need xelatex or lualatex and a font that has them.
\documentclass{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[utf8]{inputenc}
  \usepackage[T1]{fontenc}
\fi
\usepackage{textcomp}
\usepackage{graphicx}
\usepackage{booktabs}
\usepackage[margin=2cm]{geometry}
%s\title{%s: methods, tables and figures}
\author{You}
\begin{document}
\maketitle
\input{methods}
`, undeclared(figures, tables, f.methods()), tex(f.Lock.Task))
	for _, t := range tables {
		fmt.Fprintf(&b, "\\input{%s/%s}\n", tablesFolder, t.name)
	}
	for _, d := range figures {
		fmt.Fprintf(&b, "\\begin{figure}[htbp]\n\\centering\n\\includegraphics[width=0.6\\textwidth,height=0.8\\textheight,keepaspectratio]{%s/%s.pdf}\n\\caption{%s}\n\\label{fig:%s}\n\\end{figure}\n",
			figuresFolder, d.name, tex(d.caption), strings.ReplaceAll(d.name, "_", "-"))
	}
	b.WriteString("\\clearpage\n\\bibliographystyle{unsrt}\n\\bibliography{references}\n\\end{document}\n")
	return b.String()
}

// undeclared lets pdfLaTeX print "?" for characters in names that it does not know.
func undeclared(figures []drawing, tables []table, methods text) string {
	all := methods.latex()
	for _, t := range tables {
		all += t.latex()
	}
	for _, d := range figures {
		all += tex(d.caption)
	}
	unknown := map[rune]bool{}
	for _, r := range all {
		const latin, punctuation, punctuationEnd = 0x180, 0x2000, 0x206f // that inputenc and textcomp know
		if r >= latin && (r < punctuation || r > punctuationEnd) {
			unknown[r] = true
		}
	}
	if len(unknown) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\\ifPDFTeX\n")
	for _, r := range slices.Sorted(maps.Keys(unknown)) {
		fmt.Fprintf(&b, "  \\DeclareUnicodeCharacter{%04X}{?}\n", r)
	}
	b.WriteString("\\fi\n")
	return b.String()
}

// readme says what the files are and what is left to do.
func (f *Facts) readme(figures []drawing, tables []table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: for the paper\n\nWritten by uc %s from the results of %s. Nothing here was made up: what the program cannot know is marked %s.\n\n",
		markdown(f.Lock.Task), markdown(f.Lock.Program.Version), markdown(f.cohort()), you)
	b.WriteString("| file | what |\n|---|---|\n")
	for _, row := range [][2]string{
		{MethodsText, "methods section, citations as Pandoc reads them"},
		{MethodsTeX, "the same for LaTeX"},
		{BibFile, "the works cited"},
		{CardFile, "model card"},
		{TripodFile, "TRIPOD+AI checklist"},
		{ClaimFile, "CLAIM 2024 checklist"},
		{DocumentFile, "methods, tables, figures and references in one document, to compile and take from"},
		{"uc.lock", "digests of data, plans, recipe, seeds, program and results, from which the program repeats the study"},
	} {
		fmt.Fprintf(&b, "| `%s` | %s |\n", row[0], row[1])
	}
	for _, t := range tables {
		fmt.Fprintf(&b, "| `%s/%s.csv`, `.tex` | %s |\n", tablesFolder, t.name, markdown(t.caption))
	}
	lacking := false
	for _, d := range figures {
		fmt.Fprintf(&b, "| `%s/%s.pdf`, `.svg` | %s |\n", figuresFolder, d.name, markdown(d.caption))
	}
	for _, l := range f.Report.Labels {
		for _, name := range append([]string{l.Name}, l.ClassNames...) {
			lacking = lacking || !figure.Printable(plain(name))
		}
	}
	b.WriteString("\nTables need the LaTeX packages `booktabs` and `graphicx`. A new run replaces all of these files: edit copies.\n")
	if lacking {
		b.WriteString("\nSome names hold characters that the font of the PDF figures lacks; they appear there as \"?\". The SVG figures have them all.\n")
	}
	return b.String()
}
