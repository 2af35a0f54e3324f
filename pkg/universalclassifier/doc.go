// Package universalclassifier classifies 3D medical images from Go programs: it plans, preprocesses, trains, evaluates
// and predicts as the command uc does, on the same files and with the same numbers.
//
// # Workflow
//
// A Workspace is a data root with tasks in nnU-Net's layout: images, masks of the region of interest and a dataset.json
// with the classes of every case. Workspace.Preprocess measures the cohort, plans from it and preprocesses all cases;
// Workspace.Train trains a Fold of the cross-validation and validates it; Workspace.Evaluate pools the validations of
// all folds. A Model is what was trained: open it once, with Workspace.OpenModel or OpenModel, and predict many cases,
// from files (Model.Predict) or from memory (Model.PredictImages). An Explainer shows where its networks look. Package
// nifti of this module has the images, and reads and writes them.
//
// Everything that takes long takes a context. When it ends, calls return soon with an error that wraps ErrInterrupted
// and the context's error. What was finished before is kept: cases that are preprocessed are not preprocessed again,
// and a training continues where it stopped, bit for bit, with TrainOptions.Continue.
//
// # Files
//
// A data root holds raw, preprocessed and trained_models, as the command's --data-root. Only Plan, Preprocess and Train
// write, and only below preprocessed and trained_models, with one exception: where no case of a raw task has a mask,
// masks of the whole image are written next to the images, and dataset.json is completed (the original is kept as
// original_dataset.json). Files appear whole or not at all. Folders that are written are locked, so that a second
// process waits for its turn or, in training, is refused. Files of others (NIfTI, MetaImage, PyTorch checkpoints,
// pickles of the Python package) are read as data: sizes are checked before memory is taken, and nothing in them is
// executed.
//
// # Devices and threads
//
// Device names what computes: "auto" (default) is the first NVIDIA GPU if the program has called EnableGPU, NVIDIA's
// libraries are there and the card passes a test, else the CPU; "cpu"; "cuda" or "cuda:1" is that GPU, or ErrNoGPU.
// Threads is how many threads compute on the CPU; results do not depend on it, in any bit. Workers is how many pieces
// of work are prepared side by side: cases in Preprocess, training samples in Train. Results do not depend on it,
// either. Memory bounds what preprocessing and prediction may take. The defaults are those of the command line.
//
// All functions and methods may be called from several goroutines.
//
// # Side effects
//
// Importing the package starts nothing. With EnableGPU, opening a device "auto" or "cuda" where there is an NVIDIA
// driver starts the program a second time, as a child that looks at the GPU and ends: a driver that crashes then does
// not take the program along. What a GPU has compiled and measured is kept in the user's cache folder. The settings of
// the garbage collector are the program's own; the command keeps to Memory by setting them, and a program with a tight
// budget should (debug.SetMemoryLimit).
//
// The environment is read where it takes the place of an option (nnUNet_raw_data_base, nnUNet_preprocessed and
// RESULTS_FOLDER without a data root; nnUNet_n_proc_DA without Workers) and to find kernels and libraries (UC_CPU,
// UC_CUDA_LIBS, UC_CUDA_GRAPH and those that CUDA and Python set). "uc help environment" lists them. Nothing is
// printed: words go to the Logger of the options, numbers to the Progress, and without them nowhere.
//
// # Compatibility
//
// The version is below 1.0: names may change between minor versions, and CHANGELOG.md says how. Data roots,
// preprocessed cases and checkpoints are those of the command and of its version; what a later version would make
// differently it makes again, or refuses with an error. Model folders of the Python package universalclassifier can be
// opened as they are.
//
// # Not a medical device
//
// This is software for research. It has not been certified for diagnosis or treatment, and predictions must not be used
// for them.
package universalclassifier
