package train

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/provenance"
)

// Settings are how a fold was trained, next to its recipe.
type Settings struct {
	Device        string // name, with kernels and threads
	Precision     string
	FP32          bool // no mixed precision
	Deterministic bool
	Threads       int
	Workers       int
	Pretrained    string // digest of the weights that it started from; empty for none
}

// ReadSettings reads how the fold in foldDir was trained.
func ReadSettings(foldDir string) (*Settings, error) {
	var d struct {
		Device        string `json:"device"`
		Precision     string `json:"precision"`
		Deterministic bool   `json:"deterministic"`
		Threads       int    `json:"threads"`
		Workers       int    `json:"workers"`
		Pretrained    string `json:"pretrained_weights"`
	}
	err := jsonfile.Read(filepath.Join(foldDir, debugFile), &d)
	if err != nil {
		return nil, err
	}
	s := &Settings{Device: d.Device, Precision: d.Precision, FP32: d.Precision == "fp32", Deterministic: d.Deterministic, Threads: d.Threads, Workers: d.Workers}
	if d.Pretrained != "" {
		if s.Pretrained, err = provenance.DigestFile(d.Pretrained); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the weights that it started from are not there any more: %w", err)
		} else if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ReadHistory reads what the epochs of the trained fold in foldDir brought; nil if no final checkpoint was kept, or its
// weights were brought from elsewhere.
func ReadHistory(foldDir string) (*History, error) {
	c, err := checkpoint.Read(foldDir, checkpoint.Final)
	if errors.Is(err, checkpoint.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s state
	if c.Training(&s) != nil || s.unmeasured() < 0 {
		return nil, nil
	}
	return &s.History, nil
}

// AUC is the mean area under the ROC curve over the labels after every epoch, NaN where it was not measured.
func (h *History) AUC() []float64 { return h.series(aucOf) }
