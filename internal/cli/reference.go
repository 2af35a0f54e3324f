package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/universal-classifier/uc/internal/env"
)

//go:generate go run ../../scripts/docgen ../../docs/reference/commands.md

// WriteReference writes the page of the documentation that lists every command, flag and environment variable, as
// Markdown, from the same definitions as the help.
func WriteReference(w io.Writer) error {
	root := newRoot()
	var b strings.Builder
	b.WriteString("# Commands\n\n")
	b.WriteString("<!-- Written by `go generate ./internal/cli` from the definitions of the commands; do not edit. -->\n\n")
	b.WriteString(root.Long + "\n\n")
	b.WriteString("Results go to standard output, progress and errors to standard error. " +
		"Exit codes: 0 done, 1 the job failed (or a part of it), 2 usage error.\n\n")
	b.WriteString("Flags are accepted as Python's argparse takes them (`-tf 4`, `-t 1 2 3`, `-no_pp`) and with two dashes, an equals " +
		"sign and commas (`--tf=4`, `--tasks=1,2,3`). `_` and `-` in names are the same.\n\n")
	var topics []*cobra.Command
	for _, cmd := range visibleCommands(root) {
		if !cmd.Runnable() {
			topics = append(topics, cmd)
			continue
		}
		writeEntry(&b, cmd)
	}
	for _, cmd := range visibleCommands(root) {
		if cmd.Runnable() {
			writeCommand(&b, cmd)
		}
	}
	for _, cmd := range topics {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", cmd.Name(), cmd.Short+".")
		b.WriteString("| variable | meaning |\n|---|---|\n")
		for _, v := range env.Variables() {
			fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, v.Meaning)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeEntry writes the line of a command in the list of all, and those of its sub-commands below it.
func writeEntry(b *strings.Builder, cmd *cobra.Command) {
	path := cmd.CommandPath()
	fmt.Fprintf(b, "%s- [`%s`](#%s): %s\n", strings.Repeat("  ", strings.Count(path, " ")-1), path, strings.ReplaceAll(path, " ", "-"), lowerFirst(cmd.Short))
	for _, sub := range visibleCommands(cmd) {
		writeEntry(b, sub)
	}
}

// writeCommand writes the section of a command, and those of its sub-commands after it.
func writeCommand(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n```\n%s\n```\n\n", text, cmd.UseLine())
	fmt.Fprintf(b, "```sh\n%s\n```\n", unindent(cmd.Example))
	for _, g := range flagGroups(cmd) {
		fmt.Fprintf(b, "\n%s:\n\n| flag | meaning |\n|---|---|\n", g.title)
		for _, f := range g.flags {
			fmt.Fprintf(b, "| `%s` | %s |\n", strings.ReplaceAll(flagHead(f), "|", `\|`), strings.ReplaceAll(flagText(f), "|", `\|`))
		}
	}
	for _, sub := range visibleCommands(cmd) {
		writeCommand(b, sub)
	}
}

func unindent(s string) string {
	return strings.TrimSpace(strings.ReplaceAll("\n"+s, "\n  ", "\n"))
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
