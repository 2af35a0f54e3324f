// Package jsonfile reads JSON files, with errors that name the place, and writes them indented, whole or not at all.
package jsonfile

import (
	"encoding/json"
	"fmt"

	"github.com/universal-classifier/uc/internal/atomicfile"
)

// Indents of a level. nnU-Net indents its JSON files by four columns, so plans, fingerprints and the properties of
// cases do, too.
const (
	Indent     = "  "
	LikeNNUNet = "    "
)

// Encode returns v as indented JSON that ends in a newline.
func Encode(v any, indent string) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", indent)
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// Write writes v to path as Encode returns it.
func Write(path string, v any, indent string) error {
	return encodeTo(atomicfile.WriteBytes, path, v, indent)
}

// WriteIfNew is Write unless the file holds v already, so that nothing changes where nothing is new.
func WriteIfNew(path string, v any, indent string) error {
	return encodeTo(atomicfile.WriteIfNew, path, v, indent)
}

func encodeTo(write func(path string, b []byte) error, path string, v any, indent string) error {
	b, err := Encode(v, indent)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return write(path, b)
}
