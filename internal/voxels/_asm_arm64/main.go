// Command asm writes the machine code of package voxels for arm64: what turns the commonest kind of voxel into float32.
package main

import . "github.com/universal-classifier/uc/internal/neon"

func main() {
	f := NewFile("voxels", "go run ./_asm_arm64")
	widen(f)
	if err := f.Write("widen_arm64"); err != nil {
		panic(err)
	}
}

// widen: n values, a multiple of 16 that is not 0.
func widen(file *File) {
	f := file.Func("widenBlocks", "(dst *float32, src *byte, n int)")
	dst, src, n := f.Load("dst"), f.Load("src"), f.Load("n")
	f.Go("LSR $4, %v, %v", n, n)
	f.Loop("values", n, func() {
		f.LDPQPost(4, 5, src, 32)
		f.SSHLL(V(0).S4(), V(4).H4(), 0)
		f.SSHLL2(V(1).S4(), V(4).H8(), 0)
		f.SSHLL(V(2).S4(), V(5).H4(), 0)
		f.SSHLL2(V(3).S4(), V(5).H8(), 0)
		for v := range V(4) {
			f.SCVTF(v.S4(), v.S4())
		}
		f.STPQ(2, 3, dst, 32)
		f.STPQPost(0, 1, dst, 64)
	})
	f.RET()
}
