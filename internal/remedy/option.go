package remedy

// Option is an option of a job, whatever its name is where it is given.
type Option int

// The options.
const (
	// Where data lie, and what is asked for.
	DataRoot Option = iota // the folder of all data
	Task                   // the task
	Trainer                // the trainer
	Plans                  // the name of the plans
	Folds                  // the folds
	Images                 // the folder of images
	Masks                  // the folder of masks
	Output                 // the folder or file of results
	NoWait                 // not to wait for another process, but to fail

	// How a job is done.
	Memory    // the budget of memory
	Device    // what computes
	CUDALibs  // the folder of NVIDIA's libraries
	Overwrite // to do again what is there
	Ensemble  // all folds in one file

	// How a cohort is planned and trained.
	AllowOutliers       // cases that are taken though their headers look wrong; the value is one case
	Split               // how folds are drawn
	AllowPatientOverlap // a patient on both sides of a fold
	AllowDuplicates     // a scan on both sides of a fold
	ContinueTraining    // to resume from a checkpoint
	ValidationOnly      // to validate alone
	BatchSize           // cases per iteration
	LearningRate        // the highest learning rate
	Epochs              // the number of epochs

	// What the files of a source mean.
	ImportMasks          // whether a model of the reference was trained with masks
	ImportNames          // the dataset.json that names a model's labels
	Classes              // the classes in their order
	Modalities           // the modalities
	MaskSuffix           // the end of the masks' names
	CaseColumn           // the column of the cases
	LabelColumns         // the columns of the classes
	PatientColumn        // the column of the patients
	SiteColumn           // the column of the sites
	CovariateColumns     // the columns of covariates
	SplitSeries          // what DICOM series are split by
	KeepTilt             // volumes of a tilted gantry
	Mapping              // the table of cases and patients
	MinSlices            // how many images a series must have
	NameBy               // what names the cases
	options          int = iota
)

// Options lists all of them.
func Options() []Option {
	all := make([]Option, options)
	for i := range all {
		all[i] = Option(i)
	}
	return all
}
