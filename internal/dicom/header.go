package dicom

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// About is what a series says of itself for people and for tables. It identifies a patient.
type About struct {
	PatientID, PatientSex, PatientAge                        string
	AccessionNumber, StudyID, StudyUID, StudyDate, StudyName string
	SeriesUID, SeriesNumber, Modality, Description, Protocol string
	Institution, Manufacturer, Model                         string
}

// pixelFormat is how a file stores its pixels.
type pixelFormat struct {
	rows, columns, samples  int
	allocated, stored, high int // bits
	signed                  bool
	photometric             string
}

// header is what is kept of a file.
type header struct {
	path   string
	size   int64
	syntax transferSyntax
	about  *About // shared by the files of a series

	sopClass, sopInstance, frameOfReference string
	localizer, mosaic                       bool

	format pixelFormat
	pixels pixelPlace
	slices []slice
	broken error // why the file cannot be used
}

// slice is one image in space: a file, or a frame of one.
type slice struct {
	file  *header
	frame int // from 0

	hasPosition, hasOrientation, hasSpacing bool
	position                                [3]float64 // centre of the first pixel, LPS, mm
	orientation                             [6]float64 // directions of growing columns and of growing rows, LPS
	spacing                                 [2]float64 // between rows, between columns, mm
	thickness, between                      float64    // mm, 0 if unknown
	slope, intercept                        float64

	number                    int // instance number
	acquisition, temporal     int
	echoTime, trigger, bValue float64
	echo                      int
	stack, kind               string // stack id; image type
}

const dicomDirectoryClass = "1.2.840.10008.1.3.10"

// Directory is the kind of files that list the images of a disc.
const Directory = "DICOMDIR"

// notImageError says what a DICOM file is that is not an image.
type notImageError struct{ kind string }

func (e *notImageError) Error() string { return e.kind }

// maxFrames bounds the frames of a file.
const maxFrames = 1 << 17

// readHeader reads all of a file but its pixels. The error is errNotDICOM, a *notImageError, or of the file system;
// whatever is wrong with an image that belongs to a series is in header.broken.
func readHeader(path string) (*header, error) {
	o, walkErr := walk(path)
	if o == nil {
		return nil, walkErr
	}
	e, err := o.decode()
	h := &header{path: path, size: o.size, syntax: o.syntax, pixels: o.pixels, broken: errors.Join(walkErr, err)}
	h.describe(e)
	if h.sopClass == dicomDirectoryClass {
		return nil, &notImageError{Directory}
	}
	if h.broken == nil && !o.pixels.found && !o.other {
		return nil, &notImageError{kindWithoutPixels(h.about.Modality)}
	}
	if h.broken != nil {
		if h.about.SeriesUID == "" {
			return nil, h.broken
		}
		return h, nil
	}
	if h.about.SeriesUID == "" {
		return nil, errors.New("an image without a Series Instance UID (0020,000E)")
	}
	if o.other {
		h.broken = errors.New("pixels are floating-point numbers, which are not read")
		return h, nil
	}
	h.broken = h.image(e)
	return h, nil
}

func kindWithoutPixels(modality string) string {
	if modality == "" {
		return "DICOM without an image"
	}
	return "DICOM without an image (" + modality + ")"
}

// describe takes the texts.
func (h *header) describe(e elements) {
	h.about = &About{
		PatientID: e.text(patientID), PatientSex: e.text(patientSex), PatientAge: e.text(patientAge),
		AccessionNumber: e.text(accessionNumber), StudyID: e.text(studyID), StudyUID: e.text(studyInstanceUID), StudyDate: e.text(studyDate),
		StudyName: e.text(studyDescription), SeriesUID: e.text(seriesInstanceUID), SeriesNumber: e.text(seriesNumber), Modality: e.text(modality),
		Description: e.text(seriesDescription), Protocol: e.text(protocolName),
		Institution: e.text(institutionName), Manufacturer: e.text(manufacturer), Model: e.text(modelName),
	}
	h.sopClass, h.sopInstance, h.frameOfReference = e.text(sopClassUID), e.text(sopInstanceUID), e.text(frameOfReferenceUID)
	kinds := e.texts(imageType)
	h.localizer = slices.Contains(kinds, "LOCALIZER")
	h.mosaic = slices.Contains(kinds, "MOSAIC")
}

// image takes what the pixels need: their format, and the place and scale of every frame.
func (h *header) image(e elements) (err error) {
	var r numberReader
	defer func() {
		if err == nil && slices.ContainsFunc(h.slices, func(c slice) bool { return c.slope == 0 }) {
			err = errors.New("a Rescale Slope (0028,1053) of 0 leaves nothing of the values")
		}
	}()
	f := &h.format
	f.rows, f.columns = r.whole(e, rows, 0), r.whole(e, columns, 0)
	f.samples, f.allocated = r.whole(e, samplesPerPixel, 1), r.whole(e, bitsAllocated, 0)
	f.stored = r.whole(e, bitsStored, f.allocated)
	f.high = r.whole(e, highBit, f.stored-1)
	f.signed = r.whole(e, pixelRepresentation, 0) == 1
	f.photometric = e.text(photometric)
	n := r.whole(e, numberOfFrames, 1)
	if r.err != nil {
		return r.err
	}
	if f.rows < 1 || f.columns < 1 {
		return fmt.Errorf("%d rows x %d columns", f.rows, f.columns)
	}
	if n < 1 || n > maxFrames {
		return fmt.Errorf("%d frames, expected 1 to %d", n, maxFrames)
	}
	if len(e.sequence(modalityLUTSequence)) > 0 {
		return errors.New("values are given by a table (Modality LUT Sequence), which is not read")
	}
	shared, perFrame := e.sequence(sharedGroups), e.sequence(perFrameGroups)
	if n > 1 && len(perFrame) == 0 {
		return fmt.Errorf("%d frames without their places (no Per-Frame Functional Groups); the format has no volume (SOP class %s)", n, h.sopClass)
	}
	if len(perFrame) > 0 && len(perFrame) != n {
		return fmt.Errorf("%d frames, but places for %d", n, len(perFrame))
	}
	top := slice{file: h, slope: 1, kind: e.text(imageType)}
	top.read(&r, e)
	if len(perFrame) == 0 {
		h.slices = []slice{top}
		return r.err
	}
	if len(shared) > 0 {
		top.readGroups(&r, shared[0])
	}
	h.slices = make([]slice, n)
	for i := range h.slices {
		s := top
		s.frame, s.number = i, i+1
		s.readGroups(&r, perFrame[i])
		h.slices[i] = s
		if r.err != nil {
			return fmt.Errorf("frame %d: %w", i+1, r.err)
		}
	}
	return nil
}

// read takes what elements say of a slice; what they do not say stays.
func (s *slice) read(r *numberReader, e elements) {
	s.hasPosition = r.vector(e, imagePosition, s.position[:]) || s.hasPosition
	s.hasOrientation = r.vector(e, imageOrientation, s.orientation[:]) || s.hasOrientation
	s.hasSpacing = r.vector(e, pixelSpacing, s.spacing[:]) || s.hasSpacing
	s.thickness = r.first(e, sliceThickness, s.thickness)
	s.between = r.first(e, spacingBetweenSlices, s.between)
	s.slope, s.intercept = r.first(e, rescaleSlope, s.slope), r.first(e, rescaleIntercept, s.intercept)
	// What only tells slices apart is not worth an error.
	var lenient numberReader
	s.number = lenient.whole(e, instanceNumber, s.number)
	s.acquisition = lenient.whole(e, acquisitionNumber, s.acquisition)
	s.temporal = lenient.whole(e, temporalPositionIndex, lenient.whole(e, temporalPosition, s.temporal))
	s.echo = lenient.whole(e, echoNumbers, s.echo)
	s.echoTime = lenient.first(e, effectiveEchoTime, lenient.first(e, echoTime, s.echoTime))
	s.trigger = lenient.first(e, triggerTime, s.trigger)
	s.bValue = lenient.first(e, diffusionBValue, s.bValue)
	if id := e.text(stackID); id != "" {
		s.stack = strings.Clone(id)
	}
}

// groupSequences are the functional groups that are read (PS3.3, C.7.6.16).
var groupSequences = []attribute{
	pixelMeasuresSequence, planePositionSequence, planeOrientSequence, pixelValueTransSequence, frameContentSequence, echoSequence, diffusionSequence,
}

// readGroups takes what the functional groups of an enhanced file say of a slice.
func (s *slice) readGroups(r *numberReader, groups elements) {
	for _, a := range groupSequences {
		for _, i := range groups.sequence(a) {
			s.read(r, i)
		}
	}
}
