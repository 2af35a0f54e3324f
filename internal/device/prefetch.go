package device

// Prefetcher is a device that takes the next input while it computes.
type Prefetcher interface {
	// Prefetch sends values, which the next Upload of an Input from the very same slice then finds on the  It returns
	// when they have been read, and may run concurrently with other calls.
	Prefetch(values []float32)
}
