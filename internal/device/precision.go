package device

// PrecisionText says in which number format an opened device computes, and why, given whether mixed precision was asked
// for.
func PrecisionText(dev Device, mixed bool) string {
	switch p := dev.Precision(); {
	case p != "fp32":
		return "mixed precision, " + p + " with weights in fp32"
	case mixed:
		return "fp32: no mixed precision on this device"
	}
	return "fp32, as asked for"
}
