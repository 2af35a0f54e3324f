//go:build !unix

package infile

import "os"

func openFile(path string) (*os.File, error) { return os.Open(path) }
