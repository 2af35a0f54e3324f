package report

import "github.com/universal-classifier/uc/internal/evaluate"

// FileNames are the names of labels as parts of file names, by which all files about a label are named.
func FileNames(labels []evaluate.LabelReport) []string { return fileNames(labels) }
