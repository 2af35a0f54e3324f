package paper

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/reproduce"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
	"github.com/universal-classifier/uc/internal/words"
)

// methods is the section that a paper takes over, from what was done.
func (f *Facts) methods() text {
	return text{
		{"Data", f.dataParagraph()},
		{"Preprocessing", f.preprocessingParagraph()},
		{"Network and training", f.trainingParagraph()},
		{"Evaluation", f.evaluationParagraph()},
		{"Software and reproducibility", f.softwareParagraph()},
		{"Reporting", []string{"The checklists of TRIPOD+AI [@collins2024] and CLAIM 2024 [@tejani2024] and a model card [@mitchell2019] were prepared."}},
	}
}

func (f *Facts) dataParagraph() []string {
	var b strings.Builder
	fmt.Fprintf(&b, "The results are about %s with one volume for each of the following modalities: %s.", f.cohort(), f.modalities())
	for _, l := range f.Report.Labels {
		fmt.Fprintf(&b, " The label %s has the classes %s, with numbers of cases in brackets.", quoted(l.Name), classes(l))
	}
	if f.Plans.RealMasks {
		b.WriteString(" A mask of the region of interest was given with every case.")
	} else if !f.Plans.MasksUnknown {
		b.WriteString(" No mask of a region of interest was given; the whole image was used.")
	}
	if text := f.missing(); text != "" {
		fmt.Fprintf(&b, " The cross-validation is not complete: %s.", text)
	}
	return []string{b.String()}
}

func (f *Facts) preprocessingParagraph() []string {
	stage := f.Plans.Stage()
	spacing := fmt.Sprintf("%.3g x %.3g x %.3g mm", stage.CurrentSpacing[0], stage.CurrentSpacing[1], stage.CurrentSpacing[2])
	var norms []string
	for m, name := range f.Plans.Modalities {
		how := "z-score of each case"
		switch f.Plans.NormalizationSchemes[m] {
		case plan.NormCT:
			how = "clipping to the 0.5 and 99.5 percentiles of the cohort's intensities in the region of interest, then its mean and standard deviation"
		case plan.NormNone:
			how = "none"
		default:
			if f.Plans.UseMaskForNorm[m] {
				how += " over the voxels inside the region of interest"
			}
		}
		norms = append(norms, fmt.Sprintf("%s: %s", quoted(name), how))
	}
	return []string{fmt.Sprintf("Preprocessing was planned from the cohort by the rules of nnU-Net [@isensee2021], as adapted in the baseline of the AUC23 challenge [@auc23]. "+
		"Volumes were cropped to the region of interest, resampled to %s (cubic B-spline for images, linear for masks), and padded with zeros to %d x %d x %d voxels (axes in the order of the plans). "+
		"Intensities were normalised per modality (%s). The mask was given to the network as a further channel.",
		spacing, stage.ImageSize[0], stage.ImageSize[1], stage.ImageSize[2], strings.Join(norms, "; "))}
}

func (f *Facts) trainingParagraph() []string {
	p := f.recipe
	var b strings.Builder
	fmt.Fprintf(&b, "The network is an I3D (Inception-v1 with three-dimensional kernels) [@carreira2017] with %d input channels and one linear layer per label. ", f.Plans.InputChannels())
	if pretrained := f.each(func(fold reproduce.Fold) string { return fold.Pretrained }); pretrained != "" {
		b.WriteString("Its weights started from pretrained ones, whose digest is in uc.lock. ")
	} else {
		b.WriteString("Its weights were initialised at random. ")
	}
	b.WriteString("The loss is the sum of the cross-entropies of the labels. ")
	switch p.Optimiser {
	case train.AdamW:
		fmt.Fprintf(&b, "It was minimised with AdamW [@loshchilov2019] (betas %g and %g, weight decay %g)", p.Momentum, p.Beta2, p.WeightDecay)
	default:
		fmt.Fprintf(&b, "It was minimised by stochastic gradient descent with Nesterov momentum %g and weight decay %g", p.Momentum, p.WeightDecay)
	}
	fmt.Fprintf(&b, " in batches of %s for %d iterations (%s of %d), with a highest learning rate of %g", words.CountOf(p.BatchSize, "case", "cases"),
		p.Epochs*p.Iterations, words.CountOf(p.Epochs, "epoch", "epochs"), p.Iterations, p.LearningRate)
	switch p.Schedule {
	case train.Cosine:
		b.WriteString(" that fell to zero along a cosine [@loshchilov2017]")
	case train.Poly:
		b.WriteString(" that fell polynomially with the exponent 0.9 [@isensee2021]")
	}
	if p.WarmUp > 0 {
		fmt.Fprintf(&b, " after a linear rise over the first %g %% of the iterations", 100*p.WarmUp)
	}
	fmt.Fprintf(&b, "; gradients were clipped to a norm of %g. ", p.ClipNorm)
	if p.Average > 0 {
		fmt.Fprintf(&b, "The weights that were evaluated are an exponential moving average (decay %g per iteration) [@polyak1992]. ", p.Average)
	}
	b.WriteString("Samples were augmented as in nnU-Net [@isensee2021]: rotation, scaling, elastic deformation, noise, blur, brightness, contrast, low resolution, gamma and mirroring. ")
	if p.Restarts > 0 {
		fmt.Fprintf(&b, "A training that collapsed would have been restarted with a lower learning rate, at most %s. ", words.CountOf(p.Restarts, "time", "times"))
	}
	fmt.Fprintf(&b, "No hyperparameter was tuned on these results by the program. Trainings ran on %s in %s, with %s.",
		f.each(func(fold reproduce.Fold) string { return quoted(fold.Device) }), f.each(func(fold reproduce.Fold) string { return fold.Precision }), f.seeds())
	if changes := f.otherRecipes(); changes != "" {
		fmt.Fprintf(&b, " The recipe given is that of fold %s; %s.", f.Lock.Folds[0].Fold, changes)
	}
	return []string{b.String()}
}

// otherRecipes says which folds were trained by another recipe than the first.
func (f *Facts) otherRecipes() string {
	var others []string
	for _, fold := range f.Lock.Folds[1:] {
		if len(reproduce.RecipeChanges(f.Lock.Folds[0], fold)) > 0 {
			others = append(others, fold.Fold)
		}
	}
	if len(others) == 0 {
		return ""
	}
	return "other recipes were used for folds " + list(others) + " (see uc.lock)"
}

func (f *Facts) evaluationParagraph() []string {
	folds := f.Lock.Folds
	var b strings.Builder
	names := make([]string, len(folds))
	for i, fold := range folds {
		names[i] = fold.Fold
	}
	if slices.Contains(names, task.FoldAll) {
		b.WriteString("Fold all was trained and evaluated on the same cases, so that its results say nothing about new ones. ")
	}
	fmt.Fprintf(&b, "Performance was measured by cross-validation over %s (%s): each case was predicted by the network of the fold that held it out, ", words.CountOf(len(folds), "fold", "folds"), list(names))
	if f.recipe.MirrorValidation {
		b.WriteString("as the mean of the class probabilities over its eight mirror images, ")
	}
	b.WriteString("and the predictions of all folds were pooled. ")
	if weights := f.each(func(fold reproduce.Fold) string { return fold.Checkpoint }); weights == checkpoint.Final {
		b.WriteString("The last weights of each training were evaluated. ")
	} else {
		fmt.Fprintf(&b, "The weights evaluated are those of %s; where that is %s, the validation cases had a part in choosing them. ", quoted(weights), checkpoint.Best)
	}
	b.WriteString("The predicted class is the one with the highest probability. Intervals are 95 % confidence intervals: ")
	var of []string
	for _, m := range f.methodsOfAUC() {
		switch m {
		case evaluate.MethodDeLong:
			of = append(of, "DeLong's [@delong1988]")
		case evaluate.MethodObuchowski:
			of = append(of, "Obuchowski's for several cases of a patient [@obuchowski1997]")
		case evaluate.MethodNewcombe:
			of = append(of, "Newcombe's where the variance is zero [@newcombe2006]")
		default:
			of = append(of, quoted(m))
		}
	}
	if len(of) > 0 {
		fmt.Fprintf(&b, "for areas under the ROC curve %s; ", list(of))
	}
	b.WriteString("for shares Wilson's [@wilson1927]")
	if f.Report.Clustered {
		b.WriteString(" on the effective number of cases, as patients have several of them [@rao1992]")
	}
	b.WriteString("; for ROC curves pointwise bootstrap bands [@robin2011].")
	if f.calibration() {
		b.WriteString(" Calibration was measured by the Brier score [@brier1950] and the expected calibration error")
		if method := f.calibrationMethod(); method != "" {
			b.WriteString(", with intervals by the " + quoted(method))
		}
		b.WriteString(".")
	}
	if rules := f.rules(); len(rules) > 0 {
		fmt.Fprintf(&b, " Thresholds of the probability were chosen by rule (%s), each on other folds than those it was applied to.", list(rules))
	}
	for _, l := range f.Report.Labels {
		if l.Doubt != nil && l.Doubt.Why == "" {
			fmt.Fprintf(&b, " Conformal prediction sets were calibrated to hold the true class in %g %% of the cases, on other folds than those they were applied to.", 100*l.Doubt.Target)
			break
		}
	}
	if f.calibrated() {
		b.WriteString(" Probabilities were calibrated by temperature scaling [@guo2017], with temperatures fitted on other folds than those they were applied to.")
	}
	if f.decision() {
		b.WriteString(" Clinical utility was assessed by decision curve analysis [@vickers2006].")
	}
	if f.baselines() {
		b.WriteString(" Baselines that know only a few plain numbers of each case were fitted by logistic regression on the same folds, and compared by the paired test of DeLong [@delong1988]")
		if f.Report.Clustered {
			b.WriteString(" in its form for clustered cases [@obuchowski1997]")
		}
		b.WriteString(".")
	}
	if f.subgroups() {
		b.WriteString(" Differences between subgroups were tested with Holm's correction for the number of tests [@holm1979].")
	}
	return []string{b.String()}
}

func (f *Facts) softwareParagraph() []string {
	p := f.Lock.Program
	return []string{fmt.Sprintf("All steps were done with uc %s [@uc] (%s, %s/%s), which runs the network on Gorgonia [@gorgonia]. "+
		"The digests of data, plans, folds, recipe and program, the seeds and the results are in uc.lock, from which the program can check the data and repeat trainings and evaluation.",
		quoted(p.Version), p.Go, p.OS, p.Arch)}
}
