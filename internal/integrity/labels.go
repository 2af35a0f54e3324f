package integrity

import (
	"fmt"
	"slices"
	"strings"
)

// maxListed bounds how many undeclared values a message lists.
const maxListed = 10

// UndeclaredLabels says which values of a mask are not among the declared 0 to labels-1, and what to do. It is empty if
// all are declared.
func UndeclaredLabels(mask []int16, labels int) string {
	var found []int16
	more := false
	for _, v := range mask {
		if v >= 0 && int(v) < labels || slices.Contains(found, v) {
			continue
		}
		if len(found) == maxListed {
			more = true
			break
		}
		found = append(found, v)
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	var values []string
	for _, v := range found {
		values = append(values, fmt.Sprint(v))
	}
	if more {
		values = append(values, "...")
	}
	return fmt.Sprintf("holds the values %s, but labels declares 0 to %d; declare them or correct the mask", strings.Join(values, ", "), labels-1)
}
