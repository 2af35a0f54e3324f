package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
)

// ErrNoSelfTest is wrapped by Check's error for an artifact that uc package did not make.
var ErrNoSelfTest = errors.New("no self-test")

// Outcome is what a check of an artifact found.
type Outcome struct {
	Manifest   *Manifest
	Files      error // files that are missing or changed; nil if all are as they were packed
	Want, Got  *Answer
	Difference Difference
}

// Passed reports whether the artifact is whole and its model gives the recorded answer.
func (o *Outcome) Passed() bool { return o.Files == nil && o.Difference.Passed }

// Check compares the files of the artifact dir with its manifest and predicts the self-test in it, in float32 without
// mirroring.
func Check(ctx context.Context, dir string, on Machine, r progress.Reporter) (*Outcome, error) {
	m, err := ReadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, locateErr := Locate(dir, Model{}, r); locateErr != nil {
			return nil, locateErr
		}
		return nil, remedy.With(fmt.Errorf("%w in %s: it has no %s, so it was not made by packing a model; pack the model to get one", ErrNoSelfTest, dir, ManifestFile), remedy.PackModel)
	}
	if err != nil {
		return nil, err
	}
	if err := CheckName("checkpoint", m.Checkpoint); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	modelDir, err := Locate(dir, Model{Trainer: m.Trainer, Plans: m.Plans}, r)
	if err != nil {
		return nil, err
	}
	o := &Outcome{Manifest: m, Files: m.verify(dir), Want: new(Answer)}
	if err := jsonfile.Read(filepath.Join(dir, selfTestDir, expectedFile), o.Want); err != nil {
		return nil, errors.Join(o.Files, err)
	}
	if o.Got, err = answer(ctx, dir, modelDir, options(modelDir, m.Checkpoint, on), r); err != nil {
		return nil, errors.Join(o.Files, err)
	}
	o.Difference = compare(o.Got, o.Want)
	return o, nil
}
