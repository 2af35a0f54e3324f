package backend

// Planning returns a device with the layouts and sizes of dev whose kernels do nothing and whose blocks hold nothing: running a
// graph on it shows what memory the graph needs.
func Planning(dev Device) Device {
	if p, ok := dev.(planning); ok {
		return p
	}
	return planning{dev}
}

type planning struct{ Device }

type noMemory int64

func (b noMemory) Bytes() int64 { return int64(b) }

func (planning) Close()                                                           {}
func (planning) NewBlock(bytes int64) (Block, error)                              { return noMemory(bytes), nil }
func (planning) Place(s Spec, _ Block, _ int64) *Tensor                           { return NewTensor(s, nil) }
func (planning) Upload(*Tensor, []float32)                                        {}
func (planning) Download(*Tensor, []float32)                                      {}
func (planning) ConvForward(Conv, *Tensor, *Tensor, *Tensor, Epilogue)            {}
func (planning) ConvBackwardData(Conv, *Tensor, *Tensor, *Tensor, bool)           {}
func (planning) ConvBackwardWeights(Conv, *Tensor, *Tensor, *Tensor)              {}
func (planning) BatchNormStats(*Tensor, int, BatchNorm)                           {}
func (planning) BatchNormReLU(*Tensor, BatchNorm, *Tensor)                        {}
func (planning) BatchNormReLUBackward(_, _ *Tensor, _ BatchNorm, _, _, _ *Tensor) {}
func (planning) MaxPool(Pool, *Tensor, *Tensor, *Tensor)                          {}
func (planning) MaxPoolBackward(Pool, *Tensor, *Tensor, *Tensor, bool)            {}
func (planning) AvgPoolMean([3]int, *Tensor, *Tensor)                             {}
func (planning) AvgPoolMeanBackward([3]int, *Tensor, *Tensor)                     {}
func (planning) Linear(_, _, _, _ *Tensor)                                        {}
func (planning) LinearBackward(_, _, _, _, _, _ *Tensor)                          {}
func (planning) CrossEntropy([]int, *Tensor, *Tensor, *Tensor, *Tensor)           {}
func (planning) Step(SGD, *Tensor, *Tensor, *Tensor) float64                      { return 0 }

func (planning) StepAdamW(AdamW, *Tensor, *Tensor, *Tensor, *Tensor) float64 { return 0 }
func (planning) Average(_, _ *Tensor, _ float64)                             {}

func (p planning) Slice(t *Tensor, first, count int) *Tensor {
	return NewTensor(SliceSpec(t.spec, first, count), nil)
}

// SliceSpec is the spec of Device.Slice.
func SliceSpec(s Spec, first, count int) Spec {
	shape := append([]int(nil), s.Shape...)
	axis := 0
	if s.Kind == Activation {
		axis = 1
	}
	if first < 0 || count < 0 || first+count > shape[axis] || first%16 != 0 {
		panic("backend: slice out of range")
	}
	shape[axis] = count
	return Spec{s.Kind, shape}
}
