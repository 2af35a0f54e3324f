// Package train fits the network to one fold of a preprocessed task.
package train
