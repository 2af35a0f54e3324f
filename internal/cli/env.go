package cli

import (
	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/env"
)

func environmentTopic() *cobra.Command {
	long := "Variables of the environment that uc reads:\n"
	for _, v := range env.Variables() {
		long += "\n  " + v.Name + "\n      " + v.Meaning + "\n"
	}
	return &cobra.Command{Use: "environment", Short: "The environment variables that uc reads", Long: long}
}
