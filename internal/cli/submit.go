package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/kubernetes"
	"github.com/universal-classifier/uc/internal/localrun"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/slurm"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

type submitFlags struct {
	dataRoot string
	slurm    bool
	local    bool
	kube     bool

	folds     []string
	seeds     int
	recipes   []string
	plans     string
	shards    int
	device    string
	trainArgs string

	cpus, gpus int
	jobs       int
	time       string
	partition  string

	image, claim, namespace, queue string

	dryRun, resume, cancel bool
}

func submitCommand() *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit TASK",
		Short: "Do everything for a task: preprocessing, trainings of all folds, seeds and recipes, evaluation; on Slurm or here",
		Long: `Lays out the work on a task: preprocessing, divided among processes; a training for every fold, seed and recipe; the
evaluation of each recipe and seed, and the comparison of recipes. With --slurm it writes readable batch scripts to the folder jobs
of the preprocessed task and sends them, each step waiting for the one before; with --local it runs them on this machine, as
many at a time as processors and memory take; with --kubernetes it writes manifests of Indexed Jobs. Work that is done is not done again. A training that reaches its limit of time, is
preempted or loses its node continues from its last checkpoint.

Every command asks for the memory and the time that uc estimates; Slurm's own variables (SBATCH_ACCOUNT, SBATCH_QOS, ...) are
honoured. uc status shows how everything stands.`,
		Example: `  uc submit 4 --local
  uc submit 4 --slurm --folds 0-4 --seeds 3 --gpus 1 --partition gpu --time 8h
  uc submit 4 --slurm --recipes ClassifierTrainer ClassifierTrainerReference --dry-run
  uc submit 4 --slurm --resume
  uc submit 4 --cancel
  uc submit 4 --kubernetes --image registry.example/uc:1 --pvc scans --queue research`,
		Args: exactArgs("TASK"),
		RunE: func(cmd *cobra.Command, args []string) error { return runSubmit(cmd, &f, args[0]) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.slurm, "slurm", false, "send the work to Slurm")
	fs.BoolVar(&f.local, "local", false, "run the work on this machine, to its end")
	fs.BoolVar(&f.kube, "kubernetes", false, "write manifests for Kubernetes and a script that applies them; sends nothing itself")
	fs.StringSliceVarP(&f.folds, "folds", "f", []string{"0-4"}, "`FOLDS` to train: numbers, ranges such as 0-4, or all")
	list(fs, "folds")
	fs.IntVar(&f.seeds, "seeds", 1, "train every fold `N` times, with the seeds 1 to N; the models of further seeds lie in seed_2, seed_3, ... of the folder of trained models")
	fs.StringSliceVar(&f.recipes, "recipes", []string{task.DefaultTrainer}, "`TRAINERS`, that is recipes, to train with; the others are compared with the first")
	list(fs, "recipes")
	fs.StringVarP(&f.plans, "plans", "p", task.DefaultPlans, "`NAME` of the plans")
	fs.IntVar(&f.shards, "shards", 0, "divide planning and preprocessing among `N` processes (default: one per 50 cases, 16 at most; with --local one)")
	fs.StringVar(&f.device, "device", "", "`DEVICE` of the trainings: auto, cpu, cuda (default: cuda with --gpus, else auto)")
	fs.StringVar(&f.trainArgs, "train-args", "", "further `ARGUMENTS` of every uc train, such as --train-args=\"--epochs 30 --fp32\"")
	fs.IntVar(&f.cpus, "cpus", 0, "`N` processors for each command (default: 4; with --local as many as there are for the jobs at a time)")
	fs.IntVar(&f.gpus, "gpus", 0, "`N` GPUs for each training, 0 or 1")
	fs.IntVar(&f.jobs, "jobs", 0, "with --local, at most `N` commands at a time (default: by processors and memory)")
	fs.StringVar(&f.time, "time", "", "limit of `TIME` of a training, such as 8h or 90m (default: estimated); a training that reaches it is continued by a new job")
	fs.StringVar(&f.partition, "partition", "", "`NAME` of the partition of Slurm")
	fs.StringVar(&f.image, "image", "", "container `IMAGE` with uc as its entry point (Containerfile makes one)")
	fs.StringVar(&f.claim, "pvc", "", "`CLAIM` of the volume that holds raw, preprocessed and trained_models; many pods write to it (ReadWriteMany)")
	fs.StringVar(&f.namespace, "namespace", "", "`NAME` of the namespace of Kubernetes (default: that of kubectl)")
	fs.StringVar(&f.queue, "queue", "", "`NAME` of a local queue of Kueue that admits the jobs")
	fs.BoolVar(&f.dryRun, "dry-run", false, "write scripts, say what would be done, and send nothing")
	fs.BoolVar(&f.resume, "resume", false, "send only what is missing: neither done nor in the queue, with the options of the last time")
	fs.BoolVar(&f.cancel, "cancel", false, "take the jobs of the task out of the queue")
	dataRootFlag(cmd, &f.dataRoot)
	return cmd
}

// check finds mistakes that need no look at the task.
func (f *submitFlags) check(cmd *cobra.Command) (limit time.Duration, err error) {
	ways := 0
	for _, way := range []bool{f.slurm, f.local, f.kube, f.cancel} {
		if way {
			ways++
		}
	}
	switch {
	case ways == 0:
		return 0, usagef("missing --slurm, --local or --kubernetes, which say where the work is done")
	case ways > 1:
		return 0, usagef("--slurm, --local, --kubernetes and --cancel exclude each other")
	case f.kube && (f.image == "" || f.claim == ""):
		return 0, usagef("--kubernetes needs --image, which holds uc, and --pvc, the claim that holds the data")
	case f.gpus < 0 || f.gpus > 1:
		return 0, usagef("flag --gpus: %d, but a training uses one GPU or none", f.gpus)
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"seeds", f.seeds}, {"shards", f.shards}, {"cpus", f.cpus}, {"jobs", f.jobs}} {
		if cmd.Flags().Changed(n.name) && n.value < 1 {
			return 0, usagef("flag --%s: %d is less than 1", n.name, n.value)
		}
	}
	if f.folds, err = expandFolds(f.folds); err != nil {
		return 0, err
	}
	for i, r := range f.recipes {
		if slices.Contains(f.recipes[:i], r) {
			return 0, usagef("flag --recipes: %s is given twice", r)
		}
		m := modelFlags{network: task.DefaultNetwork, trainer: r, plans: f.plans}
		if err := m.check(); err != nil {
			return 0, err
		}
	}
	if f.time != "" {
		if limit, err = time.ParseDuration(f.time); err != nil || limit < time.Minute {
			return 0, usagef("flag --time: %q is not a time of a minute or more, such as 8h or 90m", f.time)
		}
	}
	return limit, nil
}

// expandFolds reads folds and ranges of them.
func expandFolds(given []string) (folds []string, err error) {
	for _, text := range given {
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		if first == task.FoldAll && !isRange {
			folds = append(folds, first)
			continue
		}
		from, err1 := task.ParseFold(first)
		to, err2 := task.ParseFold(last)
		const most = 1000
		if err := cmp.Or(err1, err2); err != nil || to < from || to-from > most {
			return nil, usagef("flag --folds: %q is neither a fold, nor a range such as 0-4, nor all", text)
		}
		for n := from; n <= to; n++ {
			folds = append(folds, strconv.Itoa(n))
		}
	}
	slices.Sort(folds)
	return slices.Compact(folds), nil
}

func runSubmit(cmd *cobra.Command, f *submitFlags, id string) error {
	limit, err := f.check(cmd)
	if err != nil {
		return err
	}
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return err
	}
	t, err := task.Load(folders, id)
	if err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	if f.cancel {
		return f.cancelJobs(cmd, folders, t.Name)
	}
	var g *jobgraph.Graph
	if f.resume {
		if g, err = jobgraph.Load(folders, t.Name); err != nil {
			return err
		}
	} else if g, err = f.graph(cmd, t, limit); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if f.kube {
		return f.writeManifests(cmd, g)
	}
	if f.dryRun {
		return f.describe(cmd, g, program)
	}
	if f.local {
		total := runtime.GOMAXPROCS(0)
		return localrun.Run(cmd.Context(), g, localrun.Options{Program: program, Jobs: f.jobs, CPUs: total, GPUs: f.gpus, Memory: memory.Available()}, d)
	}
	err = slurm.Submit(cmd.Context(), g, slurm.Options{Program: program, Partition: f.partition}, f.resume, d)
	if errors.Is(err, slurm.ErrActive) {
		return fmt.Errorf("%w; see uc status %s, send what is missing with --resume, or take them out of the queue with --cancel", err, t.Name)
	}
	return err
}

// graph lays out the work.
func (f *submitFlags) graph(cmd *cobra.Command, t *task.Task, limit time.Duration) (*jobgraph.Graph, error) {
	standing, err := cohort.Stand(cmd.Context(), t, f.plans)
	if err != nil {
		return nil, err
	}
	resources := jobgraph.Resources{CPUs: cmp.Or(f.cpus, 4), GPUs: f.gpus, Time: limit}
	shards := f.shards
	if f.local {
		shards = max(1, shards)
		if f.cpus == 0 {
			resources.CPUs = f.localCPUs()
		}
	} else if shards == 0 {
		const casesAShard, most = 50, 16
		shards = min(max(1, len(t.Dataset.Cases)/casesAShard), most)
	}
	if shards > shard.MaxCount {
		return nil, usagef("flag --shards: %d, more than %d", shards, shard.MaxCount)
	}
	extra := strings.Fields(f.trainArgs)
	var of []train.Options
	for _, r := range f.recipes {
		o, err := trainOptions(extra, r)
		if err != nil {
			return nil, err
		}
		of = append(of, o)
	}
	estimate, err := jobgraph.Judge(t, standing.Plans, of, shards, resources)
	if err != nil {
		return nil, err
	}
	device := f.device
	if device == "" && f.gpus > 0 {
		device = "cuda"
	}
	return jobgraph.New(jobgraph.Options{
		Folders: t.Folders, Task: t.Name, Folds: f.folds, Seeds: f.seeds, Trainers: f.recipes, Plans: f.plans, Shards: shards,
		Device: device, Extra: extra, Estimate: estimate,
	}), nil
}

// localCPUs is how many processors a command gets if none are named: with several jobs at a time each gets its share.
// Four threads are where a second training begins to pay more than further threads for the first.
func (f *submitFlags) localCPUs() int {
	const worth = 4
	total := runtime.GOMAXPROCS(0)
	if f.jobs > 0 {
		return max(1, total/f.jobs)
	}
	return min(total, max(worth, total/max(1, len(f.folds)*f.seeds*len(f.recipes))))
}

// trainOptions are those of the further arguments of uc train that change what a training needs; arguments that uc
// train would refuse are refused.
func trainOptions(extra []string, trainer string) (train.Options, error) {
	o := train.Options{Trainer: trainer}
	if len(extra) == 0 {
		return o, nil
	}
	cmd := trainCommand()
	args, err := translate(cmd, extra)
	if err != nil {
		return o, err
	}
	if err := cmd.ParseFlags(args); err != nil {
		return o, usagef("flag --train-args: %v", err)
	}
	if rest := cmd.Flags().Args(); len(rest) > 0 {
		return o, usagef("flag --train-args: unexpected %q", rest[0])
	}
	if err := checkTrainNumbers(cmd.Flags()); err != nil {
		return o, err
	}
	number := func(name string) int {
		n, _ := cmd.Flags().GetInt(name)
		return n
	}
	o.Epochs, o.Iterations, o.ValIterations, o.BatchSize = number("epochs"), number("iterations"), number("val-iterations"), number("batch-size")
	o.FP32, _ = cmd.Flags().GetBool("fp32")
	return o, nil
}

// describe shows what would be sent.
func (f *submitFlags) describe(cmd *cobra.Command, g *jobgraph.Graph, program string) error {
	var files []string
	if f.slurm {
		var err error
		if files, err = slurm.WriteScripts(g, slurm.Options{Program: program, Partition: f.partition}); err != nil {
			return err
		}
	}
	before, err := g.Standing(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for k, s := range g.Steps {
		after := ""
		if len(s.After) > 0 {
			after = ", after " + strings.Join(s.After, ", ")
		}
		fmt.Fprintf(out, "%s: %d commands of which %d are done, each %s%s\n", s.Name, len(s.Commands), len(s.Commands)-len(jobgraph.Missing(s, before)), needsText(s.Needs), after)
		for _, i := range jobgraph.Missing(s, before) {
			fmt.Fprintf(out, "  %s: uc %s\n", s.Commands[i].Name, printable(strings.Join(jobgraph.Resume(s.Commands[i]), " ")))
		}
		if k < len(files) {
			fmt.Fprintf(out, "  script: %s\n", printable(files[k]))
		}
	}
	if !g.Options.Estimate.Exact {
		fmt.Fprintln(out, "Needs are estimated from the headers of the images, for whole images; the plans will know more.")
	}
	fmt.Fprintf(out, "Nothing was sent. Jobs are laid out in %s\n", printable(filepath.Clean(g.Folder())))
	return nil
}

// writeManifests writes what kubectl applies.
func (f *submitFlags) writeManifests(cmd *cobra.Command, g *jobgraph.Graph) error {
	script, err := kubernetes.Write(g, kubernetes.Options{Image: f.image, Claim: f.claim, Namespace: f.namespace, Queue: f.queue})
	if err != nil {
		return err
	}
	for _, s := range g.Steps {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d pods, each %s\n", s.Name, len(s.Commands), needsText(s.Needs))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "The manifests are in %s. Nothing was sent: sh %s applies them in their order.\n", printable(filepath.Dir(script)), printable(script))
	return nil
}

// needsText says what a command asks for.
func needsText(n jobgraph.Needs) string {
	text := fmt.Sprintf("%d processors, %s, %s", n.CPUs, memory.Format(n.Memory), n.Time)
	if n.GPUs > 0 {
		text += fmt.Sprintf(", %d GPU", n.GPUs)
	}
	return text
}

// cancelJobs takes the jobs of a task out of the queue.
func (f *submitFlags) cancelJobs(cmd *cobra.Command, folders task.Folders, name string) error {
	g, err := jobgraph.Load(folders, name)
	if err != nil {
		return err
	}
	n, err := slurm.Cancel(cmd.Context(), g)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d commands were in the queue and are cancelled; uc submit %s --slurm --resume sends them again\n", name, n, name)
	return nil
}
