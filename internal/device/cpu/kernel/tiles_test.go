package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/testutil"
)

// eachTiles runs f for every kernel set of this processor that has kernels on tiles.
func eachTiles(t *testing.T, f func(t *testing.T, tiles *Tiles)) {
	some := false
	for _, set := range cpulevel.Available() {
		if tiles := KernelSets[set].Tiles; tiles != nil {
			some = true
			t.Run(set.String(), func(t *testing.T) { f(t, tiles) })
		}
	}
	if !some {
		t.Skip("this processor has no tiles (AMX), or its system does not let this process use them")
	}
}

// alignedBF16 returns n random bfloat16 in floats of memory.
func alignedBF16(r *rand.Rand, n int) []float32 {
	f := AlignedFloats(n / 2)
	value := randomBF16(r)
	for i := range f {
		*(*[2]uint16)(unsafe.Pointer(&f[i])) = [2]uint16{value(), value()}
	}
	return f
}

func TestTileProduct(t *testing.T) {
	eachTiles(t, func(t *testing.T, tiles *Tiles) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 60 {
			count, steps, outs := 1+r.IntN(5), 1+r.IntN(6), 1+r.IntN(5)
			together := 1 + r.IntN(2*productSteps)
			if r.IntN(3) == 0 { // cut
				count, steps = productTiles-4+r.IntN(8), productSteps*2-4+r.IntN(8)
			}
			const panel = 80 // tiles
			a, b := alignedBF16(r, panel*512), alignedBF16(r, outs*steps*512)
			rows := Rows{Starts: make([]int, count), To: make([]int, count*TileRows)}
			cRow, places := 32+2*r.IntN(3), r.Perm(count*TileRows)
			for i := range rows.Starts {
				rows.Starts[i] = 64 * r.IntN(8*TileRows)
			}
			for i := range rows.To {
				rows.To[i] = places[i] * cRow
				if r.IntN(4) == 0 {
					rows.To[i] = -1
				}
			}
			offsets := make([]int, steps)
			for i := range offsets {
				offsets[i] = 64 * r.IntN(30*TileRows)
			}
			cStride := (count*TileRows*cRow + 2*r.IntN(3) + 3) / 4 * 4
			before := newGuarded(r, outs*cStride/2, randomBF16(r))
			bias := AlignedFloats(outs * Block)
			for i := range bias {
				bias[i] = float32(r.NormFloat64())
			}
			if r.IntN(2) == 0 {
				bias = nil
			}
			add, relu := r.IntN(2) == 0, r.IntN(2) == 0
			run := func(tiles *Tiles) guarded[uint16] {
				c := before.copy(r)
				out := unsafe.Slice(c.start(), outs*cStride/4)
				tiles.Product(a, rows, offsets, together, b, out, cStride, outs, bias, add, relu, AlignedFloats(ProductSums/4))
				return c
			}
			got, want := run(tiles), run(PortableTiles)
			got.check(t, "product")
			testutil.Near(t, "product", halves64(got.values), halves64(want.values), 1.0/128)
		}
	})
}

func TestTileOuter(t *testing.T) {
	eachTiles(t, func(t *testing.T, tiles *Tiles) {
		r := rand.New(rand.NewPCG(3, 4))
		for range 60 {
			steps, halves, outs := 1+r.IntN(6), 1+r.IntN(5), 1+r.IntN(5)
			x, z := alignedBF16(r, 40*512), alignedBF16(r, outs*steps*512)
			starts, offsets := make([]int, steps), make([]int, halves)
			for i := range starts {
				starts[i] = 64 * r.IntN(8*TileRows)
			}
			for i := range offsets {
				offsets[i] = 64 * r.IntN(30*TileRows)
			}
			cStride := (halves + r.IntN(2)) * TileBytes
			before := AlignedFloats(outs * cStride / 4)
			for i := range before {
				before[i] = float32(r.NormFloat64())
			}
			add := r.IntN(2) == 0
			run := func(tiles *Tiles) []float64 {
				c := AlignedFloats(len(before))
				copy(c, before)
				tiles.Outer(z, steps*TileBytes, outs, x, starts, offsets, c, cStride, add)
				return testutil.Float64(c)
			}
			testutil.Near(t, "outer", run(tiles), run(PortableTiles), 1e-5)
		}
	})
}

func TestGather(t *testing.T) {
	eachTiles(t, func(t *testing.T, tiles *Tiles) {
		r := rand.New(rand.NewPCG(5, 6))
		for range 100 {
			g := Gather{Planes: r.IntN(4), Top: r.IntN(4), Lines: r.IntN(5), Bottom: r.IntN(4), Lead: r.IntN(3), Count: r.IntN(6), Trail: r.IntN(3)}
			g.SrcLine = 32 * (g.Count + r.IntN(3))
			g.SrcPlane = g.Lines*g.SrcLine + 32*r.IntN(3)
			g.DstRow = 32 * (1 + r.IntN(2))
			if r.IntN(2) == 0 {
				g.DstRow, g.Partner = 64, g.Planes*g.SrcPlane+32*r.IntN(3)+32
			}
			rows := g.Top + g.Lines*(g.Lead+g.Count+g.Trail) + g.Bottom
			g.DstPlane = (rows + r.IntN(3)) * g.DstRow
			src := newGuarded(r, (g.Planes*g.SrcPlane+g.Partner)/2+16, randomBF16(r))
			before := newGuarded(r, g.Planes*g.DstPlane/2+64, randomBF16(r))
			got, want := before.copy(r), before.copy(r)
			tiles.Gather(got.start(), src.start(), &g)
			PortableTiles.Gather(want.start(), src.start(), &g)
			got.check(t, "gather")
			for i := range want.values {
				if got.values[i] != want.values[i] {
					t.Fatalf("%+v: value %d is %x, want %x", g, i, got.values[i], want.values[i])
				}
			}
		}
	})
}

func TestTilesRounding(t *testing.T) {
	eachTiles(t, func(t *testing.T, tiles *Tiles) {
		r := rand.New(rand.NewPCG(9, 10))
		for groups := 1; groups < 5; groups++ {
			var rows [8]*float32
			for i := range rows {
				g := newGuarded(r, 32*groups, randomFloat(r))
				rows[i] = g.start()
			}
			matrix := newGuarded(r, Block*Block, randomFloat(r))
			run := func(tiles *Tiles) (turned, split guarded[uint16]) {
				turned, split = newGuarded(r, Block*Block, randomBF16(r)), newGuarded(r, 16*groups*Block, randomBF16(r))
				tiles.PackTurned(turned.start(), matrix.start())
				tiles.SplitPhases(split.start(), &rows, groups)
				return turned, split
			}
			turned, split := run(tiles)
			turned.check(t, "turned")
			split.check(t, "split")
			wantTurned, wantSplit := run(PortableTiles)
			if !slices.Equal(turned.values, wantTurned.values) {
				t.Errorf("turned: %x, want %x", turned.values, wantTurned.values)
			}
			if !slices.Equal(split.values, wantSplit.values) {
				t.Errorf("%d groups: %x, want %x", groups, split.values, wantSplit.values)
			}
		}
	})
}
