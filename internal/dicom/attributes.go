package dicom

import "fmt"

// attribute is a DICOM tag, group in the upper half.
type attribute uint32

// The attributes that are read (PS3.6).
const (
	specificCharacterSet    attribute = 0x00080005
	imageType               attribute = 0x00080008
	sopClassUID             attribute = 0x00080016
	sopInstanceUID          attribute = 0x00080018
	studyDate               attribute = 0x00080020
	accessionNumber         attribute = 0x00080050
	modality                attribute = 0x00080060
	manufacturer            attribute = 0x00080070
	institutionName         attribute = 0x00080080
	studyDescription        attribute = 0x00081030
	seriesDescription       attribute = 0x0008103E
	modelName               attribute = 0x00081090
	patientID               attribute = 0x00100020
	patientSex              attribute = 0x00100040
	patientAge              attribute = 0x00101010
	sliceThickness          attribute = 0x00180050
	echoTime                attribute = 0x00180081
	echoNumbers             attribute = 0x00180086
	spacingBetweenSlices    attribute = 0x00180088
	protocolName            attribute = 0x00181030
	triggerTime             attribute = 0x00181060
	effectiveEchoTime       attribute = 0x00189082
	diffusionBValue         attribute = 0x00189087
	echoSequence            attribute = 0x00189114
	diffusionSequence       attribute = 0x00189117
	studyInstanceUID        attribute = 0x0020000D
	seriesInstanceUID       attribute = 0x0020000E
	studyID                 attribute = 0x00200010
	seriesNumber            attribute = 0x00200011
	acquisitionNumber       attribute = 0x00200012
	instanceNumber          attribute = 0x00200013
	imagePosition           attribute = 0x00200032
	imageOrientation        attribute = 0x00200037
	frameOfReferenceUID     attribute = 0x00200052
	temporalPosition        attribute = 0x00200100
	stackID                 attribute = 0x00209056
	inStackPosition         attribute = 0x00209057
	frameContentSequence    attribute = 0x00209111
	planePositionSequence   attribute = 0x00209113
	planeOrientSequence     attribute = 0x00209116
	temporalPositionIndex   attribute = 0x00209128
	samplesPerPixel         attribute = 0x00280002
	photometric             attribute = 0x00280004
	numberOfFrames          attribute = 0x00280008
	rows                    attribute = 0x00280010
	columns                 attribute = 0x00280011
	pixelSpacing            attribute = 0x00280030
	bitsAllocated           attribute = 0x00280100
	bitsStored              attribute = 0x00280101
	highBit                 attribute = 0x00280102
	pixelRepresentation     attribute = 0x00280103
	rescaleIntercept        attribute = 0x00281052
	rescaleSlope            attribute = 0x00281053
	modalityLUTSequence     attribute = 0x00283000
	pixelMeasuresSequence   attribute = 0x00289110
	pixelValueTransSequence attribute = 0x00289145
	sharedGroups            attribute = 0x52009229
	perFrameGroups          attribute = 0x52009230

	transferSyntaxUID attribute = 0x00020010
	floatPixels       attribute = 0x7FE00008
	doublePixels      attribute = 0x7FE00009
	pixelData         attribute = 0x7FE00010
	item              attribute = 0xFFFEE000
	itemEnd           attribute = 0xFFFEE00D
	sequenceEnd       attribute = 0xFFFEE0DD
)

// sequenceVR is the value representation of sequences.
const sequenceVR = "SQ"

// wanted are the value representations of the attributes that are read. A patient's name and date of birth are not
// among them.
var wanted = map[attribute]string{
	specificCharacterSet: "CS", imageType: "CS", sopClassUID: "UI", sopInstanceUID: "UI", studyDate: "DA", accessionNumber: "SH", modality: "CS",
	manufacturer: "LO", institutionName: "LO", studyDescription: "LO", seriesDescription: "LO", modelName: "LO", patientID: "LO", patientSex: "CS",
	patientAge: "AS", sliceThickness: "DS", echoTime: "DS", echoNumbers: "IS", spacingBetweenSlices: "DS", protocolName: "LO", triggerTime: "DS",
	effectiveEchoTime: "FD", diffusionBValue: "FD", echoSequence: sequenceVR, diffusionSequence: sequenceVR, studyInstanceUID: "UI",
	seriesInstanceUID: "UI", studyID: "SH", seriesNumber: "IS", acquisitionNumber: "IS", instanceNumber: "IS", imagePosition: "DS",
	imageOrientation: "DS", frameOfReferenceUID: "UI", temporalPosition: "IS", stackID: "SH", inStackPosition: "UL", frameContentSequence: sequenceVR,
	planePositionSequence: sequenceVR, planeOrientSequence: sequenceVR, temporalPositionIndex: "UL", samplesPerPixel: "US", photometric: "CS",
	numberOfFrames: "IS", rows: "US", columns: "US", pixelSpacing: "DS", bitsAllocated: "US", bitsStored: "US", highBit: "US",
	pixelRepresentation: "US", rescaleIntercept: "DS", rescaleSlope: "DS", modalityLUTSequence: sequenceVR, pixelMeasuresSequence: sequenceVR,
	pixelValueTransSequence: sequenceVR, sharedGroups: sequenceVR, perFrameGroups: sequenceVR,
}

// longVR are the value representations with a length of four bytes (PS3.5, 7.1.2).
var longVR = map[string]bool{
	"OB": true, "OD": true, "OF": true, "OL": true, "OV": true, "OW": true, sequenceVR: true, "SV": true, "UC": true, "UN": true, "UR": true, "UT": true,
	"UV": true,
}

// String is the tag as the standard writes it.
func (a attribute) String() string {
	return fmt.Sprintf("(%04X,%04X)", uint32(a)>>16, uint32(a)&0xFFFF)
}
