package paper

import (
	"fmt"
	"slices"
	"strings"
)

// reference is an entry of the bibliography: its BibTeX type and fields, in which braces and accents are BibTeX's.
type reference struct {
	kind   string
	fields [][2]string
}

// bibliography is references.bib with the works of the keys, sorted.
func bibliography(keys []string) (string, error) {
	var b strings.Builder
	for _, key := range slices.Sorted(slices.Values(keys)) {
		r, ok := references[key]
		if !ok {
			return "", fmt.Errorf("no reference %q", key)
		}
		fmt.Fprintf(&b, "@%s{%s,\n", r.kind, key)
		for _, f := range r.fields {
			fmt.Fprintf(&b, "  %-9s = {%s},\n", f[0], f[1])
		}
		b.WriteString("}\n\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// references are the works that the methods may cite. Pages, volumes and DOIs are those of the publishers.
var references = map[string]reference{
	"carreira2017": {"inproceedings", [][2]string{
		{"author", `Carreira, Jo{\~a}o and Zisserman, Andrew`},
		{"title", `Quo Vadis, Action Recognition? {A} New Model and the {Kinetics} Dataset`},
		{"booktitle", `2017 {IEEE} Conference on Computer Vision and Pattern Recognition ({CVPR})`},
		{"pages", `4724--4733`}, {"year", `2017`}, {"doi", `10.1109/CVPR.2017.502`}}},
	"isensee2021": {"article", [][2]string{
		{"author", `Isensee, Fabian and Jaeger, Paul F. and Kohl, Simon A. A. and Petersen, Jens and Maier-Hein, Klaus H.`},
		{"title", `{nnU-Net}: a self-configuring method for deep learning-based biomedical image segmentation`},
		{"journal", `Nature Methods`}, {"volume", `18`}, {"number", `2`}, {"pages", `203--211`}, {"year", `2021`}, {"doi", `10.1038/s41592-020-01008-z`}}},
	"delong1988": {"article", [][2]string{
		{"author", `DeLong, Elizabeth R. and DeLong, David M. and Clarke-Pearson, Daniel L.`},
		{"title", `Comparing the areas under two or more correlated receiver operating characteristic curves: a nonparametric approach`},
		{"journal", `Biometrics`}, {"volume", `44`}, {"number", `3`}, {"pages", `837--845`}, {"year", `1988`}, {"doi", `10.2307/2531595`}}},
	"obuchowski1997": {"article", [][2]string{
		{"author", `Obuchowski, Nancy A.`}, {"title", `Nonparametric analysis of clustered {ROC} curve data`},
		{"journal", `Biometrics`}, {"volume", `53`}, {"number", `2`}, {"pages", `567--578`}, {"year", `1997`}, {"doi", `10.2307/2533958`}}},
	"newcombe2006": {"article", [][2]string{
		{"author", `Newcombe, Robert G.`},
		{"title", `Confidence intervals for an effect size measure based on the {Mann--Whitney} statistic. {Part} 2: asymptotic methods and evaluation`},
		{"journal", `Statistics in Medicine`}, {"volume", `25`}, {"number", `4`}, {"pages", `559--573`}, {"year", `2006`}, {"doi", `10.1002/sim.2324`}}},
	"wilson1927": {"article", [][2]string{
		{"author", `Wilson, Edwin B.`}, {"title", `Probable inference, the law of succession, and statistical inference`},
		{"journal", `Journal of the American Statistical Association`}, {"volume", `22`}, {"number", `158`}, {"pages", `209--212`}, {"year", `1927`},
		{"doi", `10.1080/01621459.1927.10502953`}}},
	"rao1992": {"article", [][2]string{
		{"author", `Rao, J. N. K. and Scott, A. J.`}, {"title", `A simple method for the analysis of clustered binary data`},
		{"journal", `Biometrics`}, {"volume", `48`}, {"number", `2`}, {"pages", `577--585`}, {"year", `1992`}, {"doi", `10.2307/2532311`}}},
	"robin2011": {"article", [][2]string{
		{"author", `Robin, Xavier and Turck, Natacha and Hainard, Alexandre and Tiberti, Natalia and Lisacek, Fr{\'e}d{\'e}rique and Sanchez, Jean-Charles and M{\"u}ller, Markus`},
		{"title", `{pROC}: an open-source package for {R} and {S+} to analyze and compare {ROC} curves`},
		{"journal", `BMC Bioinformatics`}, {"volume", `12`}, {"pages", `77`}, {"year", `2011`}, {"doi", `10.1186/1471-2105-12-77`}}},
	"loshchilov2019": {"inproceedings", [][2]string{
		{"author", `Loshchilov, Ilya and Hutter, Frank`}, {"title", `Decoupled Weight Decay Regularization`},
		{"booktitle", `7th International Conference on Learning Representations ({ICLR})`}, {"year", `2019`}, {"url", `https://openreview.net/forum?id=Bkg6RiCqY7`}}},
	"loshchilov2017": {"inproceedings", [][2]string{
		{"author", `Loshchilov, Ilya and Hutter, Frank`}, {"title", `{SGDR}: Stochastic Gradient Descent with Warm Restarts`},
		{"booktitle", `5th International Conference on Learning Representations ({ICLR})`}, {"year", `2017`}, {"url", `https://openreview.net/forum?id=Skq89Scxx`}}},
	"polyak1992": {"article", [][2]string{
		{"author", `Polyak, B. T. and Juditsky, A. B.`}, {"title", `Acceleration of stochastic approximation by averaging`},
		{"journal", `SIAM Journal on Control and Optimization`}, {"volume", `30`}, {"number", `4`}, {"pages", `838--855`}, {"year", `1992`}, {"doi", `10.1137/0330046`}}},
	"guo2017": {"inproceedings", [][2]string{
		{"author", `Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.`}, {"title", `On Calibration of Modern Neural Networks`},
		{"booktitle", `Proceedings of the 34th International Conference on Machine Learning`}, {"series", `Proceedings of Machine Learning Research`},
		{"volume", `70`}, {"pages", `1321--1330`}, {"year", `2017`}}},
	"brier1950": {"article", [][2]string{
		{"author", `Brier, Glenn W.`}, {"title", `Verification of forecasts expressed in terms of probability`},
		{"journal", `Monthly Weather Review`}, {"volume", `78`}, {"number", `1`}, {"pages", `1--3`}, {"year", `1950`}}},
	"vickers2006": {"article", [][2]string{
		{"author", `Vickers, Andrew J. and Elkin, Elena B.`}, {"title", `Decision curve analysis: a novel method for evaluating prediction models`},
		{"journal", `Medical Decision Making`}, {"volume", `26`}, {"number", `6`}, {"pages", `565--574`}, {"year", `2006`}, {"doi", `10.1177/0272989X06295361`}}},
	"holm1979": {"article", [][2]string{
		{"author", `Holm, Sture`}, {"title", `A simple sequentially rejective multiple test procedure`},
		{"journal", `Scandinavian Journal of Statistics`}, {"volume", `6`}, {"number", `2`}, {"pages", `65--70`}, {"year", `1979`}}},
	"collins2024": {"article", [][2]string{
		{"author", `Collins, Gary S. and Moons, Karel G. M. and Dhiman, Paula and Riley, Richard D. and Beam, Andrew L. and Van Calster, Ben and others`},
		{"title", `{TRIPOD+AI} statement: updated guidance for reporting clinical prediction models that use regression or machine learning methods`},
		{"journal", `BMJ`}, {"volume", `385`}, {"pages", `e078378`}, {"year", `2024`}, {"doi", `10.1136/bmj-2023-078378`}}},
	"tejani2024": {"article", [][2]string{
		{"author", `Tejani, Ali S. and Klontzas, Michail E. and Gatti, Anthony A. and Mongan, John T. and Moy, Linda and Park, Seong Ho and Kahn, Charles E.`},
		{"title", `Checklist for Artificial Intelligence in Medical Imaging ({CLAIM}): 2024 Update`},
		{"journal", `Radiology: Artificial Intelligence`}, {"volume", `6`}, {"number", `4`}, {"pages", `e240300`}, {"year", `2024`}, {"doi", `10.1148/ryai.240300`}}},
	"mitchell2019": {"inproceedings", [][2]string{
		{"author", `Mitchell, Margaret and Wu, Simone and Zaldivar, Andrew and Barnes, Parker and Vasserman, Lucy and Hutchinson, Ben and Spitzer, Elena and Raji, Inioluwa Deborah and Gebru, Timnit`},
		{"title", `Model Cards for Model Reporting`},
		{"booktitle", `Proceedings of the Conference on Fairness, Accountability, and Transparency ({FAT*} '19)`}, {"pages", `220--229`}, {"year", `2019`}, {"doi", `10.1145/3287560.3287596`}}},
	"uc": {"misc", [][2]string{
		{"author", `{The uc contributors}`}, {"title", `uc: a universal classifier for {3D} medical images`},
		{"howpublished", `Computer program`}, {"url", `https://github.com/universal-classifier/uc`}}},
	"auc23": {"misc", [][2]string{
		{"author", `{Diagnostic Image Analysis Group}`}, {"title", `Universal-classifier: baseline algorithm of the {AUC23} challenge`},
		{"howpublished", `Python package universalclassifier, Radboud University Medical Center, Nijmegen`}, {"year", `2023`},
		{"url", `https://auc23.grand-challenge.org`}}},
	"gorgonia": {"misc", [][2]string{
		{"author", `{The Gorgonia authors}`}, {"title", `Gorgonia: a library that helps facilitate machine learning in {Go}`},
		{"howpublished", `Computer program`}, {"url", `https://gorgonia.org`}}},
}
