// Package readable makes names and sentences of somebody else's fit to be read on a page.
package readable

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/universal-classifier/uc/internal/task"
)

const (
	maxName     = 120 // bytes
	maxSentence = 1000
)

// Name writes out characters that steer the display of a name, and ends it where nobody reads on.
func Name(s string) string { return cut(s, maxName) }

// Sentence is Name for whole sentences.
func Sentence(s string) string { return cut(s, maxSentence) }

func cut(s string, limit int) string {
	var b strings.Builder
	for i, r := range s {
		if b.Len() > limit {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case task.IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
