package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// settings says for every option of a remedy which flags may be it, and which command has one where the command at
// hand has not.
var settings = map[remedy.Option]struct {
	flags   []string // names, of which a command has at most one
	command string   // path below uc
}{
	remedy.DataRoot:            {[]string{"data-root"}, "plan-and-preprocess"},
	remedy.Task:                {[]string{"task_name", "task", "tasks"}, "predict"},
	remedy.Trainer:             {[]string{"trainer_class_name"}, "predict"},
	remedy.Plans:               {[]string{"plans_identifier", "plans"}, "predict"},
	remedy.Folds:               {[]string{"folds"}, "predict"},
	remedy.Images:              {[]string{"input_folder", "image", "images"}, "predict"},
	remedy.Masks:               {[]string{"seg_folder", "mask"}, "predict"},
	remedy.Output:              {[]string{"output_folder", "output"}, "predict"},
	remedy.NoWait:              {[]string{"no-wait"}, "predict"},
	remedy.Memory:              {[]string{"memory"}, "plan-and-preprocess"},
	remedy.Device:              {[]string{"device"}, "predict"},
	remedy.CUDALibs:            {[]string{"cuda-libs"}, "predict"},
	remedy.Overwrite:           {[]string{"overwrite_existing", "overwrite"}, "predict"},
	remedy.Ensemble:            {[]string{"ensemble"}, "export"},
	remedy.AllowOutliers:       {[]string{"allow-outliers"}, "plan-and-preprocess"},
	remedy.Split:               {[]string{"split"}, "train"},
	remedy.AllowPatientOverlap: {[]string{"allow-patient-overlap"}, "train"},
	remedy.AllowDuplicates:     {[]string{"allow-duplicates"}, "train"},
	remedy.ContinueTraining:    {[]string{"continue_training"}, "train"},
	remedy.ValidationOnly:      {[]string{"validation_only"}, "train"},
	remedy.BatchSize:           {[]string{"batch-size"}, "train"},
	remedy.LearningRate:        {[]string{"lr"}, "train"},
	remedy.Epochs:              {[]string{"epochs"}, "train"},
	remedy.ImportMasks:         {[]string{"masks"}, "import-model"},
	remedy.ImportNames:         {[]string{"dataset-json"}, "import-model"},
	remedy.Classes:             {[]string{"classes"}, "convert table"},
	remedy.Modalities:          {[]string{"modalities"}, "convert table"},
	remedy.MaskSuffix:          {[]string{"mask-suffix"}, "convert table"},
	remedy.CaseColumn:          {[]string{"id"}, "convert table"},
	remedy.LabelColumns:        {[]string{"label-columns", "labels"}, "convert table"},
	remedy.PatientColumn:       {[]string{"patient"}, "convert table"},
	remedy.SiteColumn:          {[]string{"site"}, "convert table"},
	remedy.CovariateColumns:    {[]string{"covariates"}, "convert table"},
	remedy.SplitSeries:         {[]string{"split"}, "convert dicom"},
	remedy.KeepTilt:            {[]string{"keep-tilt"}, "convert dicom"},
	remedy.Mapping:             {[]string{"mapping"}, "convert dicom"},
	remedy.MinSlices:           {[]string{"min-slices"}, "convert dicom"},
	remedy.NameBy:              {[]string{"name-by"}, "convert dicom"},
}

// jobs are the commands of jobs without parameters.
var jobs = map[remedy.Job]string{
	remedy.Predict:        "predict",
	remedy.PackModel:      "package",
	remedy.ImportModel:    "import-model",
	remedy.ConvertDICOM:   "convert dicom",
	remedy.ConvertMSD:     "convert msd",
	remedy.ConvertNNUNet2: "convert nnunet-v2",
}

// hints spells remedies for whoever typed a command: as commands and flags, with the names that were typed.
type hints struct{ cmd *cobra.Command }

// add appends to the text of an error or a note what its remedies are to type, in brackets; on a line of its own, if
// the text has several.
func (h hints) add(text string, remedies []remedy.Remedy) string {
	typed := h.spell(remedies)
	switch {
	case typed == "":
		return text
	case strings.Contains(text, "\n"):
		return text + "\nhint: " + typed
	}
	return text + " (" + typed + ")"
}

// spell lists what the remedies are to type. Outliers that may be allowed come together in one flag.
func (h hints) spell(remedies []remedy.Remedy) string {
	if h.cmd == nil {
		return ""
	}
	var parts []string
	outliers := -1
	for _, r := range remedies {
		s, isSet := r.(remedy.Set)
		switch {
		case isSet && s.Option == remedy.AllowOutliers && outliers >= 0:
			parts[outliers] += " " + quoted(s.Value)
			continue
		case isSet && s.Option == remedy.AllowOutliers:
			outliers = len(parts)
		}
		parts = append(parts, h.one(r))
	}
	return strings.Join(parts, ", or ")
}

func (h hints) one(r remedy.Remedy) string {
	switch r := r.(type) {
	case remedy.Plan:
		words := "uc plan-and-preprocess -t " + h.task(r.Task)
		if r.Verify {
			words += " --verify_dataset_integrity"
		}
		return words + h.dataRoot()
	case remedy.Train:
		return h.train(r)
	case remedy.Job:
		return "uc " + jobs[r]
	case remedy.Set:
		return h.flag(r.Option, r.Value, true)
	case remedy.Unset:
		return "without " + h.flag(r.Option, "", false)
	}
	return ""
}

func (h hints) train(r remedy.Train) string {
	known := func(name string, more ...string) string {
		for _, other := range more {
			if name == "" {
				name = other
			}
		}
		return name
	}
	words := []string{"uc train", task.DefaultNetwork, known(r.Trainer, h.trainer(), task.DefaultTrainer), h.task(r.Task), known(r.Fold, "FOLD")}
	switch r.Mode {
	case remedy.Continue:
		words = append(words, "-c")
	case remedy.Validate:
		words = append(words, "-val")
	}
	if plans := known(r.Plans, h.given("plans"), h.given("plans_identifier")); plans != "" && plans != task.DefaultPlans {
		words = append(words, "-p "+quoted(plans))
	}
	return strings.Join(words, " ") + h.dataRoot()
}

// flag spells an option as the command at hand has it, or as another command that has it does.
func (h hints) flag(o remedy.Option, value string, withKind bool) string {
	s := settings[o]
	where := ""
	f := lookUpAny(h.cmd, s.flags)
	if f == nil {
		home := h.command(s.command)
		f, where = lookUpAny(home, s.flags), home.CommandPath()+" "
	}
	text := where + spellings(f)[0]
	kind, _ := pflag.UnquoteUsage(f)
	switch {
	case value != "":
		text += " " + quoted(value)
	case withKind && kind != "" && f.Value.Type() != "bool":
		text += " " + kind
	}
	return text
}

func lookUpAny(cmd *cobra.Command, names []string) *pflag.Flag {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f != nil {
			return f
		}
	}
	return nil
}

// command finds a command by its path below uc.
func (h hints) command(path string) *cobra.Command {
	cmd, _ := commandOf(h.cmd.Root(), strings.Fields(path))
	return cmd
}

// given is the value of a flag that was typed, or empty.
func (h hints) given(name string) string {
	if f := h.cmd.Flags().Lookup(name); f != nil && f.Changed {
		return f.Value.String()
	}
	return ""
}

// dataRoot repeats the data root that was typed, without which the commands would look elsewhere.
func (h hints) dataRoot() string {
	if root := h.given("data-root"); root != "" {
		return " --data-root " + quoted(root)
	}
	return ""
}

// trainer is the trainer that was typed, or empty.
func (h hints) trainer() string {
	if args := h.cmd.Flags().Args(); h.cmd.Name() == "train" && len(args) > 1 {
		return args[1]
	}
	return h.given("trainer_class_name")
}

// task is a task as it was typed, if it was, or by its name; without a name it is the only one that was typed.
func (h hints) task(name string) string {
	typed := h.tasks()
	for _, t := range typed {
		id, isName := task.ParseName(name)
		if n, err := strconv.Atoi(t); t == name || isName && err == nil && n == id {
			return quoted(t)
		}
	}
	switch {
	case name != "":
		return quoted(name)
	case len(typed) == 1:
		return quoted(typed[0])
	}
	return "TASK"
}

// tasks are the tasks that were typed.
func (h hints) tasks() []string {
	fs := h.cmd.Flags()
	switch args := fs.Args(); {
	case h.cmd.Name() == "train" && len(args) > 2:
		return args[2:3]
	case h.cmd.Name() == "evaluate":
		return args
	}
	if several, err := fs.GetStringSlice("tasks"); err == nil {
		return several
	}
	if one := h.given("task_name"); one != "" {
		return []string{one}
	}
	return nil
}

// quoted is a word as a shell takes it: in quotes where it holds more than letters, digits and the usual signs.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r > 0x7f || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("_-./\\:=,+@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
