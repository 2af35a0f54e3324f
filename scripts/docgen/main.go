// Command docgen writes docs/reference/commands.md from the definitions of uc's commands.
package main

import (
	"io"
	"log"
	"os"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/cli"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: docgen FILE")
	}
	err := atomicfile.Write(os.Args[1], func(w io.Writer) error { return cli.WriteReference(w) })
	if err != nil {
		log.Fatal(err)
	}
}
