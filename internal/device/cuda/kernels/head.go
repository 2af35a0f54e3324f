package kernels

// headThreads is the size of the head's blocks, as in head.cu.
const headThreads = 128

var headBlock = [3]int{headThreads, 1, 1}

// Linear computes y = x w' + b over floats: x (rows, in), w (out, in), b (out), y (rows, out).
func (t Type) Linear(x, w, b, y Ptr, rows, in, out int) Launch {
	return launch("linear", [3]int{out, rows, 1}, headBlock, x, w, b, y, in, out)
}

// LinearBackward computes the gradients of Linear.
func (t Type) LinearBackward(x, dy, w, dx, dw, db Ptr, rows, in, out int) []Launch {
	grid, block := flat(rows * in)
	grid2, block2 := flat(out * in)
	return []Launch{
		launch("linear_backward_input", grid, block, dy, w, dx, rows, in, out),
		launch("linear_backward_weights", grid2, block2, x, dy, dw, db, rows, in, out),
	}
}

// CrossEntropy is device.Device's, over floats; dlogits are multiplied by the LossScale of control unless that is 0.
func (t Type) CrossEntropy(classes []int, rows int, logits, targets, loss, dlogits, control Ptr) []Launch {
	columns := 0
	for _, n := range classes {
		columns += n
	}
	var launches []Launch
	first := 0
	for label, n := range classes {
		launches = append(launches, launch("cross_entropy", [3]int{1, 1, 1}, headBlock, logits, targets, loss, dlogits, control, rows, columns, len(classes), label, first, n, label > 0))
		first += n
	}
	return launches
}
