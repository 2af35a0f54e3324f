package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const docs = "../../docs"

func TestReferencePageIsCurrent(t *testing.T) {
	var want strings.Builder
	if err := WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(docs, "reference", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Error("docs/reference/commands.md differs from the commands; run: go generate ./internal/cli")
	}
}

// Every command shows an example, says what each flag does, and its help names every flag that the page names.
func TestHelpAndReferenceAgree(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(docs, "reference", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range strings.Split(string(page), "\n## ")[1:] {
		title, body, _ := strings.Cut(s, "\n")
		sections[title] = body
	}
	var all []*cobra.Command
	var gather func(cmd *cobra.Command)
	gather = func(cmd *cobra.Command) {
		for _, c := range visibleCommands(cmd) {
			all = append(all, c)
			gather(c)
		}
	}
	gather(newRoot())
	for _, cmd := range all {
		if !cmd.Runnable() {
			continue
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		var help strings.Builder
		writeHelp(&help, cmd)
		section := sections[cmd.CommandPath()]
		documented := regexp.MustCompile("(?m)^\\| `(-[^`]*)` \\|").FindAllStringSubmatch(section, -1)
		inHelp := 0
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			inHelp++
			if f.Usage == "" {
				t.Errorf("%s: %s says nothing of what it does", cmd.CommandPath(), f.Name)
			}
			for _, s := range spellings(f) {
				if !strings.Contains(help.String(), s) || !strings.Contains(section, s) {
					t.Errorf("%s: %s is missing in the help or in the page", cmd.CommandPath(), s)
				}
			}
		})
		if len(documented) != inHelp {
			t.Errorf("%s: %d flags in the page, %d in the help", cmd.CommandPath(), len(documented), inHelp)
		}
	}
}

var ucLine = regexp.MustCompile(`^(?:\$ )?(?:bin/)?(?:uc|bash scripts/(uc_\w+)\.sh) (.*)$`)

// Every uc command line in the documentation, and in the examples of the help, is one that uc understands.
func TestDocumentedCommandsParse(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	deeper, _ := filepath.Glob(filepath.Join(docs, "*", "*.md"))
	files = append(append(files, deeper...), "../../README.md")
	lines := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range shellLines(string(text)) {
			lines++
			if err := parses(line); err != nil {
				t.Errorf("%s: %s: %v", file, line, err)
			}
		}
	}
	if lines < 20 {
		t.Errorf("found only %d command lines in the documentation", lines)
	}
}

// shellLines finds the lines of ```sh blocks that call uc, with continued lines joined and comments dropped.
func shellLines(markdown string) []string {
	var out []string
	inside := false
	for _, line := range strings.Split(strings.ReplaceAll(markdown, "\\\n", " "), "\n") {
		if strings.HasPrefix(line, "```") {
			inside = strings.HasPrefix(line, "```sh")
			continue
		}
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		if inside && ucLine.MatchString(line) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// parses reports whether uc would accept a command line, without running it.
func parses(line string) error {
	m := ucLine.FindStringSubmatch(line)
	args := strings.Fields(strings.Trim(m[2], `"`))
	for i, a := range args {
		if strings.HasPrefix(a, ">") || a == "|" || a == "&&" {
			args = args[:i]
			break
		}
	}
	switch m[1] { // a wrapper takes the data root first
	case "uc_plan_and_preprocess":
		args = append([]string{"plan-and-preprocess"}, args[1:]...)
	case "uc_train":
		args = append([]string{"train"}, args[1:]...)
	case "uc_predict":
		args = append([]string{"predict"}, args[1:]...)
	}
	root := newRoot()
	cmd, own := commandOf(root, args)
	if cmd == root {
		if len(args) > 0 && args[0] != "help" && args[0] != "--help" {
			return usagef("unknown command %q", args[0])
		}
		return nil
	}
	rest, err := translate(cmd, own)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return flagError(cmd, err)
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
