package convert

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// made is the extension of files that are not in the source as they are.
const made = ".nii.gz"

// How a file came into the task.
type placement int

const (
	linked placement = iota
	copied
	converted
)

// place puts the file into the task, at a path that has no extension yet.
func (f File) place(ctx context.Context, path string, copyAll bool) (placement, error) {
	switch {
	case f.write != nil:
		return converted, f.write(ctx, path+made)
	case f.Volume > 0:
		return converted, writeVolume(path+made, f.Path, f.Volume)
	case f.Values != nil:
		return converted, f.writeMask(path + made)
	}
	_, ext := imagefile.SplitExtension(f.Path)
	ext = strings.ToLower(ext)
	if ext != ".mhd" {
		return putFile(path+ext, f.Path, copyAll)
	}
	files, err := imagefile.Files(f.Path)
	if err != nil {
		return 0, err
	}
	if len(files) == 1 {
		return putFile(path+ext, f.Path, copyAll)
	}
	// The header names its data, which get the name of the case, too.
	data := path + strings.ToLower(filepath.Ext(files[1]))
	header, err := infile.ReadFile(f.Path, infile.MaxText)
	if err != nil {
		return 0, err
	}
	header, err = renameData(header, filepath.Base(data))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.Path, err)
	}
	if err := atomicfile.WriteBytes(path+ext, header); err != nil {
		return 0, err
	}
	return putFile(data, files[1], copyAll)
}

// renameData is the header of an .mhd with another data file.
func renameData(header []byte, name string) ([]byte, error) {
	const key = "ElementDataFile"
	lines := bytes.SplitAfter(header, []byte("\n"))
	for i, line := range lines {
		field, _, ok := bytes.Cut(line, []byte("="))
		if ok && string(bytes.TrimSpace(field)) == key {
			lines[i] = []byte(key + " = " + name + "\n")
			return bytes.Join(lines, nil), nil
		}
	}
	return nil, fmt.Errorf("no %s in the header", key)
}

// putFile links to a file, or copies it where links are not wanted or not possible. What stands at path already is an
// error.
func putFile(path, from string, copyAll bool) (placement, error) {
	real, err := filepath.EvalSymlinks(from) // a link to a link would end with the latter
	if err != nil {
		return 0, err
	}
	if err := fault.At(fault.Create, path); err != nil {
		return 0, err
	}
	if !copyAll && os.Link(real, path) == nil {
		return linked, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("%s: two files of the source come here, the second is %s", path, from)
	}
	in, err := infile.Open(real)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	return copied, atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// writeMask writes a mask with other values.
func (f File) writeMask(path string) error {
	m, err := imagefile.ReadMask(f.Path)
	if err != nil {
		return err
	}
	for i, v := range m.Data {
		to, ok := f.Values[v]
		if !ok {
			return fmt.Errorf("%s: the value %d was not there before; was the file changed?", f.Path, v)
		}
		m.Data[i] = to
	}
	return nifti.WriteMask(path, m)
}
