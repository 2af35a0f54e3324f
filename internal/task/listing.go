package task

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
)

// otherFormats are the ends of the names of images in formats that are not read.
var otherFormats = []string{
	".nrrd", ".nhdr", ".dcm", ".dicom", ".ima", ".hdr", ".hdr.gz", ".img", ".img.gz", ".mgh", ".mgz", ".mnc", ".mnc2",
	".gipl", ".gipl.gz", ".vtk", ".vti", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".npy", ".head", ".brik", ".brik.gz",
	".par", ".isq", ".oib", ".oif", ".czi", ".lsm", ".nd2", ".svs", ".e2e", ".fda", ".vol", ".nii.zip", ".nii.bz2", ".nii.xz", ".nii.zst", ".nia",
}

// sidecars are the ends of the names of what often lies next to images and is not one.
var sidecars = []string{
	".json", ".bval", ".bvec", ".bvals", ".bvecs", ".txt", ".csv", ".tsv", ".xml", ".md", ".rst", ".pdf", ".html", ".htm", ".log", ".yaml", ".yml",
	".toml", ".ini", ".cfg", ".mat", ".tfm", ".xls", ".xlsx", ".ods", ".doc", ".docx", ".odt", ".rtf", ".db", ".lnk", ".url", ".sh", ".bat", ".py",
	".ipynb", ".r", ".rds", ".pkl", ".npz", ".raw", ".zraw", ".tmp", ".md5", ".sha256", ".sig",
}

// isImage reports whether a file is an image of some format: by its name, or by its first bytes where the name says
// nothing. Hidden files that operating systems leave behind are none.
func isImage(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	if strings.HasPrefix(name, "._") || name == ".ds_store" || strings.HasSuffix(name, ".tmp") {
		return false
	}
	if _, ext := imagefile.SplitExtension(name); ext != "" {
		return true
	}
	ends := func(with string) bool { return strings.HasSuffix(name, with) }
	switch {
	case slices.ContainsFunc(otherFormats, ends):
		return true
	case slices.ContainsFunc(sidecars, ends):
		return false
	}
	return looksLikeImage(path)
}

// sniffed is how much of a file shows what it is: DICOM's signature ends at byte 132.
const sniffed = 352

// looksLikeImage reports whether a file begins as NIfTI, Analyze, DICOM, NRRD, MetaImage, PNG, JPEG or TIFF do,
// compressed or not.
func looksLikeImage(path string) bool {
	f, err := infile.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, sniffed)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(io.NewSectionReader(f, 0, f.Size()))
		if err != nil {
			return false
		}
		n, _ := io.ReadFull(z, head[:cap(head)])
		head = head[:n]
	}
	const dicom = 128
	if len(head) >= dicom+4 && string(head[dicom:dicom+4]) == "DICM" {
		return true
	}
	for _, magic := range []string{
		"\x5c\x01\x00\x00", "\x00\x00\x01\x5c", "\x1c\x02\x00\x00", "\x00\x00\x02\x1c", // headers of 348 and 540 bytes
		"\x08\x00\x05\x00", "\x08\x00\x08\x00", "\x02\x00\x00\x00", // DICOM without its preamble
		"NRRD", "ObjectType", "NDims", "\x89PNG", "\xff\xd8\xff", "II*\x00", "MM\x00*",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// maxFolderDepth bounds how deep folders below one of images are searched.
const maxFolderDepth = 8

// foldersBelow lists the images in the folders below dir by their paths relative to it, slash-separated and sorted.
// Folders in skip (absolute paths) are left out. Links to folders are followed once.
func foldersBelow(dir string, skip ...string) []string {
	var found []string
	seen := map[string]bool{}
	enter := func(path string) bool {
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] {
			return false
		}
		seen[real] = true
		return true
	}
	for _, s := range append(skip, dir) {
		if s != "" {
			enter(s)
		}
	}
	var walk func(path string, depth int)
	walk = func(path string, depth int) {
		entries, err := os.ReadDir(path)
		if err != nil {
			return
		}
		for _, e := range entries {
			child := filepath.Join(path, e.Name())
			info, err := os.Stat(child)
			switch {
			case err != nil:
			case info.IsDir():
				if depth < maxFolderDepth && enter(child) {
					walk(child, depth+1)
				}
			case depth > 0 && info.Mode().IsRegular() && isImage(child):
				if rel, err := filepath.Rel(dir, child); err == nil {
					found = append(found, filepath.ToSlash(rel))
				}
			}
		}
	}
	walk(dir, 0)
	slices.Sort(found)
	return found
}

// previews are formats of pictures that lie next to an image under its name to show what is in it.
var previews = []string{".png", ".jpg", ".jpeg", ".gif", ".bmp"}

// isPreview reports whether a picture carries the name of one of the used image files.
func isPreview(name string, used map[string]bool) bool {
	ext := filepath.Ext(name)
	if !slices.Contains(previews, strings.ToLower(ext)) {
		return false
	}
	stem := strings.TrimSuffix(name, ext)
	for _, spelled := range imagefile.Spellings {
		if used[stem+spelled] {
			return true
		}
	}
	return false
}
