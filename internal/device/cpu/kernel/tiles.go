package kernel

import "unsafe"

// TileRows is the number of rows of a tile; TileBytes is the size of a tile: 16 rows of 64 bytes, whether they are 32
// bfloat16, 16 pairs of bfloat16 or 16 float32.
const (
	TileRows  = 16
	TileBytes = 1024
)

// Tiles are the kernels on tiles, as AMX has them. A row of a first factor is 32 bfloat16, the values of two blocks of
// channels side by side; a second factor is 16 pairs of rows, [16][16 columns][2]. Strides and offsets are in bytes,
// all of factors and results in float32 multiples of 64, as are the addresses.
type Tiles struct {
	// product computes nr blocks j of 16 columns of the tiles t of a product. The first factor of step s lies at
	// a + starts[t] + offsets[s], the second one at b + j*bStride + s*TileBytes. Row m of tile t of the sum over all
	// steps, plus bias[j*16:][:16] unless it is nil, plus what is there if add, at least 0 if relu, is rounded to the 16
	// bfloat16 at c + j*cStride + rows[t*16+m], or dropped where rows has a negative number. By nr.
	//
	// So many steps are done together for all tiles before the next ones; the sums of tile t lie meanwhile in the tile
	// t%2 + 2*j of the four at sums + t/2*sumsStride. The kernel reads four tiles more than it writes there.
	product [3]func(a *float32, starts *int, tiles int, offsets *int, steps, together int, b *float32, bStride int, c *float32, cStride int, rows *int, bias *float32, add int, relu int, sums *float32, sumsStride int)
	// outer computes, for nz blocks j and for halves h, the tiles c + j*cStride + h*TileBytes of float32, or adds to them
	// if add: the sum over steps s of the products of the first factor z + j*zStride + s*TileBytes and the second one
	// x + offsets[h] + starts[s]. By nz.
	outer [3]func(z *float32, zStride int, x *float32, starts *int, steps int, offsets *int, halves int, c *float32, cStride int, add int)
	// gather copies rows of 32 bytes.
	gather func(dst, src *float32, box *[12]int)
	// PackTurned rounds the transposed 16x16 matrix src of float32 to pairs of rows, [8][16][2].
	PackTurned func(dst, src *float32)
	// SplitPhases rounds 8 rows of pairs of float32 to 16 times groups voxels of 8 pairs, [voxel][row][2].
	SplitPhases func(dst *float32, src *[8]*float32, groups int)
}

// Gather says which rows of 32 bytes, a voxel of a block in bfloat16, are copied where. Of every plane the rows behind
// one another are Top zeros, then Lines times Lead zeros, Count copies and Trail zeros, then Bottom zeros.
type Gather struct {
	Planes, DstPlane, SrcPlane int // planes, and their distances in bytes
	Top, Lines, Bottom         int
	SrcLine                    int // bytes
	Lead, Count, Trail         int
	DstRow                     int // bytes between rows of the result
	// Partner, unless 0, is how many bytes behind a row of 32 bytes another one lies that is copied behind it, to rows
	// of 64 bytes; zeros are as long then.
	Partner int
}

// Gather copies rows as g says.
func (t *Tiles) Gather(dst, src *float32, g *Gather) {
	t.gather(dst, src, (*[12]int)(unsafe.Pointer(g)))
}

// Rows is where the tiles of rows of a product begin in the first factor, and where their rows go to, 16 to a tile; see
// Tiles.product.
type Rows struct {
	Starts, To []int
}

// Of a product of many steps, at most productSteps are done for productTiles tiles before the next ones, so that the
// second factors of these steps stay in the first-level cache. ProductSums is the memory of the sums, in bytes.
const (
	productSteps = 12
	productTiles = 32
	productLeast = 6 // tiles, for this to pay
	ProductSums  = (productTiles/2 + 1) * 4 * TileBytes
)

// Product computes outs blocks of columns of a product, see product. Steps that read much the same rows of the first
// factor come in groups of alike. bias may be nil; sums holds ProductSums bytes.
func (t *Tiles) Product(a []float32, r Rows, offsets []int, alike int, b []float32, c []float32, cStride, outs int, bias []float32, add, relu bool, sums []float32) {
	if len(r.Starts) == 0 {
		return
	}
	_, _ = r.To[len(r.Starts)*TileRows-1], sums[ProductSums/4-1]
	stride := len(offsets) * TileBytes
	together, sumsStride := len(offsets), 0
	if len(r.Starts) >= productLeast && len(offsets) > productSteps {
		parts := (alike + productSteps - 1) / productSteps
		together, sumsStride = (alike+parts-1)/parts, 4*TileBytes
		together *= productSteps / together
	}
	for o := 0; o < outs; o += 2 {
		nr := min(2, outs-o)
		var shift *float32
		if bias != nil {
			shift = &bias[o*Block]
		}
		for first := 0; first < len(r.Starts); first += productTiles {
			t.product[nr](&a[0], &r.Starts[first], min(productTiles, len(r.Starts)-first), &offsets[0], len(offsets), together, &b[o*stride/4], stride, &c[o*cStride/4], cStride,
				&r.To[first*TileRows], shift, Flag(add), Flag(relu), &sums[0], sumsStride)
		}
	}
}

// Outer computes outs blocks of sums over rows, see outer.
func (t *Tiles) Outer(z []float32, zStride, outs int, x []float32, starts, offsets []int, c []float32, cStride int, add bool) {
	for o := 0; o < outs; o += 2 {
		nz := min(2, outs-o)
		t.outer[nz](&z[o*zStride/4], zStride, &x[0], &starts[0], len(starts), &offsets[0], len(offsets), &c[o*cStride/4], cStride, Flag(add))
	}
}

// PortableTiles are the specification of the kernels on tiles.
var PortableTiles = func() *Tiles {
	t := &Tiles{gather: gatherGeneric, PackTurned: packTurnedGeneric, SplitPhases: splitPhasesGeneric}
	for nr := 1; nr <= 2; nr++ {
		t.product[nr] = func(a *float32, starts *int, tiles int, offsets *int, steps, _ int, b *float32, bStride int, c *float32, cStride int, rows *int, bias *float32, add int, relu int, _ *float32, _ int) {
			for j := range nr {
				if bias != nil && j > 0 {
					bias = (*float32)(unsafe.Add(unsafe.Pointer(bias), Block*4))
				}
				tileProductGeneric(a, unsafe.Slice(starts, tiles), unsafe.Slice(offsets, steps), at(b, j*bStride), at(c, j*cStride), unsafe.Slice(rows, tiles*TileRows), bias, add != 0, relu != 0)
			}
		}
	}
	for nz := 1; nz <= 2; nz++ {
		t.outer[nz] = func(z *float32, zStride int, x *float32, starts *int, steps int, offsets *int, halves int, c *float32, cStride int, add int) {
			for j := range nz {
				for h, from := range unsafe.Slice(offsets, halves) {
					for m := range TileRows {
						to := vector(c, j*cStride+h*TileBytes+m*64)
						var acc [Block]float32
						if add != 0 {
							acc = *to
						}
						for s, start := range unsafe.Slice(starts, steps) {
							tileRowGeneric(&acc, at(z, j*zStride+s*TileBytes+m*64), at(x, from+start))
						}
						*to = acc
					}
				}
			}
		}
	}
	return t
}()

func at(p *float32, offset int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), offset)) }

// tileRowGeneric adds the product of a row of 32 bfloat16 and a tile of pairs.
func tileRowGeneric(acc *[Block]float32, a, b *float32) {
	for k, f := range (*[TileRows][2]uint16)(unsafe.Pointer(a)) {
		first, second := FromBF16(f[0]), FromBF16(f[1])
		for o, w := range bf16Pairs(b, k*64) {
			acc[o] += first*FromBF16(w[0]) + second*FromBF16(w[1])
		}
	}
}

func tileProductGeneric(a *float32, starts, offsets []int, b, c *float32, rows []int, bias *float32, add, relu bool) {
	for t, start := range starts {
		for m := range TileRows {
			to := rows[t*TileRows+m]
			if to < 0 {
				continue
			}
			var acc [Block]float32
			for s, offset := range offsets {
				tileRowGeneric(&acc, at(a, start+offset+m*64), at(b, s*TileBytes))
			}
			if bias != nil {
				for o, f := range vector(bias, 0) {
					acc[o] += f
				}
			}
			if add {
				for o, f := range loadBF16(c, to) {
					acc[o] += f
				}
			}
			if relu {
				for o, f := range acc {
					acc[o] = max(0, f)
				}
			}
			storeBF16(c, to, &acc)
		}
	}
}

func gatherGeneric(dst, src *float32, box *[12]int) {
	g := (*Gather)(unsafe.Pointer(box))
	for p := range g.Planes {
		to := p * g.DstPlane
		put := func(v, partner [Block]uint16) {
			*bf16Vector(dst, to) = v
			if g.Partner != 0 {
				*bf16Vector(dst, to+32) = partner
			}
			to += g.DstRow
		}
		zeros := func(n int) {
			for range n {
				put([Block]uint16{}, [Block]uint16{})
			}
		}
		zeros(g.Top)
		for l := range g.Lines {
			zeros(g.Lead)
			for i := range g.Count {
				at := p*g.SrcPlane + l*g.SrcLine + i*32
				put(*bf16Vector(src, at), *bf16Vector(src, at+g.Partner))
			}
			zeros(g.Trail)
		}
		zeros(g.Bottom)
	}
}

func packTurnedGeneric(dst, src *float32) {
	for o := 0; o < Block; o += 2 {
		out := bf16Pairs(dst, o*32)
		for i := range out {
			row := vector(src, i*64)
			out[i] = [2]uint16{ToBF16(row[o]), ToBF16(row[o+1])}
		}
	}
}

func splitPhasesGeneric(dst *float32, src *[8]*float32, groups int) {
	for v := range 16 * groups {
		out := bf16Vector(dst, v*32)
		for j, row := range src {
			pair := (*[2]float32)(unsafe.Add(unsafe.Pointer(row), v*8))
			out[2*j], out[2*j+1] = ToBF16(pair[0]), ToBF16(pair[1])
		}
	}
}
