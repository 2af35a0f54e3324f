package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// childVariable asks this program, started again, for one answer about the GPU instead of what it otherwise does.
const childVariable = "UC_GPU_CHILD"

// A Question is what a child process is asked.
type Question struct {
	Test     bool   `json:"test"` // test the card; else report what is there
	CUDALibs string `json:"cuda_libs"`
	Card     int    `json:"card"`
	Mixed    bool   `json:"mixed"`
}

// Asked returns the question that this process was started to answer, if it was.
func Asked() (q Question, asked bool) {
	text := os.Getenv(childVariable)
	if text == "" {
		return q, false
	}
	return q, json.Unmarshal([]byte(text), &q) == nil
}

// Answer writes the answer to the process that asked.
func Answer(answer any) {
	b, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(append([]byte{'\n'}, b...), '\n'))
}

// Ask starts this program again to answer a question about the GPU, so that a driver that crashes or hangs takes down
// only the child.
func Ask(q Question, limit time.Duration, answer any) error {
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
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
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

// Look reports what the machine has for a GPU, found out by a child process.
func Look(cudaLibs string) *Report {
	r := &Report{Cards: []CardInfo{}}
	if !Present() {
		r.Problem = "there is no NVIDIA driver"
		return r
	}
	if err := Ask(Question{CUDALibs: cudaLibs}, lookLimit, r); err != nil {
		return &Report{Cards: []CardInfo{}, Problem: err.Error()}
	}
	return r
}
