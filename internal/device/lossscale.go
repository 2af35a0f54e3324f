package device

// LossScaler is implemented by devices that multiply the loss's gradient by a scale, so that small gradients survive a
// 16-bit format of few exponents. It halves the scale, and Step skips the update and returns -1, when a gradient
// overflows; it doubles it after many good steps.
type LossScaler interface {
	// LossScale returns the scale and how many good steps there have been since it last changed.
	LossScale() (scale float64, good int)
	// SetLossScale resumes from what LossScale returned.
	SetLossScale(scale float64, good int)
}
