package cli

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/bench"
)

// benchTypes are the number formats that bench measures.
const benchType = "fp32"

func benchCommand() *cobra.Command {
	var o bench.Options
	var shape string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Time a training step and an inference pass of the network on this machine",
		Long: `Times the network (one label with two classes) on random data: the median of a training step (forward, loss, backward,
gradient clipping, optimiser) and of an inference pass, beside the machine's measured ceiling of fused multiply-adds.
Rates count operations as direct convolution; fast algorithms need fewer, so the fraction can exceed 1.`,
		Example: `  uc bench --shape 64,64,64 --batch 2 --threads 2
  uc bench --shape 128,128,64 --batch 2 --json`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Shape, err = parseShape(shape); err != nil {
				return err
			}
			for _, n := range []struct {
				flag  string
				value int
			}{{"batch", o.Batch}, {"channels", o.Channels}, {"steps", o.Steps}} {
				if n.value < 1 {
					return usagef("flag --%s: %d is less than 1", n.flag, n.value)
				}
			}
			if o.Threads == 0 {
				o.Threads = runtime.NumCPU()
			}
			if o.DType != benchType {
				return usagef("flag --dtype: %q is not there, only %s", o.DType, benchType)
			}
			r, err := bench.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			printBench(cmd.OutOrStdout(), r)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&shape, "shape", "64,64,64", "size `Z,Y,X` of the images")
	fs.IntVar(&o.Batch, "batch", 2, "`N` images per step")
	fs.IntVar(&o.Channels, "channels", 2, "`N` input channels, the mask included")
	fs.IntVar(&o.Steps, "steps", 7, "the median of `N` measurements counts")
	fs.StringVar(&o.DType, "dtype", benchType, "number `FORMAT`; only fp32")
	deviceFlags(cmd, &o.Device, &o.Threads)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// parseShape reads three sizes, "64,64,64".
func parseShape(text string) (shape [3]int, err error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return shape, usagef("flag --shape: %q is not Z,Y,X", text)
	}
	for i, p := range parts {
		if shape[i], err = strconv.Atoi(strings.TrimSpace(p)); err != nil || shape[i] < 1 {
			return shape, usagef("flag --shape: %q is not Z,Y,X", text)
		}
	}
	return shape, nil
}

func printBench(w io.Writer, r *bench.Result) {
	fmt.Fprintf(w, "network:       %d x %d x %d x %d x %d (N, C, D, H, W), %s, on %s\n",
		r.Batch, r.Channels, r.Shape[0], r.Shape[1], r.Shape[2], r.DType, r.Device)
	of := func(share float64) string {
		if r.Ceiling == 0 {
			return ""
		}
		return fmt.Sprintf(", %.0f%% of the ceiling", 100*share)
	}
	fmt.Fprintf(w, "training step: %.4f s, %.1f GFLOP/s%s\n", r.TrainStep, r.TrainRate, of(r.TrainShare))
	fmt.Fprintf(w, "inference:     %.4f s, %.1f GFLOP/s%s\n", r.Inference, r.InferRate, of(r.InferShare))
	if r.Ceiling > 0 {
		fmt.Fprintf(w, "FMA ceiling:   %.1f GFLOP/s, measured\n", r.Ceiling)
	}
	fmt.Fprintf(w, "memory:        %.0f MiB in training\n", r.MemoryMiB)
}
