// Command asm writes the assembly of package kernel for arm64; `go generate ./internal/device/cpu/kernel` runs it.
package main

import (
	"fmt"
	"os"

	"github.com/universal-classifier/uc/internal/neon"
)

// kinds are the files by name, of which each is written to the folder the command runs in; every source file enters its
// own.
var kinds = map[string]func(*neon.File){}

func main() {
	if len(os.Args) != 2 || kinds[os.Args[1]] == nil {
		panic(fmt.Sprintf("no kernels named %v", os.Args[1:]))
	}
	kind := os.Args[1]
	f := neon.NewFile("kernel", "go run ./_asm_arm64 "+kind)
	kinds[kind](f)
	if err := f.Write(kind + "_arm64"); err != nil {
		panic(err)
	}
}
