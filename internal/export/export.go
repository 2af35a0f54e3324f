// Package export writes a trained model in the formats of other programs.
package export

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// Format is one form that a model can be written in.
type Format struct {
	Name  string // as --format takes it
	Short string // one line for the help
	// Extensions are those of its files, with the dot, the usual one first.
	Extensions []string
	// folder is set for formats whose models are folders: where below out the folder of m lies.
	folder func(out string, m *model.Model) string
	// write writes the folds of m into one file, or, for a format of folders, all of m into the folder path. m has more
	// than one fold only for a folder or an ensemble.
	write func(ctx context.Context, path string, m *model.Model, r progress.Reporter) error
}

// Formats are all formats, in the order of the help.
var Formats = []Format{safetensorsFormat, pytorchFormat, referenceFormat, onnxFormat}

// Find returns the format of that name.
func Find(name string) (Format, bool) {
	i := slices.IndexFunc(Formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return Formats[i], true
}

// Names lists the names of the formats.
func Names() []string {
	var names []string
	for _, f := range Formats {
		names = append(names, f.Name)
	}
	return names
}

// Write writes the folds of m and returns the paths written. For a format of files, out is a file if it ends in one of
// the format's extensions, and else a folder that receives a file per fold (fold_0.pth, all.pth), or ensemble.pth with
// all folds. A format of folders always writes all folds into the folder out.
func (f Format) Write(ctx context.Context, out string, m *model.Model, ensemble bool, r progress.Reporter) ([]string, error) {
	if f.folder != nil {
		if ensemble {
			return nil, remedy.With(fmt.Errorf("a model of format %s is a folder of folds, which are averaged at prediction anyway: leave the ensemble out", f.Name), remedy.Unset{Option: remedy.Ensemble})
		}
		dir := f.folder(out, m)
		return []string{dir}, f.write(ctx, dir, m, r)
	}
	files := map[string]*model.Model{}
	var order []string
	add := func(path string, part *model.Model) {
		files[path] = part
		order = append(order, path)
	}
	switch isFile := slices.Contains(f.Extensions, strings.ToLower(filepath.Ext(out))) && !infile.IsDir(out); {
	case isFile && len(m.Folds) > 1 && !ensemble:
		return nil, remedy.With(fmt.Errorf("%s is one file, but there are %d folds (%s); choose one, put all into one file, or give a folder",
			out, len(m.Folds), strings.Join(m.Names(), " ")), remedy.Set{Option: remedy.Folds}, remedy.Set{Option: remedy.Ensemble}, remedy.Set{Option: remedy.Output})
	case isFile:
		add(out, m)
	case ensemble:
		add(filepath.Join(out, "ensemble"+f.Extensions[0]), m)
	default:
		for _, fold := range m.Folds {
			part := *m
			part.Folds = []model.Fold{fold}
			add(filepath.Join(out, task.FoldDir(fold.Name)+f.Extensions[0]), &part)
		}
	}
	r.Stage("export", len(order))
	for _, path := range order {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := f.write(ctx, path, files[path], r); err != nil {
			return nil, err
		}
		r.Advance(filepath.Base(path))
	}
	return order, nil
}

// stateDict is the state dictionary of the folds as the reference's I3D has it. With several folds the names begin with
// "0.", "1.", ...: the state_dict of a torch.nn.ModuleList of networks.
func stateDict(m *model.Model) *weights.StateDict {
	if len(m.Folds) == 1 {
		return i3d.ReferenceStateDict(m.Folds[0].Weights)
	}
	all := weights.NewStateDict()
	for i, fold := range m.Folds {
		sd := i3d.ReferenceStateDict(fold.Weights)
		for _, name := range sd.Names() {
			all.Set(fmt.Sprintf("%d.%s", i, name), sd.Get(name))
		}
	}
	return all
}
