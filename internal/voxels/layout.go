// Package voxels turns the stored voxels of an image file into numbers, a part at a time, whatever the file's format.
package voxels

// Type is how one voxel is stored.
type Type uint8

// The types of real numbers that image files hold.
const (
	Uint8 Type = iota + 1
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Uint64
	Int64
	Float32
	Float64
)

var types = [...]struct {
	name  string
	bytes int
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2}, Uint32: {"uint32", 4},
	Int32: {"int32", 4}, Uint64: {"uint64", 8}, Int64: {"int64", 8}, Float32: {"float32", 4}, Float64: {"float64", 8},
}

// Bytes is the size of one stored voxel.
func (t Type) Bytes() int { return types[t].bytes }

// String is the type as NumPy names it: "int16", "float32", ...
func (t Type) String() string { return types[t].name }

// Layout says how voxels are stored, and what a stored number means: voxel = stored * Slope + Inter.
type Layout struct {
	Type         Type
	BigEndian    bool
	Slope, Inter float64 // 1 and 0 where the file declares no scaling
}
