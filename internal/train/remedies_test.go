package train

import (
	"slices"

	"github.com/universal-classifier/uc/internal/remedy"
)

// canBeContinued reports whether an error says that the training can be continued, and of which fold.
func canBeContinued(err error) bool {
	return slices.ContainsFunc(remedy.Of(err), func(r remedy.Remedy) bool {
		t, ok := r.(remedy.Train)
		return ok && t.Mode == remedy.Continue && t.Trainer != "" && t.Plans != "" && t.Task != "" && t.Fold != ""
	})
}
