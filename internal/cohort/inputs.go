package cohort

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// maxReaders bounds how many cases are looked through at a time.
const maxReaders = 4

// ChangedInputs names those of the cases whose images or mask in the raw task are other ones than when the task was
// planned. Files whose size and times are those of then are not read. Files that are not there, as where the raw data
// lie on another machine, are not missed.
func ChangedInputs(ctx context.Context, f task.Folders, name string, cases []string, r progress.Reporter) ([]string, error) {
	known, err := loadManifest(f.PreprocessedTask(name))
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var changed []string
	advance := progress.Late(r, "comparing the images with those that were preprocessed", len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxReaders))
	for _, id := range cases {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			same, err := unchanged(f.RawTask(name), known.Cases[id].Files)
			if !same && err == nil {
				mu.Lock()
				changed = append(changed, id)
				mu.Unlock()
			}
			advance(id)
			return err
		})
	}
	err = group.Wait()
	slices.Sort(changed)
	return changed, err
}

// unchanged reports whether the files in a raw task have the content that they had.
func unchanged(dir string, files []source) (bool, error) {
	for _, before := range files {
		path := filepath.FromSlash(before.Path)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		now, err := identify(path, before.Path, before)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		case err != nil:
			return false, err
		case now.SHA256 != before.SHA256:
			return false, nil
		}
	}
	return true, nil
}
