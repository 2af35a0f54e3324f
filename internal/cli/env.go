package cli

import (
	"runtime"

	"github.com/spf13/cobra"
	"github.com/universal-classifier/uc/internal/env"
)

// defaultWorkers is the number of workers that augment training samples: the environment's, else one per processor of this process.
func defaultWorkers() int {
	if n, ok := env.WorkersOf(); ok {
		return n
	}
	return runtime.GOMAXPROCS(0) // knows the limits of control groups
}

func environmentTopic() *cobra.Command {
	long := "Variables of the environment that uc reads:\n"
	for _, v := range env.Variables() {
		long += "\n  " + v.Name + "\n      " + v.Meaning + "\n"
	}
	return &cobra.Command{Use: "environment", Short: "The environment variables that uc reads", Long: long}
}
