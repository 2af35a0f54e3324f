// Package niivue holds the viewer of scans that a page carries: the bundle of NiiVue as npm has it, compressed, with
// its checksum and licences.
package niivue

import _ "embed" // of the bundle

// Version of the bundle, which scripts/niivue.sh fetches and checks.
const Version = "0.69.0"

// Bundle is dist/niivue.umd.js, gzipped: a script that defines the global variable niivue.
//
//go:embed niivue.umd.js.gz
var Bundle []byte

// License is the licence of NiiVue and those of the works in its bundle.
//
//go:embed LICENSE
var License string
