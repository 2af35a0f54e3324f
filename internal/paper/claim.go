package paper

// claim is the CLAIM 2024 checklist: 44 items.
var claim = checklist{
	title: "CLAIM 2024 checklist",
	source: "Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update. " +
		"Radiology: Artificial Intelligence 2024;6(4):e240300. <https://doi.org/10.1148/ryai.240300>.",
	items: []item{
		{"Title and abstract", "1", "Title", "identification as a study of AI methodology, with the category of technology", at("deep learning: a convolutional network (I3D)", "your title or abstract")},
		{"Title and abstract", "2", "Abstract", "summary of design, methods, results and conclusions", yours},

		{"Introduction", "3", "Background", "background, intended use and role of the AI approach", yours},
		{"Introduction", "4", "Objectives", "aims, objectives and hypotheses", yours},

		{"Methods: study design", "5", "Study design", "prospective or retrospective", yours},
		{"Methods: study design", "6", "Study goal", "goal of the study", yours},

		{"Methods: data", "7", "Data sources", "sources of the data", yours},
		{"Methods: data", "8", "Eligibility", "inclusion and exclusion criteria", yours},
		{"Methods: data", "9", "Data pre-processing", "steps from acquired data to the model's input", at("methods.md, Preprocessing", "steps before the scans were given to the program, such as conversion or registration")},
		{"Methods: data", "10", "Data subsets", "selection of data subsets", at("volumes are cropped to the region of interest: methods.md, Preprocessing", "any selection of cases or series before")},
		{"Methods: data", "11", "De-identification", "de-identification methods", yours},
		{"Methods: data", "12", "Missing data", "how missing data were handled", at("the program refuses tasks in which a modality or a class of any case is missing", "cases that were left out for it")},
		{"Methods: data", "13", "Image acquisition", "image acquisition protocol", yours},

		{"Methods: reference standard", "14", "Definition", "how the reference standard was obtained", yours},
		{"Methods: reference standard", "15", "Rationale", "why this reference standard", yours},
		{"Methods: reference standard", "16", "Source of annotations", "source of the annotations of the reference standard", yours},
		{"Methods: reference standard", "17", "Annotation of the test set", "how the test set was annotated", yours},
		{"Methods: reference standard", "18", "Variability", "inter- and intrarater variability of what annotators described", yours},

		{"Methods: data partitions", "19", "Assignment", "how data were assigned to partitions", at("methods.md, Evaluation; uc.lock lists the cases of each fold", "")},
		{"Methods: data partitions", "20", "Level of disjointness", "level at which partitions are disjoint", func(f *Facts) (string, string) {
			if f.Report.Patients > 0 {
				return "patients are declared in dataset.json; folds that mix them are named among the warnings (model-card.md, Caveats)", "that the declaration is complete"
			}
			return "cases; dataset.json names no patients, so that the program could not keep them together", "whether a patient has several cases"
		}},

		{"Methods: testing data", "21", "Sample size", "intended sample size and how it was determined", yours},

		{"Methods: model", "22", "Model", "detailed description: inputs, outputs, layers, connections", at("methods.md, Network and training; layers as published for I3D", "")},
		{"Methods: model", "23", "Software", "libraries, frameworks and packages", at("methods.md, Software and reproducibility; uc.lock", "")},
		{"Methods: model", "24", "Initialisation", "initialisation of model parameters", at("methods.md, Network and training; seeds in uc.lock", "")},

		{"Methods: training", "25", "Training", "training approach: augmentation, hyperparameters, number of models", at("methods.md, Network and training; tables/settings.csv; figures/training", "")},
		{"Methods: training", "26", "Final model", "method of selecting the final model", at("the last weights of each training: methods.md, Evaluation", "whether you chose between trainings or recipes")},
		{"Methods: training", "27", "Ensembling", "ensembling techniques", func(f *Facts) (string, string) {
			text := "none in these results: one network per case"
			if f.recipe.MirrorValidation {
				text += ", mean over its mirror images"
			}
			return text + "; new cases are predicted with the mean over the folds", ""
		}},

		{"Methods: evaluation", "28", "Metrics", "metrics of model performance", at("methods.md, Evaluation", "")},
		{"Methods: evaluation", "29", "Uncertainty", "statistical measures of significance and uncertainty", at("methods.md, Evaluation", "")},
		{"Methods: evaluation", "30", "Robustness", "robustness or sensitivity analysis", func(f *Facts) (string, string) {
			if f.subgroups() {
				return "by subgroup: tables/subgroups.csv", "further analyses"
			}
			return yours(f)
		}},
		{"Methods: evaluation", "31", "Explainability", "methods for explainability or interpretability", at("none in these files", "any that you used, and how they were validated")},
		{"Methods: evaluation", "32", "Internal data", "evaluation on internal data", at("cross-validation: methods.md, Evaluation", "")},
		{"Methods: evaluation", "33", "External data", "testing on external data, or its lack as a limitation", at("none in these results", "results of an external test set, or name its lack as a limitation")},
		{"Methods: evaluation", "34", "Registration", "clinical trial registration", yours},

		{"Results: data", "35", "Flow", "numbers of patients or examinations included and excluded", at("included: tables/cohort.csv", "excluded, and why")},
		{"Results: data", "36", "Characteristics", "demographic and clinical characteristics in each partition", at("classes by fold: tables/cohort.csv", "demographic and clinical characteristics")},

		{"Results: model performance", "37", "Performance", "metrics and measures of uncertainty", at("tables/performance.csv, tables/folds.csv, figures", "")},
		{"Results: model performance", "38", "Diagnostic performance", "estimates of diagnostic performance and their precision", at("tables/performance.csv: sensitivity and specificity with intervals", "")},
		{"Results: model performance", "39", "Failure analysis", "analysis of incorrect results", at("numbers only: figures/confusion, tables/confusion.csv", "what the wrong cases have in common")},

		{"Discussion", "40", "Limitations", "limitations of the study", func(f *Facts) (string, string) {
			if len(f.Report.Warnings) > 0 {
				return "model-card.md, Caveats: what the program warned of", "all others"
			}
			return yours(f)
		}},
		{"Discussion", "41", "Implications", "implications for practice, intended use, clinical role", yours},

		{"Other information", "42", "Protocol", "reference to the full protocol or to additional technical details", at("technical details: uc.lock, tables/settings.csv", "the protocol")},
		{"Other information", "43", "Availability", "availability of software, trained model and data", at("software: references.bib, entry uc", "the trained model and the data")},
		{"Other information", "44", "Funding", "sources of funding and other support, role of funders", yours},
	},
}
