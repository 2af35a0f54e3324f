package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	const source = `
// func f(n int)
TEXT ·f(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), AX

outer:
	MOVQ (BX), CX

inner:
	VMOVUPS      (CX)(DX*1), Y0
	VFMADD231PS  32(CX), Y1, Y0 // a product
	VMOVUPS      Y0, 32(R8)
	DECQ         AX
	JNZ          inner
	JMP          outer

// func g(n int)
TEXT ·g(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	CBZ R0, done

next:
	WORD $0x4cdf7800 // ldp q0, q1, [x0]
	WORD $0x4e20cc00 // fmla v0.4s, v0.4s, v0.4s
	WORD $0xad000000 // stp q0, q1, [x0]
	MOVD.P 8(R1), R2
	CBNZ R0, next

last:
	WORD $0x4e20cc00 // fmla v0.4s, v0.4s, v0.4s
	SUBS $1, R0, R0
	BNE last

done:
	RET
`
	got, err := read(strings.NewReader(source))
	want := []loop{
		{"f", "inner", counts{all: 5, loads: 2, stores: 1, vector: 1, other: 2}},
		{"g", "next", counts{all: 5, loads: 2, stores: 1, vector: 1, other: 1}},
		{"g", "last", counts{all: 3, vector: 1, other: 2}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, %v, want %+v", got, err, want)
	}
}
