package memory

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{
		"8G": 8 << 30, "500M": 500 << 20, "1.5GiB": 3 << 29, "4096": 4096, "2k": 2048, "1T": 1 << 40, " 16 GB ": 16 << 30, "10KiB": 10240,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "G", "-1G", "0", "nan", "inf", "8X", "1e30G", "8G8"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestBudget(t *testing.T) {
	b := NewBudget(100)
	var large *TooLargeError
	if err := b.Acquire(t.Context(), 101); !errors.As(err, &large) || large.Need != 101 {
		t.Errorf("more than the budget: %v", err)
	}
	if err := b.Acquire(t.Context(), 70); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.Acquire(ctx, 40); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("110 of 100 bytes: %v", err)
	}
	done := make(chan error)
	go func() { done <- b.Acquire(t.Context(), 40) }()
	b.Release(70)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAvailable(t *testing.T) {
	if n := Available(); n < 1<<20 || n > 1<<50 {
		t.Errorf("%d bytes of memory are free", n)
	}
	if d := Default(); d <= 0 {
		t.Errorf("default budget %d", d)
	}
	if got := Format(3<<29) + ", " + Format(5<<20) + ", " + Format(1000); got != "1.5 GiB, 5 MiB, 1 KiB" {
		t.Errorf("got %s", got)
	}
}
