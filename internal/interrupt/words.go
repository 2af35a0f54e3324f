package interrupt

import "context"

// InWords returns a context that ends with ctx. Its error, and that of every context made of it, is then
// context.Canceled in the word that the person who pressed Ctrl-C would use: interrupted.
func InWords(ctx context.Context) context.Context {
	w := &inWords{ctx, make(chan struct{})}
	context.AfterFunc(ctx, func() { close(w.done) })
	return w
}

type inWords struct {
	context.Context
	done chan struct{} // one of its own, so that contexts made of this one ask it for its error
}

func (w *inWords) Done() <-chan struct{} { return w.done }

func (w *inWords) Err() error {
	select {
	case <-w.done:
	default:
		return nil
	}
	if err := w.Context.Err(); err != context.Canceled {
		return err
	}
	return interrupted{}
}

// interrupted is context.Canceled in other words.
type interrupted struct{}

func (interrupted) Error() string { return "interrupted" }
func (interrupted) Unwrap() error { return context.Canceled }
