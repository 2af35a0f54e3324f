// Package indexed holds lists that JSON shows as dictionaries keyed 0, 1, 2, as the reference and nnU-Net write them.
package indexed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// List is a list that JSON shows as the reference's dictionaries keyed 0, 1, 2, ...
type List[T any] []T

// MarshalJSON writes {"0": ..., "1": ...}, or null for an empty list.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if len(l) == 0 {
		return []byte("null"), nil
	}
	var b bytes.Buffer
	for i, v := range l {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		b.WriteByte(sep)
		fmt.Fprintf(&b, `"%d":`, i)
		item, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		b.Write(item)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON writes; keys must be 0, 1, ... without a gap.
func (l *List[T]) UnmarshalJSON(b []byte) error {
	var m map[string]T
	if err := json.Unmarshal(b, &m); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			kind.Offset = 0 // in b, which is only a part of what is read
		}
		return err
	}
	*l = nil
	for i := range len(m) {
		v, ok := m[strconv.Itoa(i)]
		if !ok {
			return fmt.Errorf("keys of a dictionary of %d entries must be 0 to %d: %q is missing", len(m), len(m)-1, strconv.Itoa(i))
		}
		*l = append(*l, v)
	}
	return nil
}
