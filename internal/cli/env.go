package cli

import (
	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/env"
)

// standsFor says which flag does what a variable does.
var standsFor = map[string]string{
	env.RawData:      "--data-root D stands for D/raw",
	env.Preprocessed: "--data-root D stands for D/preprocessed",
	env.Results:      "--data-root D stands for D/trained_models",
	env.Workers:      "the default of uc train --workers",
	env.CUDALibs:     "--cuda-libs stands for it",
}

func environmentTopic() *cobra.Command {
	long := "Variables of the environment that uc reads:\n"
	for _, v := range env.Variables() {
		long += "\n  " + v.Name + "\n      " + v.Meaning
		if flag := standsFor[v.Name]; flag != "" {
			long += "; " + flag
		}
		long += "\n"
	}
	return &cobra.Command{Use: "environment", Short: "The environment variables that uc reads", Long: long}
}
