package lockfile

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("UC_TEST_LOCK"); path != "" {
		if _, err := Acquire(path); err != nil {
			panic(err)
		}
		fmt.Println("locked")
		time.Sleep(time.Minute) // until killed
		return
	}
	os.Exit(m.Run())
}

// A lock names its holder while that lives, and is free as soon as it has been killed.
func TestLockOfAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.lock")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "UC_TEST_LOCK="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line := bufio.NewScanner(out); !line.Scan() || line.Text() != "locked" {
		t.Fatalf("the child said %q", line.Text())
	}
	_, err = Acquire(path)
	if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", child.Process.Pid)) {
		t.Errorf("got %v, want the number of process %d", err, child.Process.Pid)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	l, err := Acquire(path)
	if err != nil {
		t.Fatalf("after the holder's death: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestOneHolderAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.lock")
	for range 2 {
		l, err := Acquire(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Acquire(path); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			t.Errorf("a second holder: %v", err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadFile(path); err != nil || len(left) > 0 {
			t.Errorf("left behind: %q (%v)", left, err)
		}
	}
	if _, err := Acquire(filepath.Join(path, "below", "a.lock")); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("below a file: %v", err)
	}
}
