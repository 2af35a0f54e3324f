package neon

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// instructions are calls of every method that encodes an instruction, with registers, lanes and offsets at the limits.
var instructions = func() (calls [][]any) {
	add := func(method string, args ...any) { calls = append(calls, append([]any{method}, args...)) }
	threes := func(arrangements func(v V) []Vec, methods ...string) {
		for _, m := range methods {
			for i := range arrangements(0) {
				add(m, arrangements(1)[i], arrangements(18)[i], arrangements(31)[i])
			}
		}
	}
	twos := func(arrangements func(v V) []Vec, methods ...string) {
		for _, m := range methods {
			for i := range arrangements(0) {
				add(m, arrangements(30)[i], arrangements(5)[i])
			}
		}
	}
	floats := func(v V) []Vec { return []Vec{v.S4(), v.S2(), v.D2()} }
	ints := func(v V) []Vec { return []Vec{v.B16(), v.B8(), v.H8(), v.H4(), v.S4(), v.S2()} }
	all := func(v V) []Vec { return append(ints(v), v.D2()) }
	bytes := func(v V) []Vec { return []Vec{v.B16(), v.B8()} }
	threes(floats, "FMAXNM", "FADD", "FCMEQ", "FMAX", "FRECPS", "FMINNM", "FSUB", "FMIN", "FRSQRTS", "FADDP", "FCMGE", "FACGE", "FMAXP",
		"FDIV", "FABD", "FCMGT", "FACGT", "FMINP", "FMLA", "FMLS", "FMUL")
	threes(all, "ADD", "SUB", "CMGT", "CMHI", "CMGE", "CMHS", "SSHL", "USHL", "CMTST", "CMEQ", "ADDP", "SQADD", "UQADD", "UQSUB",
		"UZP1", "UZP2", "TRN1", "TRN2", "ZIP1", "ZIP2")
	threes(ints, "SMAX", "UMAX", "SMIN", "UMIN", "MLA", "MLS", "MUL", "SABD", "UABD", "UHADD", "URHADD")
	threes(bytes, "AND", "BIC", "ORR", "ORN", "EOR", "BSL", "BIT", "BIF")
	twos(floats, "FRINTN", "FRINTM", "FRINTP", "FRINTZ", "FRINTA", "FCVTNS", "FCVTMS", "FCVTZS", "FCVTZU", "SCVTF", "UCVTF", "FRECPE",
		"FRSQRTE", "FABS", "FNEG", "FSQRT", "FCMGT0", "FCMGE0", "FCMEQ0", "FCMLE0", "FCMLT0")
	twos(all, "CMGT0", "CMGE0", "CMEQ0", "CMLE0", "CMLT0", "ABS", "NEG")
	twos(ints, "CLZ", "REV64")
	twos(bytes, "CNT", "NOT", "RBIT", "REV16")
	twos(func(v V) []Vec { return []Vec{v.B16(), v.H4()} }, "REV32")
	for _, m := range []string{"FMLA", "FMLS", "FMUL"} {
		for i := range 4 {
			add(m, V(7).S4(), V(8).S4(), V(30-i).S(i))
		}
		add(m, V(7).S2(), V(8).S2(), V(1).S(3))
		add(m, V(7).D2(), V(8).D2(), V(31).D(0))
		add(m, V(7).D2(), V(8).D2(), V(1).D(1))
	}
	for i := range 4 {
		add("BFDOT", V(7).S4(), V(8).H8(), V(30-i).S(i))
	}
	add("BFDOT", V(7).S4(), V(8).H8(), V(31).H8())
	add("BFDOT", V(7).S2(), V(8).H4(), V(31).H4())
	for _, m := range []string{"BFMMLA", "BFMLALB", "BFMLALT"} {
		add(m, V(7).S4(), V(8).H8(), V(31).H8())
	}
	add("BFCVTN", V(7).H4(), V(31).S4())
	add("BFCVTN2", V(7).H8(), V(31).S4())
	for _, c := range []struct {
		suffix  string
		n, w    []Vec // of one number of lanes
		integer bool
	}{
		{"", []Vec{V(9).B8(), V(9).H4(), V(9).S2()}, []Vec{V(20).H8(), V(20).S4(), V(20).D2()}, true},
		{"2", []Vec{V(9).B16(), V(9).H8(), V(9).S4()}, []Vec{V(20).H8(), V(20).S4(), V(20).D2()}, true},
	} {
		for i, n := range c.n {
			w := c.w[i]
			if i > 0 {
				add("FCVTL"+c.suffix, w, n)
				add("FCVTN"+c.suffix, n, w)
			}
			for _, m := range []string{"XTN", "SQXTN", "SQXTUN", "UQXTN"} {
				add(m+c.suffix, n, w)
			}
			for _, m := range []string{"SADDL", "UADDL", "SSUBL", "USUBL", "SMULL", "UMULL", "SMLAL", "UMLAL"} {
				add(m+c.suffix, w, n, n)
			}
			for _, m := range []string{"SADDW", "UADDW"} {
				add(m+c.suffix, w, w, n)
			}
			add("SHLL"+c.suffix, w, n)
			for _, by := range []int{1, 8 << n.width} {
				add("SHRN"+c.suffix, n, w, by)
				add("RSHRN"+c.suffix, n, w, by)
			}
			for _, by := range []int{1, 8<<n.width - 1} {
				add("SSHLL"+c.suffix, w, n, by)
				add("USHLL"+c.suffix, w, n, by)
			}
		}
	}
	for i, d := range all(3) {
		n := all(21)[i]
		for _, m := range []string{"SSHR", "USHR", "SSRA", "USRA", "SRI"} {
			add(m, d, n, 1)
			add(m, d, n, 8<<n.width)
		}
		for _, m := range []string{"SHL", "SLI"} {
			add(m, d, n, 0)
			add(m, d, n, 8<<n.width-1)
		}
		if n.full || n.width < 2 {
			for _, m := range []string{"ADDV", "SMAXV", "UMAXV", "SMINV", "UMINV", "UADDLV"} {
				if n.width < 3 {
					add(m, V(3), n)
				}
			}
		}
	}
	for _, m := range []string{"FMAXV", "FMINV", "FMAXNMV"} {
		add(m, V(3), V(21).S4())
	}
	add("MOV", V(3), V(31))
	add("EXT", V(3).B16(), V(4).B16(), V(31).B16(), 0)
	add("EXT", V(3).B16(), V(4).B16(), V(31).B16(), 15)
	for _, m := range []string{"TBL", "TBX"} {
		for n := 1; n <= 4; n++ {
			add(m, V(3).B16(), []V{30, 31, 0, 1}[:n], V(9).B16())
		}
		add(m, V(3).B8(), []V{30}, V(9).B8())
	}
	for width, v := range []func(V) []Vec{func(v V) []Vec { return []Vec{v.B16(), v.B8()} }, func(v V) []Vec { return []Vec{v.H8(), v.H4()} },
		func(v V) []Vec { return []Vec{v.S4(), v.S2()} }, func(v V) []Vec { return []Vec{v.D2()} }} {
		last := 16>>width - 1
		for _, d := range v(17) {
			add("DUP", d, lane(30, uint(width), last))
			add("DUPGeneral", d, R(26))
		}
		for _, i := range []int{0, last} {
			add("INS", lane(30, uint(width), i), lane(11, uint(width), last-i))
			add("INSGeneral", lane(30, uint(width), i), R(26))
			add("UMOV", R(26), lane(11, uint(width), i))
			if width < 3 {
				add("SMOV", R(26), lane(11, uint(width), i))
			}
		}
		for i := 0; i <= last; i++ {
			add("LD1Lane", lane(30, uint(width), i), R(26))
			add("ST1Lane", lane(30, uint(width), i), R(26))
		}
		for _, d := range v(17) {
			add("LD1R", d, R(26), false)
			add("LD1R", d, R(26), true)
			for _, post := range []bool{false, true} {
				for n := 1; n <= 4; n++ {
					t := []V{30, 31, 0, 1}[:n]
					add("LD1", t, d, R(26), post)
					add("ST1", t, d, R(26), post)
					if n > 1 {
						add("LDn", t, d, R(26), post)
						add("STn", t, d, R(26), post)
					}
				}
			}
		}
	}
	add("Zero", V(31))
	for _, value := range []uint8{0, 1, 0x5a, 255} {
		add("MOVIBytes", V(3).B16(), value)
		add("MOVIBytes", V(3).B8(), value)
		for shift := 0; shift < 32; shift += 8 {
			add("MOVI", V(3).S4(), value, shift)
			add("MOVI", V(3).S2(), value, shift)
			if shift < 16 {
				add("MOVI", V(3).H8(), value, shift)
			}
		}
	}
	add("FMOVOne", V(3).S4())
	for size, letter := range []string{"B", "H", "S", "D", "Q"} {
		for _, offset := range []int{0, 1 << size, 4095 << size, -1, -256, 255} {
			add("LDR"+letter, V(30), R(26), offset)
			add("STR"+letter, V(30), R(26), offset)
		}
		if size >= 2 {
			add("LDR"+letter+"At", V(30), R(26), R(9))
			add("STR"+letter+"At", V(30), R(26), R(9))
		}
	}
	for _, by := range []int{-256, 16, 255} {
		add("LDRQPost", V(30), R(26), by)
		add("STRQPost", V(30), R(26), by)
	}
	for _, offset := range []int{0, 32, 1008, -1024} {
		add("LDPQ", V(30), V(9), R(26), offset)
		add("STPQ", V(30), V(9), R(26), offset)
		if offset != 0 {
			add("LDPQPost", V(30), V(9), R(26), offset)
			add("STPQPost", V(30), V(9), R(26), offset)
		}
	}
	return calls
}()

// others are the methods of Func that do not encode a vector instruction.
var others = []string{"Address", "Arg", "Comment", "Free", "GP", "Go", "Label", "Load", "LoadConstants", "LoadEverywhere", "LoadFloat", "LoadInto",
	"Loop", "NewLabel", "OverRow", "RET", "Vectors"}

var wordLine = regexp.MustCompile(`^\tWORD \$0x([0-9a-f]{8}) // (.+)\n$`)

// TestEncodings compares every instruction with the word that LLVM makes of its text. testdata/encodings.txt comes from
// the texts that this test writes to the file named by NEON_TEXTS, one a line, by
//
//	llvm-mc --triple=aarch64 --mattr=+bf16 --show-encoding
//
// with the bytes in the order of the word.
func TestEncodings(t *testing.T) {
	known := map[string]string{}
	if file, err := os.Open(filepath.Join("testdata", "encodings.txt")); err == nil {
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			word, text, _ := strings.Cut(lines.Text(), " ")
			known[text] = word
		}
		file.Close()
	}
	tested, texts := map[string]bool{}, ""
	for _, name := range others {
		tested[name] = true
	}
	for _, call := range instructions {
		name := call[0].(string)
		tested[name] = true
		f := NewFile("p", "test").Func("f", "()")
		args := make([]reflect.Value, len(call)-1)
		for i, a := range call[1:] {
			args[i] = reflect.ValueOf(a)
		}
		reflect.ValueOf(f).MethodByName(name).Call(args)
		m := wordLine.FindStringSubmatch(f.text.String())
		if m == nil {
			t.Fatalf("%v gave %q", call, f.text.String())
		}
		texts += m[2] + "\n"
		if known[m[2]] != m[1] {
			t.Errorf("%v: %s is %s, want %q", call, m[2], m[1], known[m[2]])
		}
	}
	kind := reflect.TypeFor[*Func]()
	for i := range kind.NumMethod() {
		if name := kind.Method(i).Name; !tested[name] {
			t.Errorf("no word of %s is compared", name)
		}
	}
	if path := os.Getenv("NEON_TEXTS"); path != "" {
		if err := os.WriteFile(path, []byte(texts), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestImpossible asks for instructions that do not exist.
func TestImpossible(t *testing.T) {
	f := NewFile("p", "test").Func("f", "(x *float32, y float32)")
	for name, emit := range map[string]func(){
		"arrangements": func() { f.FADD(V(1).S4(), V(2).S4(), V(3).S2()) },
		"width":        func() { f.FADD(V(1).H8(), V(2).H8(), V(3).H8()) },
		"lane":         func() { V(1).S(4) },
		"lane's width": func() { f.FMLA(V(1).S4(), V(2).S4(), V(3).D(0)) },
		"offset":       func() { f.LDRQ(1, 2, 260) },
		"shift":        func() { f.SHL(V(1).S4(), V(2).S4(), 32) },
		"list":         func() { f.LD1([]V{1, 3}, V(1).S4(), 0, false) },
		"narrowing":    func() { f.XTN(V(1).H8(), V(2).S4()) },
		"argument":     func() { f.Load("z") },
		"kind":         func() { f.Load("y") },
		"float":        func() { f.LoadFloat("x", 0) },
		"signature":    func() { NewFile("p", "test").Func("f", "(x unknown)") },
		"registers": func() {
			for range 27 {
				f.GP()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "neon: ") {
					t.Errorf("no refusal but %v", r)
				}
			}()
			emit()
		})
	}
}

// TestArguments checks the bytes of arguments and results: only results begin at a multiple of 8.
func TestArguments(t *testing.T) {
	for signature, want := range map[string]int64{
		"(dst *float32, by float32)": 12, "(dst *float32, by float32) (n int32)": 24, "(a, b float32)": 8, "()": 0,
	} {
		if got := NewFile("kernel", "test").Func("f", signature).size; got != want {
			t.Errorf("%s takes %d bytes, want %d", signature, got, want)
		}
	}
}

// TestWrite compares a whole function with what Go's assembler takes; go vet checks the offsets of generated files.
func TestWrite(t *testing.T) {
	file := NewFile("kernel", "go run ./_asm_arm64 test")
	f := file.Func("scale", "(dst *float32, src []float32, first bool, by float32, n int32) (count int)")
	dst, src, n := f.Load("dst"), f.Load("src_base"), f.Load("n")
	f.LoadFloat("by", 1)
	table := f.GP()
	f.Address(file.Floats(1, 0.5), table)
	f.Address(file.Words(0x3f800000, 0x3f000000), table) // the same words
	f.Loop("loop", n, func() {
		f.LDRQPost(0, src, 16)
		f.FMUL(V(0).S4(), V(0).S4(), V(1).S(0))
		f.STRQPost(0, dst, 16)
	})
	f.Go("MOVD %v, %s", n, f.Arg("count"))
	f.RET()
	path := filepath.Join(t.TempDir(), "scale_arm64")
	if err := file.Write(path); err != nil {
		t.Fatal(err)
	}
	const head = "// Code generated by command: go run ./_asm_arm64 test. DO NOT EDIT.\n\n//go:build arm64 && !noasm\n\n"
	for suffix, want := range map[string]string{
		".go": head + `package kernel

//go:noescape
func scale(dst *float32, src []float32, first bool, by float32, n int32) (count int)
`,
		".s": head + `#include "textflag.h"

DATA constants0<>+0(SB)/4, $0x3f800000
DATA constants0<>+4(SB)/4, $0x3f000000
GLOBL constants0<>(SB), RODATA|NOPTR, $8

// func scale(dst *float32, src []float32, first bool, by float32, n int32) (count int)
TEXT ·scale(SB), NOSPLIT, $0-56
	MOVD dst+0(FP), R0
	MOVD src_base+8(FP), R1
	MOVW n+40(FP), R2
	FMOVS by+36(FP), F1
	MOVD $constants0<>(SB), R3
	MOVD $constants0<>(SB), R3

loop:
	WORD $0x3cc10420 // ldr q0, [x1], #16
	WORD $0x4f819000 // fmul v0.4s, v0.4s, v1.s[0]
	WORD $0x3c810400 // str q0, [x0], #16
	SUBS $1, R2, R2
	BNE loop
	MOVD R2, count+48(FP)
	RET
`,
	} {
		got, err := os.ReadFile(path + suffix)
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n%s", suffix, err, got)
		}
	}
}

// TestSizeOfArguments: results begin at a word and fill words; without results the arguments end where the last one
// does.
func TestSizeOfArguments(t *testing.T) {
	for signature, want := range map[string]int64{
		"(n int, by float32)":               12,
		"(n int, by float32) (sum float32)": 24,
		"(first, second bool)":              2,
		"()":                                0,
	} {
		if got := NewFile("p", "test").Func("f", signature).size; got != want {
			t.Errorf("f%s: %d bytes, want %d", signature, got, want)
		}
	}
}
