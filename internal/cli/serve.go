package cli

import (
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/serve"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve-stdio",
		Short: "Predict on request, for other programs: requests on stdin, answers on stdout, a line of JSON each",
		Long: `Reads requests for predictions from standard input and answers them on standard output, one JSON object a line. Models
stay loaded between requests, and are loaded again when their files change. Requests are worked on side by side, so answers may
come in another order. It ends with its input, whatever it is working on. The Python package talks to uc this way; the protocol
is described in docs/reference/serve-stdio.md.`,
		Example: `  printf '%s\n' '{"id":1,"method":"predict","params":{"artifact":"/data/artifact","images":["/data/ct.nii.gz"]}}' \
    '{"id":2,"method":"shutdown"}' | uc serve-stdio`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(os.Interrupt) // Ctrl-C is meant for the program at the other end
			return serve.New(version(), open.GPU{Probe: driver.Child(probeCommand)}, cmd.OutOrStdout()).Run(cmd.Context(), cmd.InOrStdin())
		},
	}
	return cmd
}
