package jobgraph

import (
	"time"

	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// Estimate is what the commands of a graph need.
type Estimate struct {
	Preprocessing, Training, Evaluation Needs
	// Exact reports whether the plans are made; otherwise the trainings are estimated from the headers of the images, for
	// the whole of them, which is more than enough.
	Exact bool
}

// What is assumed where nothing has been measured. A command that takes longer than it asked for is stopped in time by
// the batch system and continued, so these need to be right within a factor only.
const (
	program        = 512 << 20 // bytes of a process besides its work
	perProcessor   = 20e9      // floating point operations a second of one processor, less than any AVX2 reaches
	perCard        = 3e12      // of a GPU
	voxelsASecond  = 3e6       // preprocessed by one processor
	atOnce         = 2         // cases of the largest size that are preprocessed at the same time
	shortest       = 20 * time.Minute
	longest        = 72 * time.Hour
	marginOfTime   = 2
	evaluationTime = 30 * time.Minute
)

// Resources is what a user grants to a command.
type Resources struct {
	CPUs int
	GPUs int
	Time time.Duration // of a training; 0: as estimated
}

// Judge estimates what the work on a task needs. of are the options of the trainings by each recipe, as far as they
// change it; every training gets what the hungriest and the longest of them take.
func Judge(t *task.Task, p *plan.Plans, of []train.Options, shards int, r Resources) (Estimate, error) {
	e := Estimate{Exact: p != nil}
	enough, outlook := cohort.Outlook(t)
	voxels := 0.0
	if p == nil {
		p = outlook
	}
	if p != nil {
		size := p.Stage().ImageSize
		voxels = float64(size[0]) * float64(size[1]) * float64(size[2]) * float64(len(p.Modalities)) * float64(len(t.Dataset.Cases))
	}
	cpus := max(1, r.CPUs)
	e.Preprocessing = Needs{
		CPUs: cpus, Memory: program + int64(min(cpus, atOnce))*enough,
		Time: span(voxels / float64(max(1, shards)) / voxelsASecond / float64(cpus)),
	}
	e.Evaluation = Needs{CPUs: 1, Memory: 4 * program, Time: evaluationTime}
	if p == nil {
		e.Training = Needs{CPUs: cpus, GPUs: r.GPUs, Memory: 16 << 30, Time: longest}
	} else {
		rate := perProcessor * float64(cpus)
		if r.GPUs > 0 {
			rate = perCard * float64(r.GPUs)
		}
		e.Training = Needs{CPUs: cpus, GPUs: r.GPUs}
		for _, o := range of {
			o.Workers, o.Threads = cpus, cpus
			out, err := train.Look(o, p, len(t.Dataset.Cases))
			if err != nil {
				return e, err
			}
			e.Training.Memory = max(e.Training.Memory, program+out.Memory+out.Memory/4)
			e.Training.Time = max(e.Training.Time, span(out.FLOP/rate))
		}
	}
	if r.Time > 0 {
		e.Training.Time = r.Time
	}
	return e, nil
}

// span is a time to ask for, of a job that takes so many seconds if all goes well.
func span(seconds float64) time.Duration {
	if seconds > longest.Seconds() {
		return longest
	}
	return min(max(shortest, time.Duration(marginOfTime*seconds*float64(time.Second)).Round(time.Minute)), longest)
}
