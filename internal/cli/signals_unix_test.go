//go:build unix

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// endless is a training that has not ended when the test has.
func (c testCohort) endless(fold string) []string {
	return []string{"train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", "1", fold, "--deterministic",
		"--epochs", "100000", "--iterations", "1", "--val-iterations", "1", "--batch-size", "2"}
}

// command is a program that a test starts; it ends with the test, and after three minutes at the latest.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(stop)
	return exec.CommandContext(ctx, name, args...)
}

// waitFor reads lines until one holds text.
func waitFor(t *testing.T, lines *bufio.Scanner, text string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the program ended before it said %q", text)
}

// ended waits for a process, at most a minute.
func ended(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatal("still running after a minute")
		return -1
	}
}

func (c testCohort) hasCheckpoint(t *testing.T, fold string) {
	t.Helper()
	if !exists(filepath.Join(c.model(), "fold_"+fold, "model_latest.safetensors")) {
		t.Error("no checkpoint was kept")
	}
}

// A closed terminal ends a training as SIGTERM does, with a checkpoint; under nohup it continues.
func TestHangup(t *testing.T) {
	bin := build(t)
	c := newCohort(t, 5)
	ok(t, c.planArgs()...)
	// Tests that themselves run under nohup would hand the ignored signal on.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	for name, test := range map[string]struct {
		shell string
		hup   bool // ends the training
	}{"plain": {`exec "$0" "$@"`, true}, "nohup": {`trap "" HUP; exec "$0" "$@"`, false}} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, "sh", append([]string{"-c", test.shell, bin}, c.endless("0")...)...)
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stderr)
			waitFor(t, lines, "epoch 1/")
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if !test.hup {
				waitFor(t, lines, "epoch ")
				waitFor(t, lines, "epoch ")
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			rest, _ := io.ReadAll(stderr)
			if code := ended(t, cmd); code != ExitFailed || !strings.Contains(string(rest), "training interrupted") {
				t.Errorf("exit code %d, said %s", code, rest)
			}
			c.hasCheckpoint(t, "0")
		})
	}
}

// A training whose output nobody reads any more trains on, to its end.
func TestBrokenPipesStopNoTraining(t *testing.T) {
	bin := build(t)
	c := newCohort(t, 5)
	ok(t, c.planArgs()...)
	cmd := command(t, bin, c.trainArgs("0", "--json")...)
	for _, to := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		r.Close() // every write fails, and would end a program that does not know better
		*to = w
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if code := ended(t, cmd); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if !exists(filepath.Join(c.model(), "fold_0", "model_final_checkpoint.safetensors")) || !exists(filepath.Join(c.model(), "fold_0", "validation_raw", "summary.json")) {
		t.Error("the training did not come to its end")
	}
}

// fullPipe is the end of a pipe that nobody reads and that takes no more than room bytes, in whole pages.
func fullPipe(t *testing.T, room int) *os.File {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ends[0]) })
	if err := unix.SetNonblock(ends[1], true); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{4096, 1} {
		for block := make([]byte, n); ; {
			if _, err := unix.Write(ends[1], block); err != nil {
				break
			}
		}
	}
	if err := unix.SetNonblock(ends[1], false); err != nil {
		t.Fatal(err)
	}
	if room > 0 {
		if _, err := unix.Read(ends[0], make([]byte, room)); err != nil {
			t.Fatal(err)
		}
	}
	f := os.NewFile(uintptr(ends[1]), "pipe")
	t.Cleanup(func() { f.Close() })
	return f
}

// One Ctrl-C ends a program that is stuck in a write.
func TestCtrlCEndsWhatIsStuck(t *testing.T) {
	bin := build(t)
	c := newCohort(t, 5)
	for name, args := range map[string][]string{"planning": c.planArgs(), "help": {"--help"}, "usage": {"nonsense"}} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, bin, args...)
			cmd.Stdout, cmd.Stderr = fullPipe(t, 0), fullPipe(t, 0)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond) // until it is stuck; before, it ends all the same
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			ended(t, cmd)
		})
	}
}

// A training that is stuck in a write to a pipe keeps what it has reached.
func TestCtrlCKeepsAStuckTraining(t *testing.T) {
	bin := build(t)
	c := newCohort(t, 5)
	ok(t, c.planArgs()...)
	cmd := command(t, bin, c.endless("0")...)
	cmd.Stderr = fullPipe(t, 4096) // enough for the first epochs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := func() string {
		files, _ := filepath.Glob(filepath.Join(c.model(), "fold_0", "training_log_*.txt"))
		if len(files) == 0 {
			return ""
		}
		b, _ := os.ReadFile(files[0])
		return string(b)
	}
	deadline := time.Now().Add(time.Minute)
	for before := ""; time.Now().Before(deadline); time.Sleep(2 * time.Second) { // until the log grows no more: stuck
		now := log()
		if strings.Contains(now, "epoch 1/") && now == before {
			break
		}
		before = now
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := ended(t, cmd); code != ExitFailed {
		t.Errorf("exit code %d", code)
	}
	c.hasCheckpoint(t, "0")
	if !strings.Contains(log(), "training interrupted at") {
		t.Errorf("the log ends with %.300q", log()[max(0, len(log())-300):])
	}
}
