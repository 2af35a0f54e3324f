// Package nifti reads NIfTI files into images and masks and writes them, with ITK's conventions.
//
// # Reading
//
// ReadImage and ReadMask read a whole volume, ReadHeader only looks at the header, and Scan walks through the voxels in
// constant memory. NIfTI-1 and NIfTI-2 are read in either byte order, compressed (.gz, told apart by content) or not,
// of every integer and float type of up to 64 bits. Colours, complex numbers, volumes over time and pairs of .hdr and
// .img are errors that say how to convert them.
//
// # Axes and units
//
// Arrays, sizes and spacings are ordered (Z, Y, X) with X fastest, as NumPy shows an array of SimpleITK. Lengths are
// millimetres. Origin and direction are ITK's: LPS, where x grows to the patient's left, y to the back and z to the
// head. Where a header contradicts itself, what ITK reads counts, and SpacingDoubt says so.
//
// # Writing
//
// WriteImage, WriteMask and WriteInt16 write a file that appears whole or not at all. A file written and read again has
// the same voxels, bit for bit; spacing, origin and direction are stored as float32.
//
// # Damaged and hostile files
//
// Sizes are checked against the length of the file before memory is taken, and the checksum of compressed files is
// verified. The header layouts, the codes and the header writer are gonii's. Everything that a damaged file could turn
// against the program (sizes, offsets, decompression) and everything that touches each voxel is done here: gonii
// allocates what the header claims, decodes voxel by voxel, and its quaternion arithmetic starts from 1.01.
//
// # Concurrency
//
// All functions may be called from several goroutines. Reading a large compressed file decompresses in a goroutine of
// its own, which has ended when the function returns.
package nifti
