package dicom

import "fmt"

// compression is how pixel data are stored.
type compression byte

const (
	native compression = iota
	rle
	jpegBaseline
	unsupported
)

// transferSyntax is how a file is encoded (PS3.5, annex A).
type transferSyntax struct {
	uid, name   string
	implicit    bool
	bigEndian   bool
	deflated    bool
	compression compression
	command     string // which decompresses what is not read here
}

const (
	implicitLittle = "1.2.840.10008.1.2"
	explicitLittle = "1.2.840.10008.1.2.1"
	deflatedLittle = "1.2.840.10008.1.2.1.99"
	explicitBig    = "1.2.840.10008.1.2.2"
	rleLossless    = "1.2.840.10008.1.2.5"
	jpegBase       = "1.2.840.10008.1.2.4.50"
)

const (
	gdcmconv = "gdcmconv --raw"
	dcmdjpeg = "dcmdjpeg"
	dcmdjpls = "dcmdjpls"
)

var transferSyntaxes = map[string]transferSyntax{
	implicitLittle: {name: "Implicit VR Little Endian", implicit: true},
	explicitLittle: {name: "Explicit VR Little Endian"},
	deflatedLittle: {name: "Deflated Explicit VR Little Endian", deflated: true},
	explicitBig:    {name: "Explicit VR Big Endian", bigEndian: true},
	rleLossless:    {name: "RLE Lossless", compression: rle},
	jpegBase:       {name: "JPEG Baseline (Process 1)", compression: jpegBaseline},

	"1.2.840.10008.1.2.4.51":  {name: "JPEG Extended (Process 2 & 4)", compression: unsupported, command: dcmdjpeg},
	"1.2.840.10008.1.2.4.57":  {name: "JPEG Lossless (Process 14)", compression: unsupported, command: dcmdjpeg},
	"1.2.840.10008.1.2.4.70":  {name: "JPEG Lossless (Process 14, Selection Value 1)", compression: unsupported, command: dcmdjpeg},
	"1.2.840.10008.1.2.4.80":  {name: "JPEG-LS Lossless", compression: unsupported, command: dcmdjpls},
	"1.2.840.10008.1.2.4.81":  {name: "JPEG-LS Lossy (Near-Lossless)", compression: unsupported, command: dcmdjpls},
	"1.2.840.10008.1.2.4.90":  {name: "JPEG 2000 Lossless", compression: unsupported, command: gdcmconv},
	"1.2.840.10008.1.2.4.91":  {name: "JPEG 2000", compression: unsupported, command: gdcmconv},
	"1.2.840.10008.1.2.4.201": {name: "High-Throughput JPEG 2000 Lossless", compression: unsupported, command: gdcmconv},
	"1.2.840.10008.1.2.4.202": {name: "High-Throughput JPEG 2000 RPCL Lossless", compression: unsupported, command: gdcmconv},
	"1.2.840.10008.1.2.4.203": {name: "High-Throughput JPEG 2000", compression: unsupported, command: gdcmconv},
}

// syntaxOf looks a transfer syntax up. One that is not known is taken for a compressed one, which are all explicit
// little endian.
func syntaxOf(uid string) transferSyntax {
	s, known := transferSyntaxes[uid]
	if !known {
		s = transferSyntax{name: "a transfer syntax that is not known", compression: unsupported, command: gdcmconv}
	}
	s.uid = uid
	return s
}

// refusal says why pixel data of the syntax cannot be read and how to make them readable.
func (s transferSyntax) refusal() string {
	return fmt.Sprintf("compressed as %s (transfer syntax %s), which is not read; decompress each file first: %s IN.dcm OUT.dcm", s.name, s.uid, s.command)
}
