//go:build amd64 && !noasm

package kernel

// withTiles returns a copy of k that has AMX's kernels as well.
func (k *Set) withTiles() *Set {
	t := *k
	t.Tiles = &Tiles{gather: gatherRowsAVX512, PackTurned: packTurnedAVX512, SplitPhases: splitPhasesAVX512}
	t.Tiles.product[1], t.Tiles.product[2] = tileProductAMX1, tileProductAMX2
	t.Tiles.outer[1], t.Tiles.outer[2] = tileOuterAMX1, tileOuterAMX2
	return &t
}
