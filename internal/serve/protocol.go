// Package serve answers requests for predictions on a pair of streams, line by line, and keeps models loaded between
// them. docs/reference/serve-stdio.md describes the protocol.
package serve

import (
	"encoding/json"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// Protocol is the version of the protocol, which the first line names.
const Protocol = 1

// maxLineBytes bounds a request; it holds paths and settings only.
const maxLineBytes = 1 << 20

// Methods of a request.
const (
	methodPredict  = "predict"
	methodCancel   = "cancel"
	methodShutdown = "shutdown"
)

// request is a line that comes in.
type request struct {
	ID     int64           `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// predictParams are the params of predict. What is left out takes the default.
type predictParams struct {
	Artifact       string    `json:"artifact"`
	Images         []string  `json:"images"`
	Mask           string    `json:"mask"`
	Folds          *[]string `json:"folds"` // null: all, else every trained fold; []: every trained fold
	Model          string    `json:"model"`
	Trainer        string    `json:"trainer"`
	Plans          string    `json:"plans"`
	Checkpoint     string    `json:"checkpoint"`
	MixedPrecision bool      `json:"mixed_precision"`
	Mirroring      bool      `json:"mirroring"`
	Device         string    `json:"device"`
	Threads        int       `json:"threads"`
}

// cancelParams are the params of cancel: the request to give up.
type cancelParams struct {
	ID int64 `json:"id"`
}

// message is a line that goes out: one field is set in addition to ID.
type message struct {
	ID      int64    `json:"id"`
	Result  any      `json:"result,omitempty"`
	Error   *failure `json:"error,omitempty"`
	Warning string   `json:"warning,omitempty"`
	Note    string   `json:"note,omitempty"`
}

// hello is the first line that goes out.
type hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"uc"`
}

// result is the result of predict.
type result struct {
	Probabilities [][]float64 `json:"probabilities"` // per label and class; float32 values
	Labels        []label     `json:"labels"`
	Folds         []string    `json:"folds"`
	Precision     string      `json:"precision"`

	Calibrated [][]float64     `json:"calibrated,omitempty"` // as Probabilities; null for a label without a temperature
	Doubt      *evaluate.Doubt `json:"doubt,omitempty"`
}

type label struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// failure is why a request has no result.
type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// Kinds of failures.
const (
	kindInput     = "input"     // the request, or the files of the case
	kindNotFound  = "not found" // a file or folder that is not there
	kindCancelled = "cancelled"
	kindFailed    = "failed" // everything else
)
