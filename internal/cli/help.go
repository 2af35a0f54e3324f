package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A flagGroup is a section of a command's help.
type flagGroup struct {
	title string
	flags []*pflag.Flag
}

// flagGroups sorts a command's visible flags into the reference's, this project's, and those without effect.
func flagGroups(cmd *cobra.Command) []flagGroup {
	groups := []flagGroup{
		{title: "Flags of the reference"},
		{title: "More flags"},
		{title: "Accepted, without effect"},
	}
	add := func(f *pflag.Flag) {
		i := 1
		switch {
		case f.Hidden:
			return
		case has(f, noteInert):
			i = 2
		case has(f, noteReference):
			i = 0
		}
		groups[i].flags = append(groups[i].flags, f)
	}
	cmd.InitDefaultHelpFlag()
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	kept := groups[:0]
	for _, g := range groups {
		if len(g.flags) > 0 {
			kept = append(kept, g)
		}
	}
	if len(kept) == 1 {
		kept[0].title = "Flags"
	}
	return kept
}

// flagHead is a flag as the help shows it: all spellings, then the kind of value.
func flagHead(f *pflag.Flag) string {
	kind, _ := pflag.UnquoteUsage(f)
	head := strings.Join(spellings(f), ", ")
	if kind != "" {
		head += " " + kind
	}
	return head
}

// flagText is what a flag does, with its default.
func flagText(f *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(f)
	if why := f.Annotations[noteInert]; len(why) > 0 {
		text += ": " + why[0]
	}
	switch f.DefValue {
	case "", "false", "[]", "0":
	default:
		text += " (default " + f.DefValue + ")"
	}
	return text
}

func writeHelp(w io.Writer, cmd *cobra.Command) {
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(w, "%s\n", strings.TrimRight(long, "\n"))
	if cmd.Runnable() {
		fmt.Fprintf(w, "\nUsage:\n  %s\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if subs := visibleCommands(cmd); len(subs) > 0 {
		fmt.Fprintf(w, "\nCommands:\n")
		for _, c := range subs {
			fmt.Fprintf(w, "  %-20s %s\n", c.Name(), c.Short)
		}
	}
	for _, g := range flagGroups(cmd) {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, f := range g.flags {
			fmt.Fprintf(w, "  %s\n%s", flagHead(f), wrap(flagText(f), 8, 110))
		}
	}
}

// visibleCommands lists the sub-commands and help topics that people should see.
func visibleCommands(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.Name() != "help" {
			out = append(out, c)
		}
	}
	return out
}

// wrap breaks text into lines of at most width characters, each indented.
func wrap(text string, indent, width int) string {
	var b strings.Builder
	line := strings.Repeat(" ", indent-1)
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && len(line) >= indent {
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", indent-1)
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}
