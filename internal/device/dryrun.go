package device

// DryRun returns a device with the layouts and sizes of dev whose kernels do nothing and whose blocks hold nothing:
// running a graph on it shows what memory the graph needs.
func DryRun(dev Device) Device {
	if p, ok := dev.(dryRun); ok {
		return p
	}
	return dryRun{dev}
}

type dryRun struct{ Device }

type noMemory int64

func (b noMemory) Bytes() int64 { return int64(b) }
func (noMemory) Free()          {}

func (dryRun) Close()                                                           {}
func (dryRun) NewBlock(bytes int64) (Block, error)                              { return noMemory(bytes), nil }
func (dryRun) Place(s Spec, _ Block, _ int64) *Tensor                           { return NewTensor(s, nil) }
func (dryRun) Upload(*Tensor, []float32)                                        {}
func (dryRun) Download(*Tensor, []float32)                                      {}
func (dryRun) ConvForward(Conv, *Tensor, *Tensor, *Tensor, Epilogue)            {}
func (dryRun) ConvBackwardData(Conv, *Tensor, *Tensor, *Tensor, bool)           {}
func (dryRun) ConvBackwardWeights(Conv, *Tensor, *Tensor, *Tensor)              {}
func (dryRun) BatchNormStats(*Tensor, int, BatchNorm)                           {}
func (dryRun) BatchNormReLU(*Tensor, BatchNorm, *Tensor)                        {}
func (dryRun) BatchNormReLUBackward(_, _ *Tensor, _ BatchNorm, _, _, _ *Tensor) {}
func (dryRun) ReLUBackward(_, _ *Tensor)                                        {}
func (dryRun) MaxPool(Pooling, *Tensor, *Tensor, *Tensor)                       {}
func (dryRun) MaxPoolBackward(Pooling, *Tensor, *Tensor, *Tensor, bool)         {}
func (dryRun) AvgPoolMean([3]int, *Tensor, *Tensor)                             {}
func (dryRun) AvgPoolMeanBackward([3]int, *Tensor, *Tensor)                     {}
func (dryRun) Linear(_, _, _, _ *Tensor)                                        {}
func (dryRun) LinearBackward(_, _, _, _, _, _ *Tensor)                          {}
func (dryRun) CrossEntropy([]int, *Tensor, *Tensor, *Tensor, *Tensor)           {}
func (dryRun) Step(SGD, *Tensor, *Tensor, *Tensor) float64                      { return 0 }

func (dryRun) StepAdamW(AdamW, *Tensor, *Tensor, *Tensor, *Tensor) float64 { return 0 }
func (dryRun) Average(_, _ *Tensor, _ float64)                             {}

func (p dryRun) Slice(t *Tensor, first, count int) *Tensor {
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
		panic("device: slice out of range")
	}
	shape[axis] = count
	return Spec{s.Kind, shape}
}
