// Command uc plans, preprocesses, trains, predicts and evaluates universal 3D medical image classifiers.
package main

import (
	"os"

	"github.com/universal-classifier/uc/internal/cli"
)

func main() {
	os.Exit(cli.Execute(os.Args[1:], os.Stdout, os.Stderr))
}
