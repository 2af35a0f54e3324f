package task

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestInCase(t *testing.T) {
	named := fmt.Errorf("prediction: %w", CaseErrorf("a", "image: %w", fs.ErrNotExist))
	for _, c := range []struct {
		id   string
		err  error
		want string
	}{
		{"a", errors.New("broken"), "case a: broken"},
		{"a", named, "prediction: case a: image: file does not exist"},
		{"b", named, "case b: prediction: case a: image: file does not exist"},
		{"a", errors.New("case abc is not this one"), "case a: case abc is not this one"},
	} {
		if got := InCase(c.id, c.err); got.Error() != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if InCase("a", nil) != nil || !errors.Is(InCase("b", named), fs.ErrNotExist) {
		t.Error("no error, or another")
	}
}
