package driver

import (
	"errors"
	"slices"
	"unsafe"
)

// Identities of the tensors of a convolution's graph.
const (
	idX int64 = iota + 1
	idW
	idY
	idBias
	idRaw // between convolution and bias, never stored
	idSum // between bias and ReLU, never stored
)

// alignment of every tensor in bytes: blocks are aligned to more, and slices begin at multiples of 16 channels.
const alignment = 16

// Candidates are the engines that cuDNN offers for a problem, best guess first.
type Candidates struct {
	card    *Card
	problem Problem
	graph   *descriptor
	parts   []*descriptor
	configs []*descriptor
}

func (c *cudnnAPI) tensor(id int64, format int32, s tensorShape, virtual bool) *descriptor {
	d := c.describe(descTensor)
	d.setEnum(attrTensorType, typeDataType, format)
	d.setInts(attrTensorDims, s.dims...)
	d.setInts(attrTensorStrides, s.strides...)
	d.setInts(attrTensorID, id)
	d.setInts(attrTensorAlignment, alignment)
	if virtual {
		d.setBool(attrTensorVirtual, true)
	}
	d.finalize()
	return d
}

func (t Type) cudnn() int32 { return [...]int32{dataFloat, dataBFloat16, dataFP16}[t] }

// graph is the description of a problem for cuDNN: operations, and the parts that they refer to.
type graph struct {
	*cudnnAPI
	ops, parts []*descriptor
}

func (g *graph) keep(d *descriptor) *descriptor {
	g.parts = append(g.parts, d)
	return d
}

// operations describes the graph of a problem: one convolution, and what follows it.
func (c *cudnnAPI) operations(p Problem) (ops, parts []*descriptor) {
	g := &graph{cudnnAPI: c}
	format := p.Type.cudnn()
	xs, ws, ys, cs := p.shapes()
	dense := ys
	dense.strides = channelsLast(ys.dims)
	fused := p.Op == Forward && (p.Bias || p.ReLU)
	x, w := g.keep(c.tensor(idX, format, xs, false)), g.keep(c.tensor(idW, format, ws, false))
	y := g.keep(c.tensor(idY, format, ys, false))
	out := y
	if fused {
		out = g.keep(c.tensor(idRaw, dataFloat, dense, true))
	}
	g.convolution(p.Op, cs, x, w, out)
	if !fused {
		return g.ops, g.parts
	}
	if p.Bias {
		to := y
		bias := g.keep(c.tensor(idBias, dataFloat, p.biasShape(len(ys.dims)), false))
		if p.ReLU {
			to = g.keep(c.tensor(idSum, dataFloat, dense, true))
		}
		g.pointwise(pointwiseAdd, out, bias, to)
		out = to
	}
	if p.ReLU {
		g.pointwise(pointwiseReLU, out, nil, y)
	}
	return g.ops, g.parts
}

// convolution adds a convolution, or a gradient of it, of the three tensors.
func (g *graph) convolution(of Op, s convShape, x, w, y *descriptor) {
	conv := g.keep(g.describe(descConvolution))
	conv.setEnum(attrConvCompType, typeDataType, dataFloat)
	conv.setEnum(attrConvMode, typeConvMode, crossCorrelation)
	conv.setInts(attrConvSpatialDims, int64(len(s.stride)))
	ones := make([]int64, len(s.stride))
	for i := range ones {
		ones[i] = 1
	}
	conv.setInts(attrConvDilations, ones...)
	conv.setInts(attrConvStrides, s.stride...)
	conv.setInts(attrConvPrePadding, s.padLo...)
	conv.setInts(attrConvPostPadding, s.padHi...)
	conv.finalize()

	names := [...]struct{ kind, conv, x, w, y, alpha, beta uintptr }{
		Forward:         {descForward, attrForwardConv, attrForwardX, attrForwardW, attrForwardY, attrForwardAlpha, attrForwardBeta},
		BackwardData:    {descBackwardData, attrDataConv, attrDataDX, attrDataW, attrDataDY, attrDataAlpha, attrDataBeta},
		BackwardWeights: {descBackwardFilter, attrFilterConv, attrFilterX, attrFilterDW, attrFilterDY, attrFilterAlpha, attrFilterBeta},
	}[of]
	op := g.keep(g.describe(names.kind))
	op.setDescriptors(names.conv, conv)
	op.setDescriptors(names.x, x)
	op.setDescriptors(names.w, w)
	op.setDescriptors(names.y, y)
	op.setFloat(names.alpha, 1)
	op.setFloat(names.beta, 0)
	op.finalize()
	g.ops = append(g.ops, op)
}

// pointwise adds an operation on every value of from and, unless nil, of with.
func (g *graph) pointwise(mode int32, from, with, to *descriptor) {
	f := g.keep(g.describe(descPointwise))
	f.setEnum(attrPointwiseMode, typePointwiseMode, mode)
	f.setEnum(attrPointwisePrec, typeDataType, dataFloat)
	f.finalize()
	o := g.keep(g.describe(descOpPointwise))
	o.setDescriptors(attrOpPointwise, f)
	o.setDescriptors(attrOpPointwiseX, from)
	if with != nil {
		o.setDescriptors(attrOpPointwiseB, with)
	}
	o.setDescriptors(attrOpPointwiseY, to)
	o.finalize()
	g.ops = append(g.ops, o)
}

// biasShape is the shape of one value per channel in as many dimensions.
func (p Problem) biasShape(dims int) tensorShape {
	s := tensorShape{make([]int64, dims), make([]int64, dims)}
	for i := range s.dims {
		s.dims[i], s.strides[i] = 1, int64(p.K)
	}
	s.dims[1], s.strides[1] = int64(p.K), 1
	return s
}

// channelsLast are the strides of a dense tensor (N, C, ...) with the channels innermost.
func channelsLast(dims []int64) []int64 {
	strides := make([]int64, len(dims))
	strides[1] = 1
	next := dims[1]
	for i := len(dims) - 1; i > 1; i-- {
		strides[i] = next
		next *= dims[i]
	}
	strides[0] = next
	return strides
}

// plansFor asks cuDNN's heuristics what could compute a problem.
func (c *Card) plansFor(p Problem) (*Candidates, error) {
	api := c.cudnn
	found := &Candidates{card: c, problem: p}
	var ops []*descriptor
	ops, found.parts = api.operations(p)
	found.graph = api.describe(descGraph)
	found.graph.setPointers(attrGraphHandle, typeHandle, c.handle)
	found.graph.setDescriptors(attrGraphOps, ops...)
	if err := found.graph.finalize(); err != nil {
		found.Close()
		return nil, err
	}
	modes := []int32{heurModeA, heurModeFallback}
	if p.pointwise() { // B knows two dimensions only
		modes = []int32{heurModeB, heurModeA, heurModeFallback}
	}
	var first error
	for _, mode := range modes {
		configs, err := api.heuristics(found.graph, mode)
		if err != nil && first == nil {
			first = err
		}
		for _, cfg := range configs {
			notes, err := cfg.notes()
			if err != nil || !p.allows(notes) {
				cfg.destroy()
				continue
			}
			found.configs = append(found.configs, cfg)
		}
	}
	if len(found.configs) == 0 {
		found.Close()
		if first == nil {
			first = errors.New("cuDNN has no engine for this convolution")
		}
		return nil, first
	}
	return found, nil
}

// heuristics returns the engine configurations of one mode.
func (c *cudnnAPI) heuristics(graph *descriptor, mode int32) ([]*descriptor, error) {
	h := c.describe(descEngineHeur)
	defer h.destroy()
	h.setDescriptors(attrHeurGraph, graph)
	h.setEnum(attrHeurMode, typeHeurMode, mode)
	if err := h.finalize(); err != nil {
		return nil, err
	}
	n, err := h.get(attrHeurResults, typeDescriptor, 0, nil)
	if err != nil || n == 0 {
		return nil, err
	}
	configs := make([]*descriptor, n)
	pointers := make([]uintptr, n)
	for i := range configs {
		configs[i] = c.describe(descEngineConfig)
		if configs[i].err != nil {
			err = configs[i].err
		}
		pointers[i] = configs[i].ptr
	}
	if err == nil {
		n, err = h.get(attrHeurResults, typeDescriptor, n, unsafe.Pointer(&pointers[0]))
	}
	if err != nil {
		n = 0
	}
	for _, d := range configs[n:] {
		d.destroy()
	}
	return configs[:n], err
}

// notes are the numerical notes of a configuration's engine.
func (d *descriptor) notes() ([]int32, error) {
	engine := d.api.describe(descEngine)
	defer engine.destroy()
	if engine.err != nil {
		return nil, engine.err
	}
	if _, err := d.get(attrConfigEngine, typeDescriptor, 1, unsafe.Pointer(&engine.ptr)); err != nil {
		return nil, err
	}
	list := make([]int32, numericalNotes)
	n, err := engine.get(attrEngineNotes, typeNumericalNote, len(list), unsafe.Pointer(&list[0]))
	return list[:min(n, len(list))], err
}

// allows reports whether an engine with these notes computes as the problem wants it.
func (p Problem) allows(notes []int32) bool {
	avoid := []int32{noteReducedPrecision, noteFFT, noteWinograd, noteWinogradTile4, noteWinogradTile6, noteWinogradTile13}
	if p.Type == Float32 {
		avoid = append(avoid, noteTensorCore, noteDownConvertInputs)
	}
	if p.Deterministic || p.Type == Float32 {
		avoid = append(avoid, noteNondeterministic)
	}
	return !slices.ContainsFunc(notes, func(n int32) bool { return slices.Contains(avoid, n) })
}

// Len is the number of candidates.
func (c *Candidates) Len() int { return len(c.configs) }

// Close gives the descriptors back; plans that were built live on.
func (c *Candidates) Close() {
	for _, d := range c.configs {
		d.destroy()
	}
	if c.graph != nil {
		c.graph.destroy()
	}
	for _, d := range slices.Backward(c.parts) {
		d.destroy()
	}
	c.configs, c.parts, c.graph = nil, nil, nil
}

// Plan is a convolution ready to run.
type Plan struct {
	card      *Card
	plan      *descriptor
	pack      *descriptor
	bias      bool
	workspace int64
	last      [5]uint64 // pointers of pack
}

// Build makes a plan of candidate i; candidates that turn out not to support the problem fail here.
func (c *Candidates) Build(i int) (*Plan, error) {
	defer c.card.enter()()
	d := c.card.cudnn.describe(descPlan)
	d.setPointers(attrPlanHandle, typeHandle, c.card.handle)
	d.setDescriptors(attrPlanConfig, c.configs[i])
	if err := d.finalize(); err != nil {
		d.destroy()
		return nil, err
	}
	p := &Plan{card: c.card, plan: d, bias: c.problem.Op == Forward && c.problem.Bias}
	if _, err := d.get(attrPlanWorkspace, typeInt64, 1, unsafe.Pointer(&p.workspace)); err != nil {
		d.destroy()
		return nil, err
	}
	return p, nil
}

// Workspace is the bytes that the plan needs in addition to its tensors.
func (p *Plan) Workspace() int64 { return p.workspace }

// Run computes. bias may be 0 where the problem has none. The pointers are to x, w and y whatever the direction.
func (p *Plan) Run(x, w, y, bias, workspace uint64) error {
	defer p.card.enter()()
	if now := [5]uint64{x, w, y, bias, workspace}; p.pack == nil || p.last != now {
		if p.pack != nil {
			p.pack.destroy()
		}
		v := p.card.cudnn.describe(descVariantPack)
		ids, data := []int64{idX, idW, idY}, []uintptr{uintptr(x), uintptr(w), uintptr(y)}
		if p.bias {
			ids, data = append(ids, idBias), append(data, uintptr(bias))
		}
		v.setInts(attrPackIDs, ids...)
		v.setPointers(attrPackPointers, typePointer, data...)
		v.setPointers(attrPackWorkspace, typePointer, uintptr(workspace))
		p.pack, p.last = v, now
		if err := v.finalize(); err != nil {
			v.destroy()
			p.pack = nil
			return err
		}
	}
	return p.card.cudnn.check("cudnnBackendExecute", call(p.card.cudnn.execute, p.card.handle, p.plan.ptr, p.pack.ptr))
}

// Close gives the plan back.
func (p *Plan) Close() {
	if p.pack != nil {
		p.pack.destroy()
	}
	p.plan.destroy()
}
