package interrupt

import (
	"context"
	"errors"
	"testing"
)

// The word reaches every context made of the first.
func TestInWords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	spoken := InWords(ctx)
	below, cancelBelow := context.WithCancel(context.WithValue(spoken, key{}, nil))
	defer cancelBelow()
	other, cancelOther := context.WithCancel(spoken)
	cancelOther()
	if spoken.Err() != nil || below.Err() != nil || other.Err() != context.Canceled {
		t.Fatalf("before: %v, %v, %v", spoken.Err(), below.Err(), other.Err())
	}
	cancel()
	<-below.Done()
	for _, err := range []error{spoken.Err(), below.Err()} {
		if !errors.Is(err, context.Canceled) || err.Error() != "interrupted" {
			t.Errorf("%q, want context.Canceled in the word interrupted", err)
		}
	}
}

func TestInWordsOfADeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	spoken := InWords(ctx)
	if <-spoken.Done(); spoken.Err() != context.DeadlineExceeded {
		t.Errorf("%v, want the error of the deadline", spoken.Err())
	}
}
