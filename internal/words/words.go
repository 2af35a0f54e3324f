// Package words puts counts and lists of names into messages.
package words

import (
	"fmt"
	"strings"
)

// Count is a number with its noun, whose plural ends in s: 1 case, 2 cases.
func Count(n int, noun string) string { return CountOf(n, noun, noun+"s") }

// CountOf is a number with its noun, whose plural is many.
func CountOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// mostNames is how many names a list in a message has.
const mostNames = 5

// Some lists the first few of many names.
func Some(names []string) string {
	if len(names) <= mostNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), len(names)-mostNames)
}
