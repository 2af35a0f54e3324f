// Package artifact is the folder that a trained model is handed over in: where the model lies in it, how it is packed,
// and the self-test that travels with it.
package artifact

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// taskPrefix begins the name of a task's folder.
const taskPrefix = "Task"

// Model names the model that is wanted of an artifact; empty fields take the defaults of the method.
type Model struct {
	Network, Trainer, Plans string
}

// withDefaults fills in what is empty.
func (m Model) withDefaults() Model {
	if m.Network == "" {
		m.Network = task.DefaultNetwork
	}
	if m.Trainer == "" {
		m.Trainer = task.DefaultTrainer
	}
	if m.Plans == "" {
		m.Plans = task.DefaultPlans
	}
	return m
}

// NameError is a name of a network, trainer, plans or checkpoint that cannot be the name of a file.
type NameError struct{ What, Name, Want string }

func (e *NameError) Error() string {
	return fmt.Sprintf("%s %q: expected %s", e.What, e.Name, e.Want)
}

// CheckName returns a *NameError for a name that would leave its folder.
func CheckName(what, name string) error {
	if !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\\x00") || name == "." {
		return &NameError{what, name, "a plain name without folders"}
	}
	return nil
}

func (m Model) check() error {
	if m.Network != task.DefaultNetwork {
		return &NameError{"network", m.Network, task.DefaultNetwork + ", the only one"}
	}
	if err := CheckName("trainer", m.Trainer); err != nil {
		return err
	}
	return CheckName("plans", m.Plans)
}

// Locate returns the folder of the model in the artifact dir: nnUNet/3d_fullres/TaskXXX_Name/TRAINER__PLANS. With
// several tasks it takes the first by name that has the model, and warns. Errors about what is not there wrap
// fs.ErrNotExist; those about m are *NameError.
func Locate(dir string, m Model, r progress.Reporter) (string, error) {
	m = m.withDefaults()
	if err := m.check(); err != nil {
		return "", err
	}
	folders := task.Folders{Results: dir}
	models := folders.Models()
	entries, err := os.ReadDir(models)
	if err != nil {
		if _, statErr := os.Stat(dir); statErr != nil {
			return "", fmt.Errorf("artifact %s: %w", dir, statErr)
		}
		return "", remedy.With(fmt.Errorf("artifact %s: %w; an artifact holds nnUNet/%s/TaskXXX_Name/%s; pack a trained model to make one",
			dir, err, m.Network, filepath.Base(folders.Model("", m.Trainer, m.Plans))), remedy.PackModel)
	}
	var tasks, others, with []string
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(models, e.Name())); err != nil || !info.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue // follows links
		}
		if !strings.HasPrefix(e.Name(), taskPrefix) {
			others = append(others, e.Name())
			continue
		}
		tasks = append(tasks, e.Name())
		if infile.IsDir(folders.Model(e.Name(), m.Trainer, m.Plans)) {
			with = append(with, e.Name())
		}
	}
	switch {
	case len(tasks) == 0 && len(others) > 0:
		return "", fmt.Errorf("%s: found %s, but the folder of a task begins with %q", models, strings.Join(others, ", "), taskPrefix)
	case len(tasks) == 0:
		return "", fmt.Errorf("%s holds no task", models)
	case len(with) == 0:
		return "", &fs.PathError{Op: "model of " + strings.Join(tasks, ", "), Path: folders.Model(tasks[0], m.Trainer, m.Plans),
			Err: fmt.Errorf("%w; found %s", fs.ErrNotExist, listOrNone(subfolders(filepath.Join(models, tasks[0]))))}
	case len(tasks) > 1:
		r.Warn("%s holds %d tasks, %s; taking %s", models, len(tasks), strings.Join(tasks, ", "), with[0])
	}
	return folders.Model(with[0], m.Trainer, m.Plans), nil
}

// DefaultFolds returns the folds that predict from a model folder unless others are asked for: all if it is there, else
// every trained fold (nil).
func DefaultFolds(modelDir string) []string {
	if infile.IsDir(filepath.Join(modelDir, task.FoldDir(task.FoldAll))) {
		return []string{task.FoldAll}
	}
	return nil
}

func subfolders(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if infile.IsDir(filepath.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

func listOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
