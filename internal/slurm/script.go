// Package slurm runs the steps of a graph as array jobs of the batch system Slurm: it writes their scripts, sends them
// with what they wait for, and asks how they stand.
package slurm

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/jobgraph"
)

// Options of the jobs.
type Options struct {
	Program   string // uc, where the nodes find it
	Partition string // empty: the cluster's default
}

// warning is how long before its limit of time a job is told to save its work and to be queued again.
const warning = 180 * time.Second

// Script is the batch script of a step: an array job with a member for each of its commands.
func Script(g *jobgraph.Graph, s jobgraph.Step, o Options) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/bash")
	line("# %s: %s, one member of the array for each command below. Written by uc submit; it may be sent by hand, too:", g.Options.Task, s.Name)
	line("#   sbatch --array=%s %s", Ranges(all(len(s.Commands))), shell(ScriptFile(g, s)))
	line("#SBATCH --job-name=uc-%s-%s", g.Options.Task, s.Name)
	line("#SBATCH --output=%q", filepath.Join(g.Logs(), "slurm-%x-%a.out"))
	line("#SBATCH --open-mode=append")
	line("#SBATCH --nodes=1 --ntasks=1 --cpus-per-task=%d", s.Needs.CPUs)
	line("#SBATCH --mem=%dM", (s.Needs.Memory+1<<20-1)>>20)
	line("#SBATCH --time=%s", limit(s.Needs.Time))
	if s.Needs.GPUs > 0 {
		line("#SBATCH --gres=gpu:%d", s.Needs.GPUs)
	}
	if o.Partition != "" {
		line("#SBATCH --partition=%s", o.Partition)
	}
	line("#SBATCH --requeue")
	line("#SBATCH --signal=B:USR1@%d", int(warning.Seconds()))
	line("")
	for _, name := range slices.Sorted(maps.Keys(g.Environment(jobgraph.Command{}))) {
		line("export %s=%s", name, shell(g.Environment(jobgraph.Command{})[name]))
	}
	line("uc=%s", shell(o.Program))
	line("logs=%s", shell(g.Logs()))
	line("fold=")
	line("case $SLURM_ARRAY_TASK_ID in")
	for i, c := range s.Commands {
		line("%d)", i)
		line("  name=%s", shell(c.Name))
		for _, name := range slices.Sorted(maps.Keys(c.Env)) {
			line("  export %s=%s", name, shell(c.Env[name]))
		}
		if c.Resumes != "" {
			line("  fold=%s", shell(c.Resumes))
		}
		words := make([]string, len(c.Args))
		for k, a := range c.Args {
			words[k] = shell(a)
		}
		line("  set -- %s", strings.Join(words, " "))
		line("  ;;")
	}
	line("*) echo \"no command $SLURM_ARRAY_TASK_ID\" >&2; exit 2 ;;")
	line("esac")
	b.WriteString(body)
	return b.String()
}

// body is the same for every step.
var body = `
# A training that was stopped goes on from its last checkpoint.
for last in ` + checkpoint.Latest + " " + checkpoint.Final + `; do
  if [ -n "$fold" ] && [ -e "$fold/$last` + checkpoint.Suffix + `" ]; then set -- "$@" -c; break; fi
done

rm -f "$logs/$name.exit"
{ echo; echo "$(date '+%F %T')  $(hostname), job ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID: uc $*"; } >>"$logs/$name.log"
limit=
"$uc" "$@" >>"$logs/$name.log" 2>&1 &
child=$!
trap 'limit=near; kill -TERM $child' USR1 # the limit of time is near: save, and go on in a new run
trap 'kill -TERM $child' TERM             # cancelled or preempted: save
while :; do
  wait $child
  code=$?
  kill -0 $child 2>/dev/null || break # a trap ended the waiting, not the child
done
if [ "$limit" = near ] && [ $code -ne 0 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
echo $code >"$logs/$name.exit.tmp" && mv "$logs/$name.exit.tmp" "$logs/$name.exit"
exit $code
`

// ScriptFile is the file of a step's script.
func ScriptFile(g *jobgraph.Graph, s jobgraph.Step) string {
	return filepath.Join(g.Folder(), "slurm", s.Name+".sh")
}

// shell quotes a word for the shell.
func shell(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=,:+@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// limit is a time as Slurm writes it.
func limit(d time.Duration) string {
	minutes := int(d.Round(time.Minute).Minutes())
	const hour, day = 60, 24 * 60
	return fmt.Sprintf("%d-%02d:%02d:00", minutes/day, minutes%day/hour, minutes%hour)
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// Ranges writes ascending numbers as Slurm's arrays do: 0-3,7.
func Ranges(n []int) string {
	var parts []string
	for i := 0; i < len(n); {
		k := i
		for k+1 < len(n) && n[k+1] == n[k]+1 {
			k++
		}
		part := fmt.Sprint(n[i])
		if k > i {
			part += fmt.Sprintf("-%d", n[k])
		}
		parts = append(parts, part)
		i = k + 1
	}
	return strings.Join(parts, ",")
}
