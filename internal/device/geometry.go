package device

func outSize(size, kernel, stride [3]int, ceil bool) [3]int {
	var out [3]int
	low, high := samePadding(kernel, stride)
	for a := range 3 {
		padded := size[a] + low[a] + high[a]
		if !ceil {
			out[a] = max(0, padded-kernel[a]+stride[a]) / stride[a]
			continue
		}
		out[a] = (max(padded-kernel[a], 0)+stride[a]-1)/stride[a] + 1
		if (out[a]-1)*stride[a] >= padded { // the last window must start inside, as in PyTorch
			out[a]--
		}
	}
	return out
}

// OutSize is the size (D, H, W) of the convolution's output; 0 on an axis too short for the kernel.
func (c Conv) OutSize(size [3]int) [3]int { return outSize(size, c.Kernel, c.Stride, false) }

// OutSize is the size (D, H, W) of the pooling's output.
func (p Pooling) OutSize(size [3]int) [3]int { return outSize(size, p.Kernel, p.Stride, true) }

// Padding is the zeros in front of and behind every axis.
func (c Conv) Padding() (low, high [3]int) { return samePadding(c.Kernel, c.Stride) }

// Padding is the zeros in front of and behind every axis.
func (p Pooling) Padding() (low, high [3]int) { return samePadding(p.Kernel, p.Stride) }

// samePadding is TensorFlow's SAME padding for kernel - stride, whatever the input's size; the lower side gets the
// smaller half.
func samePadding(kernel, stride [3]int) (low, high [3]int) {
	for a := range 3 {
		total := max(kernel[a]-stride[a], 0)
		low[a], high[a] = total/2, total-total/2
	}
	return low, high
}
