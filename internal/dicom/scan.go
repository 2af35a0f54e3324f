// Package dicom turns DICOM series into volumes with their geometry. It refuses by name what is not one evenly sampled
// box of grey values, rather than mend it.
//
// The elements of a file are decoded by github.com/suyashkumar/dicom. As files are not to be trusted, a walk through
// each of them checks all lengths and nesting first, and hands the library a small well-formed copy of the elements
// that are wanted; pixels are read here, straight from their place in the file.
package dicom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/progress"
)

// ScanOptions say how a folder tree is looked through.
type ScanOptions struct {
	Split    []Split // by which series are split
	KeepTilt bool    // take sheared stacks
	Skip     string  // a folder that is not looked into, "" for none
}

// Ignored are files that are not images of a series, of one kind.
type Ignored struct {
	Kind  string   `json:"kind"`
	Files []string `json:"files"`
}

// Unreadable is a DICOM file, or what may be one, of which not even the series could be read.
type Unreadable struct {
	File string
	Err  error
}

// Scan is what lies in some folder trees.
type Scan struct {
	Series     []*Series // by folder and series number
	Files      int       // DICOM images
	Ignored    []Ignored // by kind
	Unreadable []Unreadable
}

// Is reports whether a file begins as DICOM files do.
func Is(path string) bool {
	src, err := openSource(path)
	if err != nil {
		return false
	}
	defer src.Close()
	head := src.peek(preamble + len(signature))
	return len(head) == preamble+len(signature) && string(head[preamble:]) == signature || plausibleStart(head)
}

// Holds reports whether a path is a DICOM file or a folder with one somewhere below it.
func Holds(path string) bool {
	found := false
	filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		if found = err == nil && !e.IsDir() && Is(path); found {
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// Look goes through folder trees and files and sorts the DICOM images in them into series. Only headers are read. Links
// to folders are not followed.
func Look(ctx context.Context, sources []string, o ScanOptions, r progress.Reporter) (*Scan, error) {
	paths, links, err := list(ctx, sources, o.Skip)
	if err != nil {
		return nil, err
	}
	r.Stage("headers", len(paths))
	read := make([]*header, len(paths))
	errs := make([]error, len(paths))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0)) // half of them wait for the disk
	texts := &interner{known: map[string]string{}, abouts: map[About]*About{}}
	for i, path := range paths {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if read[i], errs[i] = readHeader(path); read[i] != nil {
				texts.share(read[i])
			}
			r.Advance(filepath.Base(path))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s := &Scan{}
	s.sortOut(paths, errs)
	for _, link := range links {
		s.ignore("link to a folder, which is not followed", link)
	}
	read = slices.DeleteFunc(read, func(h *header) bool { return h == nil })
	s.Files = len(read)
	s.Series = group(read, o.Split)
	for _, x := range s.Series {
		x.inspect(o.KeepTilt)
	}
	slices.SortFunc(s.Ignored, func(a, b Ignored) int { return cmp.Compare(a.Kind, b.Kind) })
	return s, nil
}

// sortOut takes down the files that are not images.
func (s *Scan) sortOut(paths []string, errs []error) {
	for i, err := range errs {
		var other *notImageError
		switch {
		case err == nil:
		case errors.Is(err, errNotDICOM):
			s.ignore("not DICOM", paths[i])
		case errors.Is(err, infile.ErrNotRegular):
			s.ignore("not a regular file", paths[i])
		case errors.As(err, &other):
			s.ignore(other.kind, paths[i])
		default:
			s.Unreadable = append(s.Unreadable, Unreadable{paths[i], err})
		}
	}
}

func (s *Scan) ignore(kind, path string) {
	i := slices.IndexFunc(s.Ignored, func(x Ignored) bool { return x.Kind == kind })
	if i < 0 {
		i = len(s.Ignored)
		s.Ignored = append(s.Ignored, Ignored{Kind: kind})
	}
	s.Ignored[i].Files = append(s.Ignored[i].Files, path)
}

// list finds the files below the sources, each once, and the links to folders.
func list(ctx context.Context, sources []string, skip string) (files, links []string, err error) {
	if skip != "" {
		if skip, err = filepath.Abs(skip); err != nil {
			return nil, nil, err
		}
	}
	seen := map[string]bool{}
	for _, source := range sources {
		info, err := os.Stat(source)
		if err != nil {
			return nil, nil, err
		}
		root := filepath.Clean(source)
		if info.IsDir() { // a link to a folder is followed if it is the source itself
			if root, err = filepath.EvalSymlinks(root); err != nil {
				return nil, nil, err
			}
		}
		err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			abs, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			if e.IsDir() {
				if skip != "" && abs == skip {
					return fs.SkipDir
				}
				return nil
			}
			if seen[abs] {
				return nil
			}
			seen[abs] = true
			if e.Type()&fs.ModeSymlink != 0 {
				if target, err := os.Stat(path); err == nil && target.IsDir() {
					links = append(links, path)
					return nil
				}
			}
			files = append(files, path)
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", source, err)
		}
	}
	return files, links, nil
}

// interner keeps one copy of the texts that the files of a series have in common.
type interner struct {
	mu     sync.Mutex
	known  map[string]string
	abouts map[About]*About
}

func (t *interner) share(h *header) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if same := t.abouts[*h.about]; same != nil {
		h.about = same
	} else {
		t.abouts[*h.about] = h.about
	}
	h.sopClass, h.frameOfReference = t.one(h.sopClass), t.one(h.frameOfReference)
	for i := range h.slices {
		h.slices[i].stack, h.slices[i].kind = t.one(h.slices[i].stack), t.one(h.slices[i].kind)
	}
}

func (t *interner) one(text string) string {
	if same, known := t.known[text]; known {
		return same
	}
	t.known[text] = text
	return text
}
