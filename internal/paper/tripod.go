package paper

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/words"
)

// tripod is the TRIPOD+AI checklist: 27 items with 52 parts.
var tripod = checklist{
	title: "TRIPOD+AI checklist",
	source: "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression or machine learning methods. " +
		"BMJ 2024;385:e078378. <https://doi.org/10.1136/bmj-2023-078378>. The column \"asks for\" is abridged; the wording of the statement counts.",
	items: []item{
		{"Title and abstract", "1", "Title", "development or evaluation of a prediction model, population, outcome", yours},
		{"Title and abstract", "2", "Abstract", "the TRIPOD+AI for Abstracts checklist", yours},

		{"Introduction", "3a", "Background", "healthcare context, rationale, existing models", yours},
		{"Introduction", "3b", "Background", "target population, purpose in the care pathway, intended users", yours},
		{"Introduction", "3c", "Background", "known health inequalities between sociodemographic groups", yours},
		{"Introduction", "4", "Objectives", "objectives; development, validation or both", at("development with internal validation by cross-validation", "the objectives")},

		{"Methods", "5a", "Data", "sources of the data, rationale, representativeness", yours},
		{"Methods", "5b", "Data", "dates of accrual and follow-up", yours},
		{"Methods", "6a", "Participants", "setting, number and location of centres", func(f *Facts) (string, string) {
			if n := f.sites(); n > 0 {
				return fmt.Sprintf("dataset.json names %s", words.CountOf(n, "site", "sites")), "setting and locations"
			}
			return yours(f)
		}},
		{"Methods", "6b", "Participants", "eligibility criteria", yours},
		{"Methods", "6c", "Participants", "treatments received, if relevant", yours},
		{"Methods", "7", "Data preparation", "pre-processing and quality checks, and whether similar across groups", at("methods.md, Preprocessing; the same for every case", "quality checks made before the scans were given to the program")},
		{"Methods", "8a", "Outcome", "definition and time horizon of the outcome, how assessed, rationale, consistency", at("methods.md, Data: names of labels and classes", "definitions, assessment, rationale, consistency across groups")},
		{"Methods", "8b", "Outcome", "qualifications of subjective assessors", yours},
		{"Methods", "8c", "Outcome", "blinding of the assessment of the outcome", yours},
		{"Methods", "9a", "Predictors", "choice and pre-selection of predictors", at("methods.md, Data: all voxels of the modalities given, and the mask; no other predictor and no pre-selection by the program", "why these modalities")},
		{"Methods", "9b", "Predictors", "definition of predictors, how and when measured, blinding", at("methods.md, Data and Preprocessing", "acquisition of the scans, timing, blinding")},
		{"Methods", "9c", "Predictors", "qualifications of subjective assessors of predictors", func(f *Facts) (string, string) {
			if f.Plans.RealMasks {
				return "", "who drew the masks"
			}
			return "no predictor was assessed subjectively by the program: no masks were given", "whether the scans were selected or prepared by readers"
		}},
		{"Methods", "10", "Sample size", "how the study size was arrived at and why it suffices", at("numbers only: methods.md, Data", "how it was arrived at, and any calculation")},
		{"Methods", "11", "Missing data", "handling of missing data, reasons for omissions", at("every case has all modalities and all classes: the program refuses tasks in which any is missing", "cases and scans that were omitted before, and why")},
		{"Methods", "12a", "Analytical methods", "how data were used and partitioned", at("methods.md, Evaluation; uc.lock lists the cases of each fold", "")},
		{"Methods", "12b", "Analytical methods", "handling of predictors: rescaling, transformation, standardisation", at("methods.md, Preprocessing", "")},
		{"Methods", "12c", "Analytical methods", "type of model, rationale, building steps, tuning, internal validation", at("methods.md, Network and training, and Evaluation; tables/settings.csv", "rationale; whether you compared recipes or settings on these data")},
		{"Methods", "12d", "Analytical methods", "heterogeneity across clusters", func(f *Facts) (string, string) {
			if f.subgroups() {
				return "tables/subgroups.csv", ""
			}
			return "by fold only: tables/folds.csv", "heterogeneity across sites, if you examined it"
		}},
		{"Methods", "12e", "Analytical methods", "measures and plots, and their rationale; comparison of models", func(f *Facts) (string, string) {
			where := "methods.md, Evaluation: discrimination"
			if f.calibration() {
				where += ", calibration"
			}
			if f.decision() {
				where += ", clinical utility"
			}
			if f.baselines() {
				where += "; comparison with baselines in tables/baselines.csv"
			}
			return where, "rationale"
		}},
		{"Methods", "12f", "Analytical methods", "model updating arising from the evaluation", func(f *Facts) (string, string) {
			if f.calibrated() {
				return "temperature scaling: methods.md, Evaluation", "any other updating"
			}
			return "none by the program", "any that you did"
		}},
		{"Methods", "12g", "Analytical methods", "how predictions were calculated", at("methods.md, Evaluation; the program named in uc.lock calculates them from the model's folder", "")},
		{"Methods", "13", "Class imbalance", "methods for class imbalance, recalibration", at("none: cases are drawn without regard to their class, and the loss is not weighted", "any balancing of the cohort before")},
		{"Methods", "14", "Fairness", "approaches to fairness and their rationale", func(f *Facts) (string, string) {
			if f.subgroups() {
				return "performance by subgroup: tables/subgroups.csv", "approaches and rationale"
			}
			return yours(f)
		}},
		{"Methods", "15", "Model output", "output, classification, how thresholds were found", func(f *Facts) (string, string) {
			where := "probabilities of the classes of each label; the class is the most probable one"
			if f.thresholds() {
				where += "; thresholds by rule, chosen inside the folds: tables/thresholds.csv"
			}
			return where, "rationale of the classification"
		}},
		{"Methods", "16", "Training versus evaluation", "differences between development and evaluation data", at("none in these results: cross-validation within one cohort", "an external test set, if you have one")},
		{"Methods", "17", "Ethical approval", "ethics committee, informed consent or waiver", yours},

		{"Open science", "18a", "Funding", "source and role of funders", yours},
		{"Open science", "18b", "Conflicts of interest", "conflicts and disclosures of all authors", yours},
		{"Open science", "18c", "Protocol", "where it can be accessed, or that none was prepared", yours},
		{"Open science", "18d", "Registration", "register and number, or that the study was not registered", yours},
		{"Open science", "18e", "Data sharing", "availability of the data", yours},
		{"Open science", "18f", "Code sharing", "availability of the analytical code", at("the program is public: references.bib, entry uc; uc.lock names version and build", "your own code")},

		{"Patient and public involvement", "19", "Patient and public involvement", "details, or that there was none", yours},

		{"Results", "20a", "Participants", "flow of participants, numbers with and without the outcome", at("tables/cohort.csv: cases by class", "the flow before, ideally as a diagram")},
		{"Results", "20b", "Participants", "characteristics overall and by source, missing data, differences between groups", at("tables/cohort.csv: numbers of cases and of each class", "demographics, dates, treatments, sources")},
		{"Results", "20c", "Participants", "comparison with the development data", at("does not apply to these results: no data beyond those of the development", "an external test set, if you have one")},
		{"Results", "21", "Model development", "participants and events in each analysis", at("tables/cohort.csv, tables/folds.csv", "")},
		{"Results", "22", "Model specification", "the full model, and restrictions of access", at("the folder of the model (weights as safetensors, plans as JSON), of which uc.lock has the digests", "where it can be had, and under which terms")},
		{"Results", "23a", "Model performance", "estimates with intervals, by key subgroups, with plots", func(f *Facts) (string, string) {
			if f.subgroups() {
				return "tables/performance.csv, tables/subgroups.csv, figures", ""
			}
			return "tables/performance.csv, figures", "subgroups"
		}},
		{"Results", "23b", "Model performance", "heterogeneity across clusters, if examined", func(f *Facts) (string, string) {
			if f.subgroups() {
				return "tables/subgroups.csv", ""
			}
			return "", "if you examined it"
		}},
		{"Results", "24", "Model updating", "results of any updating", func(f *Facts) (string, string) {
			if f.calibrated() {
				return "tables/calibration.csv, before and after temperature scaling", ""
			}
			return "none by the program", "any that you did"
		}},

		{"Discussion", "25", "Interpretation", "overall interpretation, with fairness and previous studies", yours},
		{"Discussion", "26", "Limitations", "limitations and their effects", func(f *Facts) (string, string) {
			if len(f.Report.Warnings) > 0 {
				return "model-card.md, Caveats: what the program warned of", "all others"
			}
			return yours(f)
		}},
		{"Discussion", "27a", "Usability of the model in the context of current care", "handling of poor or unavailable input", at("the program refuses inputs that lack a modality, whose modalities differ in their grid, or whose mask is missing", "poor image quality, and what users should do")},
		{"Discussion", "27b", "Usability of the model in the context of current care", "interaction and expertise required of users", func(f *Facts) (string, string) {
			if f.Plans.RealMasks {
				return "a mask of the region of interest is needed for every new case", "who draws it, with which expertise"
			}
			return "scans alone are needed for a new case", "expertise"
		}},
		{"Discussion", "27c", "Usability of the model in the context of current care", "next steps, applicability and generalisability", yours},
	},
}

// sites is how many sites dataset.json names.
func (f *Facts) sites() int {
	if f.Listing == nil {
		return 0
	}
	sites := map[string]bool{}
	for _, c := range f.Listing.Cases {
		if c.Site != "" {
			sites[c.Site] = true
		}
	}
	return len(sites)
}
