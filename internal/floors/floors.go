// Package floors holds the test that keeps packages, their doc comments and the architecture page together.
package floors
