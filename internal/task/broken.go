package task

import (
	"errors"
	"fmt"

	"github.com/universal-classifier/uc/internal/remedy"
)

// BrokenCase is a case that cannot be worked on, and why.
type BrokenCase struct {
	Case string
	Err  error // all that is wrong with it
}

// Broken divides what was found wrong with a folder of images, sorted by case: into cases that are not whole, and files
// that belong to none. cases are those that are whole.
func Broken(cases []Case, found []Problem) (broken []BrokenCase, unused []Problem) {
	whole := map[string]bool{}
	for _, c := range cases {
		whole[c.ID] = true
	}
	for _, p := range found {
		if p.Case == "" || whole[p.Case] {
			unused = append(unused, p)
			continue
		}
		if last := len(broken) - 1; last >= 0 && broken[last].Case == p.Case {
			broken[last].Err = remedy.With(fmt.Errorf("%w; %s", broken[last].Err, Problem{Field: p.Field, Message: p.Message}), p.For...)
			continue
		}
		broken = append(broken, BrokenCase{p.Case, remedy.With(errors.New(p.String()), p.For...)})
	}
	return broken, unused
}
