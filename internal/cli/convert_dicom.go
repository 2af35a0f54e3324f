package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/dicom"
	"github.com/universal-classifier/uc/internal/memory"
)

type convertDICOMFlags struct {
	options dicom.Options
	split   []string
	memory  string
	json    bool
}

func convertDICOMCommand() *cobra.Command {
	var f convertDICOMFlags
	cmd := &cobra.Command{
		Use:   "dicom SRC...",
		Short: "Turn DICOM series into NIfTI images without patients' names",
		Long: `Looks through folder trees (and single files) for DICOM images, whatever they are called, and writes every series that is a volume
as CASE_0000.nii.gz: slices sorted along their normal, values rescaled slice by slice, placed in space as ITK and dcm2niix do. Classic and
enhanced CT, MR and PET are read, uncompressed, deflated, RLE or JPEG Baseline.

Nothing is mended in silence. A series with gaps, duplicate positions, several matrices, orientations, echoes or time points, with
localizers among its images, in colour, or with a tilted gantry is refused, and the reason is told. Files that are not DICOM images
are counted and named.

Images carry no patient's data: cases are named by a counter, or by an attribute that --name-by chooses. Which case is which patient
is in a CSV file next to the source; keep it there. Conversions of the same source again add to it, give the same series the same
names, and leave images alone whose files have not changed.`,
		Example: `  uc convert dicom export -o imagesTr --dry-run
  uc convert dicom export -o imagesTr --modality CT --series-description venous --min-slices 20
  uc convert dicom cd1 cd2 -o imagesTr --name-by AccessionNumber --mapping private/mapping.csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("missing argument SRC")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runConvertDICOM(cmd, &f, args) },
	}
	fs := cmd.Flags()
	o := &f.options
	fs.StringVarP(&o.Out, "output_folder", "o", "", "`DIR` for the images; required")
	fs.StringVar(&o.NameBy, "name-by", dicom.Counter, "what names the cases: `ATTRIBUTE` "+strings.Join(dicom.NamingNames(), ", ")+"; all but letters, digits, dots and dashes becomes a dash")
	fs.StringVar(&o.Mapping, "mapping", "", "`FILE` (CSV) that links cases to patients (default: SRC_mapping.csv next to the first SRC)")
	fs.IntVar(&o.Channel, "channel", 0, "the modality's number `N` in file names, for tasks with several modalities; convert one modality at a time and --name-by the same attribute")
	fs.StringSliceVar(&o.Modalities, "modality", nil, "take series of these `MODALITIES` alone: CT, MR, PT, ...")
	list(fs, "modality")
	fs.StringVar(&o.Description, "series-description", "", "take series alone whose description holds `TEXT`, in small or capital letters")
	fs.IntVar(&o.MinSlices, "min-slices", 2, "skip series of fewer than `N` images")
	fs.StringSliceVar(&f.split, "split", nil, "make volumes of their own of the images of a series that differ in `WHAT`: "+strings.Join(dicom.SplitNames(), ", "))
	list(fs, "split")
	fs.BoolVar(&o.KeepTilt, "keep-tilt", false, "keep volumes of a tilted gantry, sheared as they were scanned; only the sform of the image tells of the shear")
	fs.BoolVar(&o.DryRun, "dry-run", false, "tell what would become of every series, and write nothing")
	fs.IntVar(&o.Workers, "threads", 0, "`N` series at a time (default: one per processor)")
	fs.StringVar(&f.memory, "memory", "", "memory `SIZE` for volumes (8G, 500M; default 70% of the free memory); a series that needs more fails")
	noWaitFlag(cmd, &o.NoWait)
	jsonFlag(cmd, &f.json)
	return cmd
}

// check finds mistakes that need no look at the data.
func (f *convertDICOMFlags) check(cmd *cobra.Command) error {
	o := &f.options
	switch {
	case o.Out == "":
		return usagef("missing -o DIR")
	case !slices.Contains(dicom.NamingNames(), o.NameBy):
		return usagef("flag --name-by: unknown %q: expected %s", o.NameBy, strings.Join(dicom.NamingNames(), ", "))
	case o.Channel < 0 || o.Channel > 9999:
		return usagef("flag --channel: %d, expected 0 to 9999", o.Channel)
	case o.Channel > 0 && o.NameBy == dicom.Counter:
		return usagef("flag --channel: a counter would pair images of different patients; add --name-by with what a patient's images have in common")
	case o.MinSlices < 1:
		return usagef("flag --min-slices: %d is less than 1", o.MinSlices)
	}
	var err error
	if o.Split, err = dicom.ParseSplit(f.split); err != nil {
		return usagef("flag --split: %v", err)
	}
	if f.memory != "" {
		if o.Memory, err = memory.Parse(f.memory); err != nil {
			return usagef("flag --memory: %v", err)
		}
	}
	return checkThreads(cmd, o.Workers)
}

func runConvertDICOM(cmd *cobra.Command, f *convertDICOMFlags, sources []string) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	f.options.Memory = cmp.Or(f.options.Memory, memory.Default())
	defer limitHeap(f.options.Memory)()
	r, err := dicom.Convert(cmd.Context(), sources, f.options, d)
	if r == nil {
		return err
	}
	d.Close()
	if printErr := printSeries(hints{cmd}, cmd.OutOrStdout(), r, f.json); printErr != nil {
		return errors.Join(err, printErr)
	}
	return errors.Join(err, seriesError(r))
}

// seriesError says what of a conversion could not be done.
func seriesError(r *dicom.Result) error {
	var parts []string
	if n := r.Count(dicom.Refused); n > 0 {
		parts = append(parts, fmt.Sprintf("%d refused", n))
	}
	if n := r.Count(dicom.Failed); n > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", n))
	}
	unreadable := ""
	if n := len(r.Unreadable); n > 0 {
		unreadable = fmt.Sprintf("%d DICOM files cannot be read; a series may lack them", n)
	}
	switch {
	case len(r.Outcomes) == 0 && unreadable == "":
		for _, i := range r.Ignored {
			if i.Kind == dicom.Directory {
				return errors.New("no DICOM image found; name the folder of the images that the DICOMDIR lists")
			}
		}
		return errors.New("no DICOM image found")
	case len(parts) > 0:
		text := fmt.Sprintf("of %d series %s, see above; leave out series that are not wanted with --modality, --series-description and --min-slices", len(r.Outcomes), strings.Join(parts, " and "))
		if unreadable != "" {
			text += "; " + unreadable
		}
		return errors.New(text)
	case unreadable != "":
		return errors.New(unreadable)
	case r.Count(dicom.Skipped) == len(r.Outcomes):
		return fmt.Errorf("all %d series were skipped, see above", len(r.Outcomes))
	}
	return nil
}

// convertedSeries is a series in the answer of uc convert dicom --json.
type convertedSeries struct {
	Status       dicom.Status    `json:"status"`
	Case         string          `json:"case,omitempty"`
	Image        string          `json:"image,omitempty"`
	Reasons      []seriesProblem `json:"reasons"`
	SeriesUID    string          `json:"series_uid"`
	Part         string          `json:"part,omitempty"`
	Modality     string          `json:"modality"`
	SeriesNumber string          `json:"series_number"`
	Description  string          `json:"series_description"`
	Folder       string          `json:"folder"`
	Slices       int             `json:"slices"`
	Size         [3]int          `json:"size"`    // x, y, z
	Spacing      [3]float64      `json:"spacing"` // mm along x, y, z
	Tilt         float64         `json:"tilt"`    // degrees
	Notes        []string        `json:"notes"`
}

// seriesProblem is a reason why a series is not converted.
type seriesProblem struct {
	Kind   string   `json:"kind"`
	Reason string   `json:"reason"`
	Files  []string `json:"files"`
}

// unreadableFile is a file that cannot be read as DICOM, and why.
type unreadableFile struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// convertedFolder is what uc convert dicom --json prints.
type convertedFolder struct {
	Series     []convertedSeries `json:"series"`
	Images     int               `json:"dicom_images"`
	Ignored    []dicom.Ignored   `json:"ignored"`
	Unreadable []unreadableFile  `json:"unreadable"`
	Mapping    string            `json:"mapping"`
}

func newConvertedSeries(h hints, x *dicom.Outcome) convertedSeries {
	s := x.Series
	g := s.Geometry
	c := convertedSeries{
		Status: x.Status, Case: x.Case, Image: x.Image, Reasons: []seriesProblem{}, SeriesUID: s.SeriesUID, Part: s.Part, Modality: s.Modality,
		SeriesNumber: s.SeriesNumber, Description: s.Description, Folder: s.Folder, Slices: s.Slices, Tilt: s.Tilt,
		Size: [3]int{g.Size[2], g.Size[1], g.Size[0]}, Spacing: [3]float64{g.Spacing[2], g.Spacing[1], g.Spacing[0]},
		Notes: append([]string{}, s.Notes...),
	}
	switch {
	case x.Status == dicom.Refused:
		for _, r := range s.Refusals {
			c.Reasons = append(c.Reasons, seriesProblem{r.Kind, h.add(r.Reason, r.For), append([]string{}, r.Files...)})
		}
	case x.Reason != "":
		c.Reasons = append(c.Reasons, seriesProblem{string(x.Status), h.add(x.Reason, x.For), append([]string{}, x.Files...)})
	}
	return c
}

func printSeries(h hints, w io.Writer, r *dicom.Result, asJSON bool) error {
	out := convertedFolder{Series: []convertedSeries{}, Images: r.Files, Ignored: append([]dicom.Ignored{}, r.Ignored...), Unreadable: []unreadableFile{}, Mapping: r.Mapping}
	for _, x := range r.Outcomes {
		out.Series = append(out.Series, newConvertedSeries(h, x))
	}
	for _, u := range r.Unreadable {
		out.Unreadable = append(out.Unreadable, unreadableFile{u.File, u.Err.Error()})
	}
	if asJSON {
		return printJSON(w, out)
	}
	var b strings.Builder
	for _, s := range out.Series {
		s.print(&b)
	}
	for _, i := range out.Ignored {
		fmt.Fprintf(&b, "%d ignored, %s: %s\n", len(i.Files), i.Kind, someNames(i.Files))
	}
	for _, u := range out.Unreadable {
		fmt.Fprintf(&b, "unreadable: %s: %s\n", u.File, u.Reason)
	}
	fmt.Fprintf(&b, "%d DICOM images in %d series: ", out.Images, len(out.Series))
	var counts []string
	for _, status := range []dicom.Status{dicom.Converted, dicom.Kept, dicom.Planned, dicom.Skipped, dicom.Refused, dicom.Failed} {
		if n := r.Count(status); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, status))
		}
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(counts, ", "))
	if out.Mapping != "" {
		fmt.Fprintf(&b, "%s links the cases to patients; keep it private\n", out.Mapping)
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}

// someNames are the first of some files, without their folders.
func someNames(files []string) string {
	const shown = 3
	var names []string
	for _, f := range files[:min(shown, len(files))] {
		names = append(names, filepath.Base(f))
	}
	if len(files) > shown {
		names = append(names, "...")
	}
	return strings.Join(names, ", ")
}

// print writes a series as a line, and a line for every reason and note.
func (s *convertedSeries) print(b *strings.Builder) {
	head := fmt.Sprintf("%-9s", s.Status)
	if s.Case != "" {
		head += " " + s.Case
	}
	fmt.Fprintf(b, "%s  %s series %s %q, %d images", head, s.Modality, s.SeriesNumber, s.Description, s.Slices)
	if s.Part != "" {
		fmt.Fprintf(b, " (%s)", s.Part)
	}
	if s.Spacing[0] > 0 {
		fmt.Fprintf(b, ", %d x %d x %d voxels of %.4g x %.4g x %.4g mm", s.Size[0], s.Size[1], s.Size[2], s.Spacing[0], s.Spacing[1], s.Spacing[2])
	}
	fmt.Fprintf(b, ", in %s\n", s.Folder)
	for _, r := range s.Reasons {
		fmt.Fprintf(b, "          %s", r.Reason)
		if len(r.Files) > 0 {
			fmt.Fprintf(b, " [%s]", someNames(r.Files))
		}
		b.WriteString("\n")
	}
	for _, n := range s.Notes {
		fmt.Fprintf(b, "          note: %s\n", n)
	}
}
