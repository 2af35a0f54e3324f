package cli

import (
	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/marks"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// excludeFlag adds --exclude, the table of cases that a reader marked.
func excludeFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "exclude", "", "table `CSV` as uc view writes it, with the columns case and mark: cases marked exclude are left out of planning, folds and training; "+
		"those marked relabel are named and keep the classes of dataset.json. Give it in every run, or the cases are back")
}

// excluded are the cases of a task that the table at path leaves out. It says what it makes of the table; an empty path
// leaves out none.
func excluded(path string, t *task.Task, r progress.Reporter) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	table, err := marks.Read(path)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, c := range t.Dataset.Cases {
		known[c.ID] = true
	}
	var out, unknown []string
	var relabel []string
	for _, m := range table.Marks {
		switch {
		case !known[m.Case]:
			unknown = append(unknown, m.Case)
		case m.Action == marks.Exclude:
			out = append(out, m.Case)
			r.Note("%s: case %s is excluded%s", t.Name, m.Case, because(m))
		default:
			relabel = append(relabel, m.Case+because(m))
		}
	}
	if len(relabel) > 0 {
		r.Warn("%s: %s marked relabel; the classes of dataset.json are used as they are, so correct them there: %s",
			path, words.CountOf(len(relabel), "case is", "cases are"), words.Some(relabel))
	}
	if len(unknown) > 0 {
		r.Warn("%s: %s not in dataset.json: %s", path, words.CountOf(len(unknown), "marked case is", "marked cases are"), words.Some(unknown))
	}
	r.Note("%s: %s excluded, %d left", t.Name, words.CountOf(len(out), "case is", "cases are"), len(t.Dataset.Cases)-len(out))
	return out, nil
}

func because(m marks.Mark) string {
	if m.Comment == "" {
		return ""
	}
	return " (" + m.Comment + ")"
}
