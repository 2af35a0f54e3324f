package torch

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
)

// A pickle is a program for a stack machine that may call any Python function. This one builds plain values only:
// it knows the few functions that PyTorch and NumPy need to describe their arrays (globals.go), as data, and refuses
// every other name.

// Limits that plans of cohorts of ten thousand cases stay below, and that keep the memory for any file, however
// hostile, under 256 MB.
const (
	maxPickle = 32 << 20 // bytes
	maxSteps  = 16 << 20 // operations of one pickle
	maxStack  = 1 << 18  // values on the stack: Python appends at most 1000 at a time
	maxMemory = 96 << 20 // bytes that the values of a pickle take
)

// Bytes of memory per byte of a pickle: a number that takes 15 bytes as NumPy's scalar takes about 200 here.
const (
	memoryAtLeast = 1 << 20
	memoryPerByte = 24
)

// Bytes that values take, for the budget.
const (
	costValue = 24  // header of a slice or string, or a boxed number
	costSlot  = 16  // of a value in a slice
	costDict  = 80  // empty
	costEntry = 96  // of a dictionary, growth included
	costCall  = 128 // what a call makes, at least
)

type unpickler struct {
	in     []byte
	pos    int
	list   []any
	memo   []any          // of keys 0, 1, 2, ... as Python gives them
	others map[uint64]any // of other keys
	budget int64          // bytes that values may still take
	// storage resolves a persistent id to a tensor's memory; nil where none may occur.
	storage func(id pickleTuple) (*torchStorage, error)
}

// load runs one pickle to its STOP and returns its value; u.pos is then behind it.
func (u *unpickler) load() (value any, err error) {
	u.list, u.memo, u.others = nil, nil, nil
	u.budget = min(memoryAtLeast+memoryPerByte*int64(len(u.in)), maxMemory)
	for range maxSteps {
		op, err := u.take(1)
		if err != nil {
			return nil, err
		}
		at := u.pos - 1
		if op[0] == '.' {
			return u.pop()
		}
		err = u.step(op[0])
		if err == nil && len(u.list) > maxStack {
			err = fmt.Errorf("more than %d values wait on the stack", maxStack)
		}
		if err != nil {
			return nil, fmt.Errorf("pickle, byte %d: %w", at, err)
		}
	}
	return nil, fmt.Errorf("a pickle of more than %d operations", maxSteps)
}

// spend counts memory before it is taken.
func (u *unpickler) spend(bytes int) error {
	if u.budget -= int64(bytes); u.budget < 0 {
		return fmt.Errorf("describes values that need more memory than a pickle of %d bytes may take", len(u.in))
	}
	return nil
}

func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		b, err := u.take(1)
		if err == nil && (b[0] < 2 || b[0] > 5) {
			err = fmt.Errorf("protocol %d; 2 to 5 can be read", b[0])
		}
		return err
	case 0x95: // FRAME
		_, err := u.take(8)
		return err
	case '(':
		u.push(pickleMark{})
	case '0': // POP
		_, err := u.pop()
		return err
	case '1': // POP_MARK
		_, err := u.toMark()
		return err
	case '2': // DUP
		top, err := u.top()
		if err != nil {
			return err
		}
		u.push(top)
	case 'N':
		u.push(nil)
	case 0x88:
		u.push(true)
	case 0x89:
		u.push(false)
	case 'J', 'K', 'M', 0x8a, 0x8b:
		return u.integer(op)
	case 'G':
		b, err := u.take(8)
		if err != nil {
			return err
		}
		u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		return u.spend(costValue)
	case 'X', 0x8c, 0x8d: // unicode
		b, err := u.counted(lengthBytes(op))
		if err == nil {
			err = u.spend(costValue + len(b))
		}
		if err != nil {
			return err
		}
		u.push(string(b))
	case 'C', 'B', 0x8e, 0x96, 'U', 'T': // bytes, bytearray, and str of Python 2
		b, err := u.counted(lengthBytes(op))
		if err != nil {
			return err
		}
		u.push(pickleBytes(b))
		return u.spend(costValue)
	case ']', 0x8f: // EMPTY_LIST, EMPTY_SET
		u.push(&pickleList{})
		return u.spend(costValue)
	case '}':
		u.push(newPickleDict())
		return u.spend(costDict)
	case ')':
		u.push(pickleTuple{})
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		items, err := u.popN(int(op) - 0x84)
		if err == nil {
			err = u.spend(costValue + costSlot*len(items))
		}
		if err != nil {
			return err
		}
		u.push(pickleTuple(slices.Clone(items)))
	case 't', 'l', 0x91, 'd': // TUPLE, LIST, FROZENSET, DICT
		items, err := u.toMark()
		if err != nil {
			return err
		}
		return u.gather(op, items)
	case 'a', 'e', 0x90: // APPEND, APPENDS, ADDITEMS
		return u.extend(op)
	case 's', 'u': // SETITEM, SETITEMS
		return u.setItems(op)
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return u.global(op)
	case 'i': // INST: a name and a call in one
		return u.instance()
	case 'R', 0x81: // REDUCE, NEWOBJ
		return u.call()
	case 'b': // BUILD
		state, err := u.pop()
		if err != nil {
			return err
		}
		object, err := u.top()
		if err != nil {
			return err
		}
		return build(object, state)
	case 'Q': // BINPERSID
		return u.persistent()
	case 'q', 'r', 0x94, 'h', 'j': // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
		return u.remember(op)
	default:
		return fmt.Errorf("operation 0x%02x is not one of a checkpoint", op)
	}
	return nil
}

func (u *unpickler) integer(op byte) error {
	switch op {
	case 'J':
		b, err := u.take(4)
		if err != nil {
			return err
		}
		u.push(int64(int32(binary.LittleEndian.Uint32(b))))
		return u.spend(costValue)
	case 'K':
		b, err := u.take(1)
		if err != nil {
			return err
		}
		u.push(int64(b[0]))
	case 'M':
		b, err := u.take(2)
		if err != nil {
			return err
		}
		u.push(int64(binary.LittleEndian.Uint16(b)))
		return u.spend(costValue)
	default: // LONG1, LONG4
		b, err := u.counted(lengthBytes(op))
		if err != nil {
			return err
		}
		if len(b) > 1024 {
			return fmt.Errorf("an integer of %d bytes", len(b))
		}
		u.push(longInteger(b))
		return u.spend(4 * (costValue + len(b)))
	}
	return nil
}

// lengthBytes is the width of the length in front of a value.
func lengthBytes(op byte) int {
	switch op {
	case 0x8d, 0x8e, 0x96:
		return 8
	case 'X', 'B', 'T', 0x8b:
		return 4
	}
	return 1
}

// longInteger is a little-endian integer in two's complement: int64 if it fits, else *big.Int.
func longInteger(b []byte) any {
	turned := make([]byte, len(b))
	for i, v := range b {
		turned[len(b)-1-i] = v
	}
	n := new(big.Int).SetBytes(turned)
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func (u *unpickler) gather(op byte, items []any) error {
	switch op {
	case 't', 'l', 0x91:
		if err := u.spend(2*costValue + costSlot*len(items)); err != nil {
			return err
		}
		if op == 't' {
			u.push(pickleTuple(slices.Clone(items)))
		} else {
			u.push(&pickleList{items: slices.Clone(items)})
		}
	default:
		if err := u.spend(costDict + costEntry*len(items)/2); err != nil {
			return err
		}
		d := newPickleDict()
		if err := d.setAll(items); err != nil {
			return err
		}
		u.push(d)
	}
	return nil
}

// additions takes what is to be added to a container off the stack, n values or those back to the mark, and returns it
// with the container.
func (u *unpickler) additions(single bool, n int) (items []any, container any, err error) {
	if single {
		items, err = u.popN(n)
	} else {
		items, err = u.toMark()
	}
	if err != nil {
		return nil, nil, err
	}
	container, err = u.top()
	return items, container, err
}

func (u *unpickler) extend(op byte) error {
	items, top, err := u.additions(op == 'a', 1)
	if err != nil {
		return err
	}
	l, ok := top.(*pickleList)
	if !ok {
		return fmt.Errorf("items for a %s; a list was expected", kindOf(top))
	}
	if err := u.spend(3 * costSlot * len(items)); err != nil { // growth included
		return err
	}
	l.items = append(l.items, items...)
	return nil
}

func (u *unpickler) setItems(op byte) error {
	items, top, err := u.additions(op == 's', 2)
	if err != nil {
		return err
	}
	d, ok := top.(*pickleDict)
	if !ok {
		return fmt.Errorf("keys for a %s; a dictionary was expected", kindOf(top))
	}
	if err := u.spend(costEntry * len(items) / 2); err != nil {
		return err
	}
	return d.setAll(items)
}

func (u *unpickler) global(op byte) error {
	var g pickleGlobal
	if op == 'c' {
		var err error
		if g.module, err = u.line(); err != nil {
			return err
		}
		if g.name, err = u.line(); err != nil {
			return err
		}
	} else {
		items, err := u.popN(2)
		if err != nil {
			return err
		}
		module, ok1 := items[0].(string)
		name, ok2 := items[1].(string)
		if !ok1 || !ok2 {
			return fmt.Errorf("a name made of %s and %s", kindOf(items[0]), kindOf(items[1]))
		}
		g = pickleGlobal{module, name}
	}
	if err := u.admit(g); err != nil {
		return err
	}
	u.push(g)
	return u.spend(3*costValue + len(g.module) + len(g.name))
}

// admit refuses every function and class but the few that are known.
func (u *unpickler) admit(g pickleGlobal) error {
	if !known(g) {
		return fmt.Errorf("asks for %.100q of %.100q, which neither plans nor weights need; refused, nothing of the file was run", g.name, g.module)
	}
	return nil
}

// instance reads the name that an old-style instance is made of, which is always refused.
func (u *unpickler) instance() error {
	module, err := u.line()
	if err != nil {
		return err
	}
	name, err := u.line()
	if err != nil {
		return err
	}
	if err := u.admit(pickleGlobal{module, name}); err != nil {
		return err
	}
	return fmt.Errorf("makes an instance of %s.%s in a way that neither plans nor weights need", module, name)
}

func (u *unpickler) call() error {
	items, err := u.popN(2)
	if err != nil {
		return err
	}
	g, ok1 := items[0].(pickleGlobal)
	arguments, ok2 := items[1].(pickleTuple)
	if !ok1 || !ok2 {
		return fmt.Errorf("a call of a %s with a %s", kindOf(items[0]), kindOf(items[1]))
	}
	if err := u.spend(callCost(arguments)); err != nil {
		return err
	}
	value, err := reduce(g, arguments)
	if err != nil {
		return fmt.Errorf("%s.%s: %w", g.module, g.name, err)
	}
	u.push(value)
	return nil
}

// callCost is an upper bound of what a call copies.
func callCost(arguments pickleTuple) int {
	cost := costCall
	for _, a := range arguments {
		switch a := a.(type) {
		case string:
			cost += 2 * len(a)
		case pickleBytes:
			cost += len(a)
		case pickleTuple:
			cost += costEntry * len(a)
		case *pickleList:
			cost += costEntry * len(a.items)
		}
	}
	return cost
}

func (u *unpickler) persistent() error {
	id, err := u.pop()
	if err != nil {
		return err
	}
	t, ok := id.(pickleTuple)
	if !ok || u.storage == nil {
		return fmt.Errorf("refers to something outside the file (%s)", kindOf(id))
	}
	s, err := u.storage(t)
	if err != nil {
		return err
	}
	u.push(s)
	return u.spend(costCall)
}

func (u *unpickler) remember(op byte) error {
	key := uint64(len(u.memo) + len(u.others))
	if op != 0x94 {
		width := 1
		if op == 'r' || op == 'j' {
			width = 4
		}
		b, err := u.take(width)
		if err != nil {
			return err
		}
		key = uintOf(b)
	}
	if op == 'h' || op == 'j' {
		v, ok := u.others[key]
		if key < uint64(len(u.memo)) {
			v, ok = u.memo[key], true
		}
		if !ok {
			return fmt.Errorf("recalls value %d, which was never kept", key)
		}
		u.push(v)
		return nil
	}
	top, err := u.top()
	if err != nil {
		return err
	}
	switch {
	case key < uint64(len(u.memo)):
		u.memo[key] = top
		return nil
	case key == uint64(len(u.memo)):
		u.memo = append(u.memo, top)
		return u.spend(3 * costSlot) // growth included
	}
	if u.others == nil {
		u.others = map[uint64]any{}
	}
	u.others[key] = top
	return u.spend(costEntry)
}

func (u *unpickler) take(n int) ([]byte, error) {
	if n > len(u.in)-u.pos {
		return nil, fmt.Errorf("ends after %d bytes, in the middle of a value", len(u.in))
	}
	b := u.in[u.pos : u.pos+n]
	u.pos += n
	return b, nil
}

// counted takes a length of width bytes and then as many bytes.
func (u *unpickler) counted(width int) ([]byte, error) {
	b, err := u.take(width)
	if err != nil {
		return nil, err
	}
	n := uintOf(b)
	if n > uint64(len(u.in)-u.pos) {
		return nil, fmt.Errorf("a value of %d bytes, but %d are left", n, len(u.in)-u.pos)
	}
	return u.take(int(n))
}

func (u *unpickler) line() (string, error) {
	for i := u.pos; i < len(u.in); i++ {
		if u.in[i] == '\n' {
			s := string(u.in[u.pos:i])
			u.pos = i + 1
			return s, nil
		}
	}
	return "", fmt.Errorf("ends after %d bytes, in the middle of a name", len(u.in))
}

func (u *unpickler) push(v any) { u.list = append(u.list, v) }

func (u *unpickler) top() (any, error) {
	if len(u.list) == 0 {
		return nil, fmt.Errorf("takes a value from an empty stack")
	}
	if _, ok := u.list[len(u.list)-1].(pickleMark); ok {
		return nil, fmt.Errorf("takes a value where a list begins")
	}
	return u.list[len(u.list)-1], nil
}

func (u *unpickler) pop() (any, error) {
	v, err := u.top()
	if err == nil {
		u.list = u.list[:len(u.list)-1]
	}
	return v, err
}

// popN takes the last n values. They lie on the stack: they must be copied before the next push.
func (u *unpickler) popN(n int) ([]any, error) {
	end := len(u.list)
	for range n {
		if _, err := u.pop(); err != nil {
			return nil, err
		}
	}
	return u.list[end-n : end], nil
}

// toMark takes everything above the last mark, and the mark. The values lie on the stack: they must be copied before
// the next push.
func (u *unpickler) toMark() ([]any, error) {
	for i := len(u.list) - 1; i >= 0; i-- {
		if _, ok := u.list[i].(pickleMark); ok {
			items := u.list[i+1:]
			u.list = u.list[:i]
			return items, nil
		}
	}
	return nil, fmt.Errorf("ends a list that never began")
}

// uintOf reads a little-endian number of 1 to 8 bytes.
func uintOf(b []byte) uint64 {
	var n uint64
	for i, v := range b {
		n |= uint64(v) << (8 * i)
	}
	return n
}
