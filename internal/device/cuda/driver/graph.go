package driver

import "unsafe"

// Graph is what was launched between BeginCapture and EndCapture.
type Graph struct {
	card *Card
	exec uintptr
}

// captureRelaxed is CU_STREAM_CAPTURE_MODE_RELAXED: calls come from any thread, and uploads ahead of time continue
// alongside the capture.
const captureRelaxed = 2

// BeginCapture records what is launched instead of running it.
func (c *Card) BeginCapture() error {
	defer c.enter()()
	return c.cuda.check("cuStreamBeginCapture", call(c.cuda.beginCapture, c.stream, captureRelaxed))
}

// EndCapture makes a graph of what was launched since BeginCapture. Nothing of it has run.
func (c *Card) EndCapture() (*Graph, error) {
	defer c.enter()()
	var graph uintptr
	if err := c.cuda.check("cuStreamEndCapture", call(c.cuda.endCapture, c.stream, uintptr(unsafe.Pointer(&graph)))); err != nil {
		return nil, err
	}
	defer call(c.cuda.graphDestroy, graph)
	g := &Graph{card: c}
	if err := c.cuda.check("cuGraphInstantiate", call(c.cuda.graphInstantiate, uintptr(unsafe.Pointer(&g.exec)), graph, 0)); err != nil {
		return nil, err
	}
	return g, nil
}

// Launch runs the graph, in order with everything else on the stream.
func (g *Graph) Launch() error {
	defer g.card.enter()()
	return g.card.check("cuGraphLaunch", call(g.card.cuda.graphLaunch, g.exec, g.card.stream))
}

// Close gives the graph back, once it has run.
func (g *Graph) Close() {
	defer g.card.enter()()
	call(g.card.cuda.execDestroy, g.exec)
}
