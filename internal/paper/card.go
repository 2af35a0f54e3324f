package paper

import (
	"fmt"
	"strings"

	"github.com/universal-classifier/uc/internal/reproduce"
)

// card is the model card, with the sections of Mitchell et al. (2019).
func (f *Facts) card() string {
	var b strings.Builder
	heading := func(title string) { fmt.Fprintf(&b, "\n## %s\n\n", title) }
	line := func(what, value string) { fmt.Fprintf(&b, "- **%s:** %s\n", what, value) }
	left := func(what, asks string) { fmt.Fprintf(&b, "- **%s:** %s: %s\n", what, you, asks) }

	fmt.Fprintf(&b, "# Model card: %s\n\nSections as proposed by Mitchell et al., Model Cards for Model Reporting, 2019 (<https://doi.org/10.1145/3287560.3287596>). "+
		"What the program does not know is marked %s.\n", markdown(f.Lock.Task), you)

	heading("Model details")
	left("Person or organisation", "who developed the model")
	line("Model date and version", fmt.Sprintf("trained with uc %s; digests in `uc.lock`. %s: date", markdown(f.Lock.Program.Version), you))
	line("Model type", fmt.Sprintf("convolutional network (I3D) for three-dimensional images, one per fold (%s)", markdown(f.each(func(fold reproduce.Fold) string { return fold.Fold }))))
	line("Training algorithm and parameters", "`methods.md`, `tables/settings.csv`")
	line("Inputs", markdown(fmt.Sprintf("%s; %s", f.modalities(), map[bool]string{true: "a mask of the region of interest", false: "no mask"}[f.Plans.RealMasks])))
	for _, l := range f.Report.Labels {
		line("Output", markdown(fmt.Sprintf("probability of each class of %s: %s", l.Name, strings.Join(l.ClassNames, ", "))))
	}
	left("Licence, citation, contact", "of the model")

	heading("Intended use")
	left("Primary intended uses", "the clinical question and the place in the care pathway")
	left("Primary intended users", "who uses it, with which training")
	left("Out-of-scope uses", "what it must not be used for")
	b.WriteString("- The program is not a medical device, and its results are no diagnosis.\n")

	heading("Factors")
	left("Relevant factors", "groups of patients, scanners and protocols for which performance may differ")
	if f.subgroups() {
		line("Evaluation factors", "`tables/subgroups.csv`")
	} else {
		left("Evaluation factors", "no subgroups were evaluated; `dataset.json` may declare sites and covariates")
	}

	heading("Metrics")
	line("Model performance measures", "area under the ROC curve, sensitivity, specificity, average precision, accuracy"+map[bool]string{true: ", calibration"}[f.calibration()]+map[bool]string{true: ", net benefit"}[f.decision()])
	if f.thresholds() {
		line("Decision thresholds", "the most probable class; thresholds by rule in `tables/thresholds.csv`")
	} else {
		line("Decision thresholds", "the most probable class")
	}
	line("Variation approaches", "95 % confidence intervals; pooled out-of-fold predictions (`methods.md`, Evaluation)")

	heading("Evaluation data")
	line("Dataset", markdown(f.cohort()+", held out by the folds of a cross-validation"))
	left("Motivation", "why these data")
	line("Preprocessing", "`methods.md`, Preprocessing")

	heading("Training data")
	line("Dataset", "the other folds of the same cohort: `tables/cohort.csv`, and by case `uc.lock`")
	left("Provenance", "where and when the scans were acquired, and from whom")

	heading("Quantitative analyses")
	t := f.performanceTable()
	for i, row := range t.rows {
		cells := make([]string, len(row))
		for k, cell := range row {
			cells[k] = markdown(cell)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	b.WriteString("\nIn brackets: 95 % confidence intervals.\n")

	heading("Ethical considerations")
	left("Data, human life, risks and harms, mitigations", "approval, consent, what a wrong result may lead to, and how that is prevented")

	heading("Caveats and recommendations")
	if text := f.missing(); text != "" {
		fmt.Fprintf(&b, "- %s\n", markdown("The cross-validation is not complete: "+text+"."))
	}
	for _, w := range f.Report.Warnings {
		fmt.Fprintf(&b, "- %s\n", markdown(w))
	}
	b.WriteString("- The results are of a cross-validation within one cohort; performance elsewhere may differ.\n")
	left("Further caveats", "what else users should know")
	return b.String()
}
