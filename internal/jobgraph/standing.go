package jobgraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
)

// Progress is how far a command has come, as the files say.
type Progress struct {
	Done bool
	Text string // what is there, such as "12 of 30 cases" or the last line on an epoch
}

// Standing says of every command, by name, how far it has come. It changes nothing.
func (g *Graph) Standing(ctx context.Context) (map[string]Progress, error) {
	o := g.Options
	t, err := task.Load(o.Folders, o.Task)
	if err != nil {
		return nil, err
	}
	s, err := cohort.Stand(ctx, t, o.Plans)
	if err != nil {
		return nil, err
	}
	all := map[string]Progress{}
	for _, step := range g.Steps {
		for i, c := range step.Commands {
			part := shard.Shard{Index: i + 1, Count: o.Shards}
			switch step.Name {
			case Measure:
				all[c.Name] = counted(s.Measured, part, s.Plans != nil)
			case Plan:
				all[c.Name] = Progress{Done: s.Plans != nil}
			case Preprocess:
				all[c.Name] = counted(s.Preprocessed, part, false)
			case Check:
				all[c.Name] = g.checked(s)
			case Train:
				all[c.Name] = trained(c.Resumes)
			case Compare:
				if all[c.Name] = (Progress{}); allDone(all, g.Step(Evaluate)) {
					all[c.Name] = compared(c)
				}
			}
		}
		if step.Name == Evaluate {
			for i, r := range o.runs() {
				all[step.Commands[i].Name] = o.evaluated(r)
			}
		}
	}
	return all, nil
}

func allDone(all map[string]Progress, s *Step) bool {
	return !slices.ContainsFunc(s.Commands, func(c Command) bool { return !all[c.Name].Done })
}

// counted is the progress of a shard whose cases are done one by one, or all if so.
func counted(done []bool, s shard.Shard, all bool) Progress {
	own := shard.Of(s, done)
	n := 0
	for _, d := range own {
		if d || all {
			n++
		}
	}
	return Progress{Done: n == len(own), Text: fmt.Sprintf("%d of %d cases", n, len(own))}
}

// checked is the progress of the step after which the trainings begin: all cases and the folds are there.
func (g *Graph) checked(s *cohort.Standing) Progress {
	p := counted(s.Preprocessed, shard.Shard{}, false)
	if _, err := os.Stat(filepath.Join(g.Options.Folders.PreprocessedTask(g.Options.Task), split.SplitsFile)); err != nil {
		p.Done = false
	}
	return p
}

// trained is the progress of the training of a fold.
func trained(foldDir string) Progress {
	text := lastEpoch(foldDir)
	if !checkpoint.Exists(foldDir, checkpoint.Final) {
		return Progress{Text: text}
	}
	f, err := evaluate.ReadFold(foldDir)
	switch {
	case errors.Is(err, evaluate.ErrNotValidated):
		return Progress{Text: "trained, not validated"}
	case err != nil:
		return Progress{Text: err.Error()}
	}
	return Progress{Done: true, Text: fmt.Sprintf("validated on %d cases", len(f.Predictions))}
}

// evaluated is the progress of an evaluation: it is done if it is that of the current validations.
func (o Options) evaluated(r run) Progress {
	dir := r.folders.Model(o.Task, r.trainer, o.Plans)
	var made evaluate.Report
	if jsonfile.Read(filepath.Join(dir, "evaluation", "evaluation.json"), &made) != nil {
		return Progress{}
	}
	for _, fold := range o.Folds {
		f, err := evaluate.ReadFold(filepath.Join(dir, task.FoldDir(fold)))
		if err != nil || f.Origin == nil || made.MadeFrom["fold "+fold] != f.Origin.Weights {
			return Progress{Text: "of earlier trainings"}
		}
	}
	var aucs []string
	for _, l := range made.Labels {
		for _, v := range l.Values {
			aucs = append(aucs, fmt.Sprintf("%s, %s: AUC %s", l.Name, v.Name, v.AUC.Value))
		}
	}
	return Progress{Done: true, Text: strings.Join(aucs, "; ")}
}

// compared is the progress of a comparison: it is done if neither of the two models was evaluated since.
func compared(c Command) Progress {
	models, out := c.Args[1:3], c.Args[len(c.Args)-1]
	made, err := os.Stat(filepath.Join(out, "compare.json"))
	if err != nil {
		return Progress{}
	}
	for _, model := range models {
		info, err := os.Stat(filepath.Join(model, "evaluation", "evaluation.json"))
		if err != nil || info.ModTime().After(made.ModTime()) {
			return Progress{Text: "of earlier evaluations"}
		}
	}
	return Progress{Done: true}
}

var epochLine = regexp.MustCompile(`epoch \d+/\d+: .*`)

// lastEpoch is the last line on an epoch in the newest log of a fold.
func lastEpoch(foldDir string) string {
	logs, _ := filepath.Glob(filepath.Join(foldDir, "training_log_*.txt"))
	slices.Sort(logs)
	slices.Reverse(logs)
	for _, path := range logs {
		lines, err := Tail(path, maxTail)
		if err != nil {
			continue
		}
		for _, line := range slices.Backward(lines) {
			if found := epochLine.FindString(line); found != "" {
				return found
			}
		}
	}
	return ""
}

// maxTail bounds what is read of the end of a log.
const maxTail = 64 << 10

// Tail returns the lines in the last bytes of a file; none if it is not there.
func Tail(path string, bytes int64) ([]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-bytes)
	b := make([]byte, info.Size()-from)
	n, err := f.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	text := strings.TrimRight(string(b[:n]), "\n")
	if text == "" {
		return nil, nil
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
	if from > 0 && len(lines) > 1 {
		lines = lines[1:] // the first is cut
	}
	return lines, nil
}
