package augment

import "github.com/universal-classifier/uc/internal/augment/rows"

// addNoise adds normally distributed numbers of mean 0 and standard deviation sd.
// (batchgenerators draws a "variance" and uses it as standard deviation; so does the law here.)
func (p *Pipeline) addNoise(channel []float32, sd float64, seed Seed) {
	g := &p.scratch.generator
	g.Seed(seed)
	g.AddNormal(channel, float32(sd))
}

// fillUniform fills a field with numbers uniform over [-1, 1).
func fillUniform(g *rows.Generator, field []float32, seed Seed) {
	g.Seed(seed)
	g.Symmetric(field)
}
