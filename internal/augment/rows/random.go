package rows

// Lanes is the number of random streams that a Generator runs side by side.
const Lanes = 16

// Generator makes long rows of random numbers: Lanes independent xoshiro128++ streams (Blackman and Vigna 2021),
// one value of each in turn.
type Generator struct {
	state [4][Lanes]uint32
}

// Seed starts the streams from two words, expanded by SplitMix64.
func (g *Generator) Seed(seed [2]uint64) {
	s := seed[0]
	next := func() uint64 {
		s += 0x9e3779b97f4a7c15
		z := s ^ seed[1]
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	for lane := range Lanes {
		a, b := next(), next()
		g.state[0][lane], g.state[1][lane] = uint32(a), uint32(a>>32)
		g.state[2][lane], g.state[3][lane] = uint32(b), uint32(b>>32)
		if a|b == 0 {
			g.state[0][lane] = 1 // the one state that xoshiro cannot leave
		}
	}
}

// Symmetric fills a row with numbers uniform over [-1, 1).
func (g *Generator) Symmetric(dst []float32) {
	whole := len(dst) / Lanes * Lanes
	symmetric(g, dst[:whole])
	if whole < len(dst) {
		var last [Lanes]float32
		symmetric(g, last[:])
		copy(dst[whole:], last[:])
	}
}

// AddNormal adds normally distributed numbers of mean 0 and standard deviation sd to a row (Box and Muller 1958).
func (g *Generator) AddNormal(dst []float32, sd float32) {
	const pair = 2 * Lanes
	whole := len(dst) / pair * pair
	addNormal(g, dst[:whole], sd)
	if whole < len(dst) {
		var last [pair]float32
		copy(last[:], dst[whole:])
		addNormal(g, last[:], sd)
		copy(dst[whole:], last[:])
	}
}
