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
func (t *trainer) refuseDuplicates() error {
	if t.o.Fold == task.FoldAll {
		return nil
	}
	pairs, err := t.duplicates()
	if err != nil || len(pairs) == 0 {
		return err
	}
	const most = 5
	shown := strings.Join(pairs[:min(len(pairs), most)], "; ")
	if len(pairs) > most {
		shown += fmt.Sprintf("; and %d more", len(pairs)-most)
	}
	text := fmt.Sprintf("fold %s: %d of its %d validation cases are training cases under another name: %s", t.o.Fold, len(pairs), len(t.split.Val), shown)
	if t.o.AllowDuplicates {
		t.log.warn("%s: their results tell nothing about new cases", text)
		return nil
	}
	return remedy.With(fmt.Errorf("%s. Remove one of each pair from dataset.json, or give both one \"patient\", which keeps them in one fold; or train nevertheless", text),
		remedy.Set{Option: remedy.AllowDuplicates})
}

// duplicates describes each validation case that trains, too.
func (t *trainer) duplicates() ([]string, error) {
	known, err := leak.Read(t.o.Folders.PreprocessedTask(t.o.Task))
	if err != nil {
		return nil, err
	}
	var found []leak.Duplicate
	if known != nil {
		found = leak.Across(known.Duplicates, t.split.Train, t.split.Val)
	}
	var pairs []string
	for _, v := range t.members[feed.Validating] {
		id := t.data.ID(v)
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
		for _, k := range t.members[feed.Training] {
			same, err := t.data.Same(v, k)
			if err != nil {
				return nil, err
			}
			if same {
				pairs = append(pairs, fmt.Sprintf("%s is %s voxel for voxel", id, t.data.ID(k)))
				break
			}
		}
	}
	return pairs, nil
}
