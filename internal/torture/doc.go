// Package torture holds the test that ends the program at every file operation and compares what comes of it with an
// uninterrupted run.
package torture
