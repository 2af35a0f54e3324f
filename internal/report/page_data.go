package report

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/readable"
)

// jsonNumber is a number with four decimals, null if it is not finite.
type jsonNumber float64

// MarshalJSON implements json.Marshaler.
func (n jsonNumber) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if !numeric.Finite(v) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, math.Round(1e4*v)/1e4, 'f', -1, 64), nil
}

func numbers(values []float64) []jsonNumber {
	out := make([]jsonNumber, len(values))
	for i, v := range values {
		out[i] = jsonNumber(v)
	}
	return out
}

func numberRows(rows [][]float64) [][]jsonNumber {
	var out [][]jsonNumber
	for _, row := range rows {
		out = append(out, numbers(row))
	}
	return out
}

// pageData is what the page's script works with.
type pageData struct {
	Labels    []dataLabel       `json:"labels"`
	Groupings []string          `json:"groupings"`
	Cases     []dataCase        `json:"cases"`
	Walks     map[string][]walk `json:"walks"` // by figure
	Gallery   [][]int           `json:"gallery"`
	Viewer    bool              `json:"viewer"` // the page carries one
	Live      *Live             `json:"live,omitempty"`
	Doubt     string            `json:"doubt"` // what makes a case doubtful, in words
}

type dataLabel struct {
	Name    string   `json:"name"`
	Classes []string `json:"classes"`
}

// dataCase is a case. Names are readable; ID is the name as it is.
type dataCase struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Fold          string            `json:"fold,omitempty"`
	Targets       []int             `json:"targets"`
	Predicted     []int             `json:"predicted"`
	Probabilities [][]jsonNumber    `json:"p"`
	Calibrated    [][]jsonNumber    `json:"calibrated,omitempty"`
	Doubtful      []string          `json:"doubtful"` // per label why, "" where it is not
	Sets          [][]int           `json:"sets,omitempty"`
	Members       *dataMembers      `json:"members,omitempty"`
	Groups        map[string]string `json:"groups,omitempty"`
	Details       []Detail          `json:"details,omitempty"`
	Scan          *dataScan         `json:"scan,omitempty"`
}

// dataMembers are the probabilities of every network and mirror image: (labels, members, classes).
type dataMembers struct {
	Folds   int              `json:"folds"`
	Mirrors int              `json:"mirrors"`
	P       [][][]jsonNumber `json:"p"`
}

// dataScan is what is known of a scan besides its voxels.
type dataScan struct {
	Problem string      `json:"problem,omitempty"`
	Size    [3]int      `json:"size"`
	Affine  [12]float64 `json:"affine"`
	Layers  []Layer     `json:"layers"`
	Thumb   string      `json:"thumb,omitempty"`
	Slices  string      `json:"slices,omitempty"`
	About   string      `json:"about,omitempty"`
	Live    bool        `json:"live,omitempty"` // the voxels are served
}

// Kinds of Layer.
const (
	LayerImage = "image"
	LayerROI   = "roi"
	LayerHeat  = "heat"
)

// Layer is a volume of a scan: value = Slope * voxel + Inter.
type Layer struct {
	Kind  string  `json:"kind"`
	Name  string  `json:"name"`
	Slope float64 `json:"slope"`
	Inter float64 `json:"inter"`
}

// content arranges a report for the template and for the script.
func (p *Page) content(r *evaluate.Report) (*shown, *pageData) {
	s := &shown{Report: r, Title: cmp.Or(r.Task, "Evaluation"), Viewer: p.viewer(), Live: p.Live != nil, ScanNote: p.scanNote(r), Gallery: maxGallery}
	d := &pageData{Walks: map[string][]walk{}, Viewer: p.viewer(), Live: p.Live, Cases: []dataCase{}, Labels: []dataLabel{}, Gallery: [][]int{}, Groupings: []string{}}
	for at, l := range r.Labels {
		classes := make([]string, len(l.ClassNames))
		for i, name := range l.ClassNames {
			classes[i] = readable.Name(name)
		}
		d.Labels = append(d.Labels, dataLabel{readable.Name(l.Name), classes})
		s.Sections = append(s.Sections, newSection(r, at, d.Walks))
		d.Gallery = append(d.Gallery, confidentErrors(r, at))
	}
	groupings := map[string]bool{}
	d.Doubt = doubtRule(r)
	for i := range r.Predictions {
		c := p.dataCase(r, &r.Predictions[i])
		for name := range c.Groups {
			groupings[name] = true
		}
		d.Cases = append(d.Cases, c)
	}
	d.Groupings = append(d.Groupings, slices.Sorted(maps.Keys(groupings))...)
	return s, d
}

// maxWithMembers is how many cases at most have the numbers of every member on the page.
const maxWithMembers = 2000

func (p *Page) dataCase(r *evaluate.Report, c *evaluate.Prediction) dataCase {
	out := dataCase{ID: c.Case, Name: readable.Name(c.Case), Fold: readable.Name(c.Fold), Targets: c.Targets, Probabilities: numberRows(c.Probabilities),
		Calibrated: numberRows(c.Calibrated)}
	for at := range c.Probabilities {
		out.Predicted = append(out.Predicted, evaluate.Argmax(c.Probabilities[at]))
		out.Doubtful = append(out.Doubtful, doubts(r, c, at))
		if c.Doubt != nil && at < len(c.Doubt.Labels) && c.Doubt.Labels[at].Set != nil {
			for len(out.Sets) < at {
				out.Sets = append(out.Sets, nil)
			}
			out.Sets = append(out.Sets, c.Doubt.Labels[at].Set)
		}
	}
	if m := c.Members; m != nil && len(r.Predictions) <= maxWithMembers {
		out.Members = &dataMembers{Folds: m.Folds, Mirrors: m.Mirrors}
		for _, label := range m.Logits {
			var of [][]jsonNumber
			for _, logits := range label {
				wide := make([]float64, len(logits))
				for i, v := range logits {
					wide[i] = float64(v)
				}
				of = append(of, numbers(evaluate.Softmax(wide)))
			}
			out.Members.P = append(out.Members.P, of)
		}
	}
	for name, group := range c.Groups {
		if out.Groups == nil {
			out.Groups = map[string]string{}
		}
		out.Groups[readable.Name(name)] = readable.Name(group)
	}
	details := p.Details[c.Case]
	if c.Patient != "" && !slices.ContainsFunc(details, func(d Detail) bool { return d.Name == "patient" }) {
		details = append([]Detail{{"patient", c.Patient}}, details...)
	}
	for _, d := range details {
		out.Details = append(out.Details, Detail{readable.Name(d.Name), readable.Name(d.Text)})
	}
	if scan := p.Scans[c.Case]; scan != nil {
		out.Scan = newDataScan(scan)
	} else if p.Live != nil && slices.Contains(p.Live.Scans, c.Case) {
		out.Scan = &dataScan{Live: true}
	}
	return out
}

// layersOf are the volumes of a scan in the order in which they stand on the page.
func layersOf(c *preview.Case) []preview.Layer {
	all := slices.Clone(c.Images)
	if c.ROI != nil {
		all = append(all, *c.ROI)
	}
	return append(all, c.Heats...)
}

func newDataScan(c *preview.Case) *dataScan {
	s := &dataScan{Problem: readable.Sentence(c.Problem), Size: c.Size, Affine: c.Affine, About: aboutScan(c)}
	for i := range s.Affine {
		s.Affine[i] = math.Round(1e4*s.Affine[i]) / 1e4
	}
	for k, l := range layersOf(c) {
		kind := LayerHeat
		switch {
		case k < len(c.Images):
			kind = LayerImage
		case c.ROI != nil && k == len(c.Images):
			kind = LayerROI
		}
		s.Layers = append(s.Layers, Layer{kind, readable.Name(l.Name), l.Slope, l.Inter})
	}
	if c.Problem == "" {
		s.Thumb, s.Slices = dataURI(c.Thumb), dataURI(c.Slices)
	}
	return s
}

func dataURI(jpeg []byte) string {
	if len(jpeg) == 0 {
		return ""
	}
	return "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(jpeg)
}

// aboutScan says in what a copy differs from the scan.
func aboutScan(c *preview.Case) string {
	if c.Problem != "" {
		return ""
	}
	mm := func(s [3]float64) string {
		return fmt.Sprintf("%.3g × %.3g × %.3g mm", s[2], s[1], s[0])
	}
	text := "A copy with 8 bits a voxel"
	if c.Cropped {
		text += ", cropped to the region of interest and its surroundings"
	}
	if c.Reduced {
		text += fmt.Sprintf(", averaged to voxels of %s (the scan has %s)", mm(c.Spacing), mm(c.Original))
	} else {
		text += fmt.Sprintf(", with the scan's own voxels of %s", mm(c.Original))
	}
	text += "."
	if c.NoHeat != "" {
		text += " No heat map: " + readable.Sentence(c.NoHeat) + "."
	}
	return text
}

// scanNote says what the copies of all cases are.
func (p *Page) scanNote(r *evaluate.Report) string {
	if p.Live != nil {
		return fmt.Sprintf("Scans are shown as they are, of %d of the %d cases.", len(p.Live.Scans), len(r.Predictions))
	}
	if p.Scans == nil {
		return ""
	}
	n, reduced, coarsest, cropped, broken := 0, 0, 0.0, 0, 0
	for _, c := range p.Scans {
		switch {
		case c == nil:
		case c.Problem != "":
			broken++
		default:
			n++
			if c.Cropped {
				cropped++
			}
			if c.Reduced {
				reduced++
				coarsest = max(coarsest, c.Spacing[0], c.Spacing[1], c.Spacing[2])
			}
		}
	}
	text := fmt.Sprintf("The page holds copies of the scans of %d of the %d cases, with 8 bits a voxel", n, len(r.Predictions))
	if cropped > 0 {
		text += fmt.Sprintf(", %d of them cropped to the region of interest and its surroundings", cropped)
	}
	if reduced > 0 {
		text += fmt.Sprintf(", %d averaged to coarser voxels (of at most %.2g mm)", reduced, coarsest)
	}
	text += fmt.Sprintf(", so that it stays below %d MB.", MaxBytes/1_000_000)
	if broken > 0 {
		text += fmt.Sprintf(" %d scans could not be read; their cases say why.", broken)
	}
	if left := len(r.Predictions) - n - broken; left > 0 {
		text += fmt.Sprintf(" %d cases have none: wrong and doubtful cases come first.", left)
	}
	return text
}

// margin below which the two highest probabilities make a case doubtful, where nothing better is known.
const margin = 0.2

func doubtRule(r *evaluate.Report) string {
	for _, c := range r.Predictions {
		if c.Doubt != nil {
			return "Doubtful: the prediction set holds no or several classes, the case looks unlike the others, or fewer than four in five of the networks and mirror images agree."
		}
	}
	return fmt.Sprintf("Doubtful: the two highest probabilities are less than %g apart.", margin)
}

// agreed is the share of members below which a case is doubtful.
const agreed = 0.8

// doubts says why a case is doubtful, "" if it is not.
func doubts(r *evaluate.Report, c *evaluate.Prediction, at int) string {
	if c.Doubt == nil {
		if p := slices.Sorted(slices.Values(c.Probabilities[at])); len(p) > 1 && p[len(p)-1]-p[len(p)-2] < margin {
			return "the two highest probabilities are close"
		}
		return ""
	}
	var why []string
	if at < len(c.Doubt.Labels) {
		d := c.Doubt.Labels[at]
		if d.Set != nil && len(d.Set) != 1 {
			switch len(d.Set) {
			case 0:
				why = append(why, "no class fits well")
			default:
				why = append(why, fmt.Sprintf("%d classes fit", len(d.Set)))
			}
		}
		if d.Agreement.Defined() && d.Agreement < agreed {
			why = append(why, fmt.Sprintf("%.0f %% of the networks and mirror images agree", 100*float64(d.Agreement)))
		}
	}
	if o := c.Doubt.Outlier; o != nil && o.Flag {
		text := "unlike the other cases"
		if len(o.Reasons) > 0 {
			text += " (" + readable.Name(strings.Join(o.Reasons, "; ")) + ")"
		}
		why = append(why, text)
	}
	return strings.Join(why, "; ")
}

// maxGallery is how many errors a gallery shows.
const maxGallery = 10

// confidentErrors are the cases that were given the highest probability of a wrong class, as places in r.Predictions.
func confidentErrors(r *evaluate.Report, at int) []int {
	wrong := []int{}
	for i, c := range r.Predictions {
		if evaluate.Argmax(c.Probabilities[at]) != c.Targets[at] {
			wrong = append(wrong, i)
		}
	}
	slices.SortStableFunc(wrong, func(a, b int) int {
		return cmp.Compare(slices.Max(r.Predictions[b].Probabilities[at]), slices.Max(r.Predictions[a].Probabilities[at]))
	})
	return wrong[:min(len(wrong), maxGallery)]
}

// Order lists the cases in the order in which readers will want their scans: the most confident errors of every label,
// other wrong cases, doubtful ones, the rest.
func Order(r *evaluate.Report) []string {
	rank := make([]int, len(r.Predictions))
	for i := range r.Predictions {
		c := &r.Predictions[i]
		rank[i] = 3
		for at := range r.Labels {
			switch {
			case evaluate.Argmax(c.Probabilities[at]) != c.Targets[at]:
				rank[i] = min(rank[i], 1)
			case doubts(r, c, at) != "":
				rank[i] = min(rank[i], 2)
			}
		}
	}
	for at := range r.Labels {
		for _, i := range confidentErrors(r, at) {
			rank[i] = 0
		}
	}
	order := make([]int, len(rank))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	ids := make([]string, len(order))
	for k, i := range order {
		ids[k] = r.Predictions[i].Case
	}
	return ids
}

// shown is what the template shows.
type shown struct {
	*evaluate.Report
	Title    string
	Sections []section
	Viewer   bool
	Live     bool
	ScanNote string
	Gallery  int
}

// section is what the page shows of one label.
type section struct {
	evaluate.LabelReport
	At      int
	Folds   []foldRow
	Figures []pageFigure
	Matrix  bool // the confusion matrix is small enough for shades
	Errors  int
}

type foldRow struct {
	Fold  string
	Cases int
	Label evaluate.LabelReport
}

// pageFigure is a figure with what helps to read it.
type pageFigure struct {
	ID, Title, Shows, Good, Bad string
	SVG                         template.HTML
	Walk                        bool
}

func newSection(r *evaluate.Report, at int, walks map[string][]walk) section {
	l := r.Labels[at]
	s := section{LabelReport: l, At: at, Matrix: len(l.ClassNames) <= maxConfusion}
	for i, row := range l.Confusion {
		for k, n := range row {
			if k != i {
				s.Errors += n
			}
		}
	}
	for _, f := range r.PerFold {
		s.Folds = append(s.Folds, foldRow{Fold: f.Fold, Cases: f.Cases, Label: f.Labels[at]})
	}
	for _, d := range figuresOf(l, at, r.Predictions) {
		f := texts[d.Kind]
		f.ID = fmt.Sprintf("%d-%s", at, d.Kind)
		var b bytes.Buffer
		if err := d.Figure.SVG(&b); err != nil {
			f.SVG = template.HTML("<p>" + template.HTMLEscapeString("This figure cannot be drawn: "+err.Error()) + "</p>")
		} else {
			f.SVG = template.HTML(b.String()) // names in it are escaped
			walks[f.ID] = d.Walks
			f.Walk = len(d.Walks) > 0
		}
		s.Figures = append(s.Figures, f)
	}
	return s
}

// texts help to read the figures.
var texts = map[string]pageFigure{
	"roc": {Title: "ROC curve",
		Shows: "How many cases of the class are found (upwards) at the price of how many false alarms (to the right), for every threshold of the probability.",
		Good:  "The curve rises steeply along the left edge to the upper left corner: an area near 1.",
		Bad:   "The curve follows the dashed diagonal, as chance does: an area of 0.5. With few cases it has few, large steps, and a wide interval."},
	"calibration": {Title: "Calibration",
		Shows: "How often cases were of the class (upwards) among those given about the same probability of it (to the right); bars are 95 % intervals.",
		Good:  "Points lie on the dashed diagonal within their bars: of the cases given 80 %, 80 % are of the class.",
		Bad:   "A flat curve, or an S: probabilities are too extreme. Points below the diagonal: the class is expected too often."},
	"decision": {Title: "Decision curve",
		Shows: "What acting on the probability gains over acting on nobody, in true positives per case, if a false alarm costs as much as the threshold says.",
		Good:  "Over the thresholds that matter to you, the curve lies above both acting on every case and acting on none (0).",
		Bad:   "The curve touches or crosses one of these lines: at that threshold the network does not help to decide."},
}
