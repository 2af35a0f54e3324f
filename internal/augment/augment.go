// Package augment changes training samples at random, as nnU-Net's default 3D chain does.
//
// A sample is one array (modalities+1, Z, Y, X) of float32, X fastest, with the region-of-interest mask
// (labels -1, 0, 1, ...) as last channel. Each transform has two halves: a law, from which its parameters
// are drawn, and an application, which is a pure function of sample and parameters. The chain is data:
//
//	spatial (elastic, rotation, scale in one resampling)
//	Params.Intensity in order (noise, blur, brightness, contrast, low resolution, gamma inverted, gamma)
//	mirror, mask outside -> 0, label -1 -> 0, label / (labels + 1)
//
// The laws and the numbers are those of nnU-Net 1.7 with batchgenerators 0.25.
package augment

import (
	"fmt"
	"math"
)

// Range is a closed interval of a parameter.
type Range struct{ Low, High float64 }

// Law says how a parameter is drawn from its range.
type Law int

const (
	// Uniform draws evenly over the range.
	Uniform Law = iota
	// AroundOne draws evenly over (Low, 1) or over (1, High), each half of the time, so that
	// weakening and strengthening are equally frequent however long the two sides are.
	AroundOne
)

// SpatialLaw holds the laws of the spatial transform. Each of its three parts is switched on by its own coin.
type SpatialLaw struct {
	// PElastic, PRotation and PScale are the probabilities of the parts.
	PElastic, PRotation, PScale float64
	// Alpha is the magnitude of the elastic field, Sigma its smoothness in voxels.
	Alpha, Sigma Range
	// Angles (radians) turn about array axes 0, 1, 2; in dummy-2D only the first is used, for the plane.
	Angles [3]Range
	// Scale multiplies coordinates (above 1: the anatomy shrinks); drawn around one, the same for all axes.
	Scale Range
}

// Transform names an intensity transform.
type Transform int

// The intensity transforms. The parameter that Step.Range describes is given after each.
const (
	Noise         Transform = iota // standard deviation
	Blur                           // sigma in voxels
	Brightness                     // factor
	Contrast                       // factor
	LowResolution                  // size of the coarse grid relative to the sample's
	GammaInverted                  // exponent, applied to the negated channel
	Gamma                          // exponent
	transforms                     // how many there are
)

var transformNames = [transforms]string{"noise", "blur", "brightness", "contrast", "low resolution", "gamma inverted", "gamma"}

func (t Transform) String() string {
	if t < 0 || t >= transforms {
		return fmt.Sprintf("Transform(%d)", int(t))
	}
	return transformNames[t]
}

// Step is one intensity transform of the chain with its law.
type Step struct {
	Transform Transform
	// P is the probability that a sample gets the transform, PChannel that a channel of such a sample gets it.
	P, PChannel float64
	Range       Range
	Law         Law
	// Shared draws one value per sample instead of one per channel.
	Shared bool
}

// Params describes a whole chain.
type Params struct {
	Spatial   SpatialLaw
	Intensity []Step
	// PMirror is the probability that each axis (z, y, x) is flipped.
	PMirror [3]float64
	// Dummy2D treats every axis-0 plane as an image of its own in the spatial transform, and keeps axis 0 at
	// full resolution in the low-resolution transform (for very anisotropic samples).
	Dummy2D bool
	// MaskForNorm says per modality whether voxels where the mask is negative become 0 after augmentation,
	// which holds for modalities that were normalised within the mask.
	MaskForNorm []bool
	// ROILabels divides the mask by (ROILabels + 1) at the end, ROILabels being the labels without background.
	// 0 leaves the labels as they are, for callers that divide themselves.
	ROILabels int
}

// degrees15 is nnU-Net's rotation limit in 3D.
const degrees15 = 15. / 360 * 2 * math.Pi

// DefaultParams returns nnU-Net's default chain (default_3D_augmentation_params with get_moreDA_augmentation),
// in its dummy-2D variant where the plan asks for it. maskForNorm has one entry per modality, or is nil for none.
func DefaultParams(dummy2D bool, maskForNorm []bool, numModalities int) Params {
	mask := make([]bool, numModalities)
	copy(mask, maskForNorm)
	p := Params{
		Spatial: SpatialLaw{
			PElastic: 0.2, PRotation: 0.2, PScale: 0.2,
			Alpha: Range{0, 900}, Sigma: Range{9, 13},
			Angles: [3]Range{{-degrees15, degrees15}, {-degrees15, degrees15}, {-degrees15, degrees15}},
			Scale:  Range{0.85, 1.25},
		},
		Intensity: []Step{
			{Transform: Noise, P: 0.1, PChannel: 1, Range: Range{0, 0.1}, Shared: true},
			{Transform: Blur, P: 0.2, PChannel: 0.5, Range: Range{0.5, 1}},
			{Transform: Brightness, P: 0.15, PChannel: 1, Range: Range{0.75, 1.25}},
			{Transform: Contrast, P: 0.15, PChannel: 1, Range: Range{0.75, 1.25}, Law: AroundOne},
			{Transform: LowResolution, P: 0.25, PChannel: 0.5, Range: Range{0.5, 1}},
			{Transform: GammaInverted, P: 0.1, PChannel: 1, Range: Range{0.7, 1.5}, Law: AroundOne},
			{Transform: Gamma, P: 0.3, PChannel: 1, Range: Range{0.7, 1.5}, Law: AroundOne},
		},
		PMirror:     [3]float64{0.5, 0.5, 0.5},
		Dummy2D:     dummy2D,
		MaskForNorm: mask,
	}
	if dummy2D {
		p.Spatial.Alpha = Range{0, 200}
		p.Spatial.Angles = [3]Range{{-math.Pi, math.Pi}}
	}
	return p
}
