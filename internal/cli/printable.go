package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/universal-classifier/uc/internal/task"
)

// printable writes out control characters, which names of files may hold, so that none steers the terminal: an escape
// becomes \x1b. Line breaks and tabs stay; names that hold some are quoted where messages are made.
func printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !steers(r):
			b.WriteString(text[i : i+n])
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

func steers(r rune) bool { return r != '\n' && r != '\t' && task.IsControl(r) }
