package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/bench"
	"github.com/universal-classifier/uc/internal/defaults"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var shape string
	var asJSON, pipeline bool
	var workers int
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Time a training step and an inference pass of the network on this machine",
		Long: `Times the network (one label with two classes) on random data: the median of a training step (forward, loss, backward,
gradient clipping, optimiser) and of an inference pass, compared with the machine's measured ceiling of fused multiply-adds.
Rates count operations as direct convolution; fast algorithms need fewer, so the fraction can exceed 1.

--layers says where the time goes: for every layer, operation and direction (forward, backward data, backward weights) its
calls in a step, time, share of the step, rate, fraction of the ceiling, the least number of bytes that has to move (inputs,
outputs and weights once, as the device stores them) and the bandwidth that makes; and before that the sums over all layers.
The times add up to the fastest of the steps. Every call is timed on its own, which a GPU pays for with a slower step.

--pipeline also trains for --steps steps as uc train does, on random cases in memory that --workers augment, and tells the images
per second, the share of the time in which the network had a batch to work on, and what limits. Augmentation takes much longer for
some samples than for others, so 30 steps and more give a steady figure.`,
		Example: `  uc bench --shape 64,64,64 --batch 2 --threads 2
  uc bench --shape 128,128,64 --batch 2 --dtype bf16 --json
  uc bench --layers --steps 15
  uc bench --pipeline --shape 240,240,240 --steps 30 --dtype bf16 --device cuda`,
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
			if err := checkThreads(cmd, o.Threads); err != nil {
				return err
			}
			if !slices.Contains(bench.DTypes, o.DType) {
				return usagef("flag --dtype: %q is not %s", o.DType, strings.Join(bench.DTypes, " or "))
			}
			switch {
			case !pipeline && cmd.Flags().Changed("workers"):
				return usagef("flag --workers: it belongs to --pipeline, which is not given")
			case cmd.Flags().Changed("workers") && workers < 1:
				return usagef("flag --workers: %d is less than 1", workers)
			case pipeline && o.Channels < 2:
				return usagef("flag --channels: %d; --pipeline augments a modality and the mask, 2 channels, at least", o.Channels)
			case pipeline && workers == 0:
				o.Workers = defaults.TrainWorkers()
			default:
				o.Workers = workers
			}
			o.Choice = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }
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
	fs.StringVar(&o.DType, "dtype", "fp32", "number `FORMAT` of activations: fp32, or bf16 where the device has it")
	fs.BoolVar(&o.Layers, "layers", false, "also say where the time goes, layer by layer")
	fs.BoolVar(&pipeline, "pipeline", false, "also time a training that workers feed with augmented samples")
	fs.IntVar(&workers, "workers", 0, "`N` workers prepare the samples of --pipeline (default as of uc train)")
	deviceFlags(cmd, &o.Device, &o.Threads, &o.GPU)
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
	if p := r.Pipeline; p != nil {
		fmt.Fprintf(w, "pipeline:      %.2f images/s with %d workers, the network busy %.1f%% of the time; alone the network takes %.2f images/s and the workers prepare %.2f\n",
			p.Rate, p.Workers, 100*p.Busy, float64(r.Batch)/r.TrainStep, p.SampleRate)
		fmt.Fprintf(w, "limit:         %s\n", r.Limit)
	}
	if r.Layers != nil {
		printLayers(w, "training step", r.Layers.Training, r.Ceiling)
		printLayers(w, "inference", r.Layers.Inference, r.Ceiling)
	}
}

// printLayers writes the sums over all layers and the layers one by one.
func printLayers(w io.Writer, title string, t bench.Table, ceiling float64) {
	fmt.Fprintf(w, "\n%s, the fastest, every call timed: %.4f s\n\n", title, t.Seconds)
	printRows(w, false, t.Summary(ceiling))
	fmt.Fprintln(w)
	printRows(w, true, t.Rows)
}

func printRows(w io.Writer, layers bool, rows []bench.Row) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if layers {
		fmt.Fprint(tw, "layer\t")
	}
	fmt.Fprint(tw, "operation\tdirection\tcalls\tms\tshare\tGFLOP/s\tof ceiling\tMB\tGB/s\n")
	for _, r := range rows {
		if layers {
			fmt.Fprintf(tw, "%s\t", r.Layer)
		}
		operation := strings.TrimSpace(r.Operation + " " + r.Channels)
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.3f\t%.1f%%\t%s\t%s\t%s\t%s\n", operation, r.Direction, unless0("%.0f", float64(r.Calls)), 1000*r.Seconds, 100*r.Share,
			unless0("%.1f", r.Rate), unless0("%.0f%%", 100*r.Fraction), unless0("%.2f", r.Bytes/1e6), unless0("%.1f", r.Bandwidth))
	}
	tw.Flush()
}

// unless0 writes a number, or nothing where there is none to write.
func unless0(format string, v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}
