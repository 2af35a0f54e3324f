package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/slurm"
	"github.com/universal-classifier/uc/internal/task"
)

// commandStatus is how a command of a task's jobs stands.
type commandStatus struct {
	Step    string   `json:"step"`
	Command string   `json:"command"`
	State   string   `json:"state"` // done, running, waiting, failed, ended, not begun
	Detail  string   `json:"detail,omitempty"`
	Job     string   `json:"job,omitempty"`
	Node    string   `json:"node,omitempty"`
	Log     string   `json:"log"`
	Last    []string `json:"last_lines,omitempty"` // of the log of what failed
}

func statusCommand() *cobra.Command {
	var dataRoot string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status TASK",
		Short: "Show how the jobs that uc submit laid out for a task stand: epochs, losses, what failed and why",
		Long: `Shows every command of uc submit: whether it is done, as its files say; whether Slurm has it waiting or running, and where; how far
it has come; and of what failed the last lines of its log.`,
		Example: `  uc status 4
  uc status --data-root /path/to/data Task004_Hippocampus --json`,
		Args: exactArgs("TASK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			folders, err := foldersOf(dataRoot)
			if err != nil {
				return err
			}
			name, err := task.FindName(folders, args[0])
			if err != nil {
				return err
			}
			g, err := jobgraph.Load(folders, name)
			if errors.Is(err, jobgraph.ErrNone) {
				return fmt.Errorf("%w; uc submit %s --slurm or --local does", err, name)
			}
			if err != nil {
				return err
			}
			all, err := statusOf(cmd, g)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			printStatus(cmd.OutOrStdout(), g, all)
			return nil
		},
	}
	dataRootFlag(cmd, &dataRoot)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// statusOf asks the files, and Slurm if jobs were sent to it.
func statusOf(cmd *cobra.Command, g *jobgraph.Graph) ([]commandStatus, error) {
	progress, err := g.Standing(cmd.Context())
	if err != nil {
		return nil, err
	}
	active, err := slurm.Active(cmd.Context(), g)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: Slurm does not answer, so what it has in its queue is not known: %v\n", err)
	}
	var all []commandStatus
	for _, s := range g.Steps {
		for _, c := range s.Commands {
			p := progress[c.Name]
			st := commandStatus{Step: s.Name, Command: c.Name, Detail: p.Text, Log: g.Log(c)}
			job, queued := active[c.Name]
			code, ended := g.Exit(c)
			switch {
			case queued:
				st.State, st.Job = "waiting", job.Job
				if job.Name != "PENDING" {
					st.State, st.Node = "running", job.Node
				} else if job.Reason != "" && job.Reason != "None" {
					st.Detail = strings.TrimPrefix(st.Detail+"; "+job.Reason, "; ")
				}
			case p.Done:
				st.State = "done"
			case ended && code != 0:
				st.State, st.Last = "failed", lastLines(g, c)
				st.Detail = strings.TrimPrefix(fmt.Sprintf("%s; exit code %d", st.Detail, code), "; ")
			default:
				st.Last = lastLines(g, c)
				switch {
				case len(st.Last) == 0:
					st.State = "not begun"
				case ended:
					st.State = "ended"
				default:
					st.State = "begun" // under way, killed, or its node was lost
				}
			}
			all = append(all, st)
		}
	}
	return all, nil
}

// lastLines are the last of a command's output.
func lastLines(g *jobgraph.Graph, c jobgraph.Command) []string {
	const few, bytes = 4, 8 << 10
	lines, err := jobgraph.Tail(g.Log(c), bytes)
	if err != nil {
		return []string{err.Error()}
	}
	return lines[max(0, len(lines)-few):]
}

func printStatus(w io.Writer, g *jobgraph.Graph, all []commandStatus) {
	for _, s := range g.Steps {
		counts := map[string]int{}
		for _, c := range all {
			if c.Step == s.Name {
				counts[c.State]++
			}
		}
		var parts []string
		for _, state := range []string{"done", "running", "waiting", "begun", "ended", "failed", "not begun"} {
			if n := counts[state]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, state))
			}
		}
		fmt.Fprintf(w, "%s: %s\n", s.Name, strings.Join(parts, ", "))
		const many = 20
		for _, c := range all {
			quiet := len(s.Commands) > many && (c.State == "done" || c.State == "not begun" || c.State == "waiting")
			if c.Step != s.Name || quiet {
				continue
			}
			line := fmt.Sprintf("  %-24s %-10s", c.Command, c.State)
			if c.Job != "" {
				line += " job " + c.Job
			}
			if c.Node != "" {
				line += " on " + c.Node
			}
			if c.Detail != "" {
				line += " " + c.Detail
			}
			fmt.Fprintln(w, printable(strings.TrimRight(line, " ")))
			for _, l := range c.Last {
				fmt.Fprintf(w, "      %s\n", printable(l))
			}
			if len(c.Last) > 0 {
				fmt.Fprintf(w, "      log: %s\n", printable(c.Log))
			}
		}
	}
}
