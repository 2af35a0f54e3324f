package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// A Question is what a child process is asked.
type Question struct {
	Test     bool   `json:"test"` // test the card; else report what is there
	CUDALibs string `json:"cuda_libs"`
	Card     int    `json:"card"`
	Mixed    bool   `json:"mixed"`
}

// A Prober answers a question about the GPU within a time limit, by filling in answer as JSON does.
type Prober func(q Question, limit time.Duration, answer any) error

// Child returns a Prober that starts this program again with args and the question, so that a driver that crashes or
// hangs takes down only the child. The program, started so, has to write what Answer makes of the question.
func Child(args ...string) Prober {
	return func(q Question, limit time.Duration, answer any) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		text, err := json.Marshal(q)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		cmd := exec.CommandContext(ctx, self, append(slices.Clone(args), string(text))...)
		cmd.WaitDelay = time.Second
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("the NVIDIA driver is broken: no answer within %v; does nvidia-smi answer?", limit)
		case err != nil:
			return fmt.Errorf("the NVIDIA driver is broken: it ended the process that looked (%s); does nvidia-smi answer?", lastWords(err, errs.String()))
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), answer); err != nil {
			return errors.New("the NVIDIA driver is broken: the process that looked gave no answer")
		}
		return nil
	}
}

// lastWords are the first line a dying process wrote, or how it ended.
func lastWords(err error, stderr string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	if line == "" {
		return err.Error()
	}
	return fmt.Sprintf("%v: %s", err, line)
}

// lookLimit is how long a child may look for the GPU; the first contact after a start of the machine takes seconds.
const lookLimit = 30 * time.Second

// Look reports what the machine has for a GPU, as probe finds out.
func Look(probe Prober, cudaLibs string) *Report {
	r := &Report{Cards: []CardInfo{}}
	if !Present() {
		r.Problem = "there is no NVIDIA driver"
		return r
	}
	if err := probe(Question{CUDALibs: cudaLibs}, lookLimit, r); err != nil {
		return &Report{Cards: []CardInfo{}, Problem: err.Error()}
	}
	return r
}
