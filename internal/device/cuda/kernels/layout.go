package kernels

// elementRun is the number of voxels that a thread of an elementwise kernel handles.
const elementRun = 8

// PackActivations converts (N, C, D, H, W) float to dst. Channels of the pitch from dst.C up to padded become 0: none
// when padded is dst.C, all of them when it is dst.Pitch.
func (t Type) PackActivations(src Ptr, dst View, padded int) Launch {
	grid, block := flat(dst.Voxels() * padded)
	return launch("pack_activations", grid, block, src, dst.Data, dst.N, dst.D*dst.H*dst.W, dst.C, padded, dst.Pitch)
}

// UnpackActivations converts src to (N, C, D, H, W) float.
func (t Type) UnpackActivations(src View, dst Ptr) Launch {
	grid, block := flat(src.Voxels() * src.C)
	return launch("unpack_activations", grid, block, src.Data, dst, src.N, src.D*src.H*src.W, src.C, src.Pitch)
}

// PackWeights converts PyTorch's (K, C, taps) float to (K, taps, pitch) of T, channels beyond c 0. With Float32 it runs
// in a module of any type.
func (t Type) PackWeights(src, dst Ptr, k, c, taps, pitch int) Launch {
	grid, block := flat(k * taps * pitch)
	return launch("pack_weights"+t.suffix(), grid, block, src, dst, k, c, taps, pitch)
}

// UnpackWeights converts (K, taps, pitch) of T to PyTorch's (K, C, taps) float. With Float32 it runs in a module of any
// type.
func (t Type) UnpackWeights(src, dst Ptr, k, c, taps, pitch int) Launch {
	grid, block := flat(k * c * taps)
	return launch("unpack_weights"+t.suffix(), grid, block, src, dst, k, c, taps, pitch)
}

// suffix marks the kernels whose elements are float in a module of any type.
func (t Type) suffix() string {
	if t == Float32 {
		return "_f32"
	}
	return ""
}

// Convert writes n floats as T.
func (t Type) Convert(src, dst Ptr, n int) Launch {
	grid, block := flat(n)
	return launch("convert", grid, block, src, dst, n)
}

// ConvertBack writes n elements of T as floats.
func (t Type) ConvertBack(src, dst Ptr, n int) Launch {
	grid, block := flat(n)
	return launch("convert_back", grid, block, src, dst, n)
}

// Fill writes n floats.
func (t Type) Fill(dst Ptr, n int, value float64) Launch {
	grid, block := flat(n)
	return launch("fill", grid, block, dst, n, float(value))
}

// Add computes y += x.
func (t Type) Add(y, x View) Launch {
	grid, block := t.perVoxel(y.Voxels(), y.C, elementRun)
	return launch("add", grid, block, y.Data, x.Data, y.Voxels(), y.C, y.Pitch, x.Pitch, t.wide(x, y))
}

// CopyChannels computes y = x, for a dense copy of a slice, say.
func (t Type) CopyChannels(x, y View) Launch {
	grid, block := t.perVoxel(x.Voxels(), x.C, elementRun)
	return launch("copy_channels", grid, block, x.Data, y.Data, x.Voxels(), x.C, x.Pitch, y.Pitch, t.wide(x, y))
}

// BiasReLU adds a bias per channel, unless it is 0, and applies ReLU on request.
func (t Type) BiasReLU(y View, bias Ptr, relu bool) Launch {
	grid, block := t.perVoxel(y.Voxels(), y.C, elementRun)
	return launch("bias_relu", grid, block, y.Data, bias, relu, y.Voxels(), y.C, y.Pitch, t.wide(y))
}

// ReLUBackward sets dy to 0 where y is 0.
func (t Type) ReLUBackward(y, dy View) Launch {
	grid, block := t.perVoxel(y.Voxels(), y.C, elementRun)
	return launch("relu_backward", grid, block, y.Data, dy.Data, y.Voxels(), y.C, y.Pitch, dy.Pitch, t.wide(y, dy))
}
