package predict

// InputError is about the files of a case, as opposed to the model, the network or the device.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }
