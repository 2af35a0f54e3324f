package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/leak"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// refuseDuplicates ends a training whose validation cases are also among its training cases, under another name: the
// same files, the same preprocessed voxels, or what verifying the task found. Where that is allowed it is warned of.
func (f *fold) refuseDuplicates() error {
	if f.o.Fold == task.FoldAll {
		return nil
	}
	pairs, err := f.duplicates()
	if err != nil || len(pairs) == 0 {
		return err
	}
	const most = 5
	shown := strings.Join(pairs[:min(len(pairs), most)], "; ")
	if len(pairs) > most {
		shown += fmt.Sprintf("; and %d more", len(pairs)-most)
	}
	text := fmt.Sprintf("fold %s: %d of its %d validation cases are training cases under another name: %s", f.o.Fold, len(pairs), len(f.split.Val), shown)
	if f.o.AllowDuplicates {
		f.log.warn("%s: their results tell nothing about new cases", text)
		return nil
	}
	return remedy.With(fmt.Errorf("%s. Remove one of each pair from dataset.json, or give both one \"patient\", which keeps them in one fold; or train nevertheless", text),
		remedy.Set{Option: remedy.AllowDuplicates})
}

// duplicates describes each validation case that trains, too.
func (f *fold) duplicates() ([]string, error) {
	known, err := leak.Read(f.o.Folders.PreprocessedTask(f.o.Task))
	if err != nil {
		return nil, err
	}
	var found []leak.Duplicate
	if known != nil {
		found = leak.Across(known.Duplicates, f.split.Train, f.split.Val)
	}
	var pairs []string
	for _, v := range f.members[feed.Validating] {
		id := f.data.ID(v)
		of := func(d leak.Duplicate) bool { return d.Cases[0] == id || d.Cases[1] == id }
		if at := slices.IndexFunc(found, of); at >= 0 {
			d := found[at]
			how := "voxel for voxel"
			if !d.Identical {
				how = fmt.Sprintf("but for window, grid or position (similarity %.2f)", d.Similarity)
			}
			other := d.Cases[0]
			if other == id {
				other = d.Cases[1]
			}
			pairs = append(pairs, fmt.Sprintf("%s is %s %s", id, other, how))
			continue
		}
		for _, k := range f.members[feed.Training] {
			same, err := f.data.Same(v, k)
			if err != nil {
				return nil, err
			}
			if same {
				pairs = append(pairs, fmt.Sprintf("%s is %s voxel for voxel", id, f.data.ID(k)))
				break
			}
		}
	}
	return pairs, nil
}
