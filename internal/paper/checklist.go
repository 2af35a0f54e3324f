package paper

import (
	"fmt"
	"strings"
)

// checklist is a reporting guideline.
type checklist struct {
	title, source string
	items         []item
}

// item is an item of a checklist. number and topic are those of the guideline, asks is what it wants, in short. where
// is what the program answers it with, or empty, and rest what is left for the authors, or empty if nothing is.
type item struct {
	section, number, topic, asks string
	answer                       func(f *Facts) (where, rest string)
}

// yours is the answer to an item that only the authors know.
func yours(*Facts) (where, rest string) { return "", "all of it" }

// at answers an item from the files, with what is left.
func at(where, rest string) func(*Facts) (string, string) {
	return func(*Facts) (string, string) { return where, rest }
}

// checklist writes a checklist as a table of Markdown.
func (f *Facts) checklist(c checklist) string {
	var b strings.Builder
	answered, partly := 0, 0
	var rows strings.Builder
	section := ""
	for _, i := range c.items {
		if i.section != section {
			section = i.section
			fmt.Fprintf(&rows, "\n## %s\n\n| item | topic | asks for | answered in | left for you |\n|---|---|---|---|---|\n", markdown(section))
		}
		where, rest := i.answer(f)
		left := ""
		switch {
		case rest == "":
			answered++
		case where != "":
			partly++
			left = you + ": " + markdown(rest)
		default:
			left = you
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s |\n", i.number, markdown(i.topic), markdown(i.asks), markdown(where), left)
	}
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", c.title, c.source)
	fmt.Fprintf(&b, "Filled in for %s as far as the program knows: %d of %d items are answered, %d in part; the rest is marked %s. "+
		"Copy what applies into your manuscript, replace \"answered in\" by the page, and check every line: the program does not know your manuscript.\n",
		markdown(f.Lock.Task), answered, len(c.items), partly, you)
	b.WriteString(rows.String())
	return b.String()
}
