// Package view serves the page of an evaluation on this computer alone, with scans in full resolution, and keeps the
// marks of a reader.
package view

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/marks"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/readable"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/task"
)

// Options are what is served.
type Options struct {
	Report     *evaluate.Report
	Details    map[string][]report.Detail
	Cases      []task.Case // whose scans there are; others of the report are shown without
	Masked     bool        // masks came with the data
	Modalities []string
	Marks      *marks.Table
	// Heat gives the maps of a case, one of each label of the report; nil for none. It is called when a reader asks for
	// one, for one case at a time.
	Heat func(context.Context, task.Case) ([]preview.Heat, error)
}

// Bounds of requests.
const (
	maxBody    = 64 << 10
	maxComment = 500
	atOnce     = 2 // scans that are read at a time
)

// Server is the page, its scans and the marks, on one port of the loopback device.
type Server struct {
	o        Options
	listener net.Listener
	host     string // that requests must be to
	token    string // first part of every path
	cases    map[string]task.Case
	reading  chan struct{}

	mu sync.Mutex // guards o.Marks

	heating  sync.Mutex // guards what follows
	heated   string     // case whose maps are kept
	heatMaps []preview.Heat
}

// Listen opens a port of the loopback device, any that is free if port is 0.
func Listen(port int, o Options) (*Server, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 18)
	_, _ = rand.Read(secret) // never fails
	s := &Server{o: o, listener: l, host: l.Addr().String(), token: base64.RawURLEncoding.EncodeToString(secret),
		cases: map[string]task.Case{}, reading: make(chan struct{}, atOnce)}
	for _, c := range o.Cases {
		s.cases[c.ID] = c
	}
	return s, nil
}

// URL is the address of the page. It holds a secret, so that other users of the computer do not find the page.
func (s *Server) URL() string { return "http://" + s.host + "/" + s.token + "/" }

// Run answers requests until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan error, 1)
	go func() { done <- server.Serve(s.listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(end) // whoever still reads is cut off
		return nil
	}
}

// handler refuses what does not come from the page itself, and sends the rest on.
func (s *Server) handler() http.Handler {
	paths := http.NewServeMux()
	at := "/" + s.token + "/"
	paths.HandleFunc("GET "+at+"{$}", s.page)
	paths.HandleFunc("GET "+at+"scans/{case}", s.scan)
	paths.HandleFunc("GET "+at+"scans/{case}/{layer}", s.layer)
	paths.HandleFunc("GET "+at+"thumbs/{case}", s.thumb)
	paths.HandleFunc("POST "+at+"marks", s.mark)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Content-Security-Policy", "frame-ancestors 'none'")
		// A name of somebody else's that points at this computer must not reach the page (DNS rebinding).
		if q.Host != s.host {
			http.Error(w, "this page is served to "+s.host+" alone", http.StatusForbidden)
			return
		}
		if site := q.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && (site != "none" || q.Method != http.MethodGet) && !navigates(q) {
			http.Error(w, "requests of other pages are refused", http.StatusForbidden)
			return
		}
		// Whoever does not know the secret does not learn what there is.
		if !strings.HasPrefix(q.URL.Path, at) || subtle.ConstantTimeCompare([]byte(q.URL.Path[:len(at)]), []byte(at)) != 1 {
			http.Error(w, "not found: open the address that was printed when the page was started", http.StatusNotFound)
			return
		}
		paths.ServeHTTP(w, q)
	})
}

// navigates reports whether a browser follows a link to the page, which may stand anywhere.
func navigates(q *http.Request) bool {
	return q.Method == http.MethodGet && q.Header.Get("Sec-Fetch-Mode") == "navigate" && q.Header.Get("Sec-Fetch-Dest") == "document"
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	live := &report.Live{Token: s.token, Marks: map[string]*report.Mark{}}
	s.mu.Lock()
	live.File = s.o.Marks.Path
	for _, m := range s.o.Marks.Marks {
		live.Marks[m.Case] = &report.Mark{Action: m.Action, Comment: m.Comment}
	}
	s.mu.Unlock()
	for _, c := range s.o.Cases {
		live.Scans = append(live.Scans, c.ID)
	}
	var b bytes.Buffer
	if err := report.WritePage(&b, s.o.Report, &report.Page{Details: s.o.Details, Live: live}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// find is the case at a place of the report that a path names, if its scan is there.
func (s *Server) find(w http.ResponseWriter, q *http.Request) (task.Case, bool) {
	at, err := strconv.Atoi(strings.TrimSuffix(q.PathValue("case"), ".jpg"))
	if err == nil && at >= 0 && at < len(s.o.Report.Predictions) {
		if c, known := s.cases[s.o.Report.Predictions[at].Case]; known {
			return c, true
		}
	}
	http.Error(w, "there is no scan of this case", http.StatusNotFound)
	return task.Case{}, false
}

// layers are the files of a case in the order in which the page asks for them, then its heat maps, which have none.
func (s *Server) layers(c task.Case) (paths []string, described []report.Layer) {
	for i, path := range c.Images {
		name := "image"
		if i < len(s.o.Modalities) {
			name = s.o.Modalities[i]
		}
		paths, described = append(paths, path), append(described, report.Layer{Kind: report.LayerImage, Name: name, Slope: 1})
	}
	if s.o.Masked && c.Mask != "" {
		paths, described = append(paths, c.Mask), append(described, report.Layer{Kind: report.LayerROI, Name: "region of interest", Slope: 1})
	}
	if s.o.Heat != nil {
		for _, l := range s.o.Report.Labels {
			described = append(described, report.Layer{Kind: report.LayerHeat, Name: readable.Name(l.Name), Slope: 1})
		}
	}
	return paths, described
}

// heat is a heat map of a case; those of the last case are kept.
func (s *Server) heat(ctx context.Context, c task.Case, at int) (*preview.Full, error) {
	s.heating.Lock()
	defer s.heating.Unlock()
	if s.heated != c.ID || s.heatMaps == nil {
		maps, err := s.o.Heat(ctx, c)
		if err != nil {
			return nil, err
		}
		s.heated, s.heatMaps = c.ID, maps
	}
	if at >= len(s.heatMaps) {
		return nil, fmt.Errorf("case %s: there is no heat map of this label", c.ID)
	}
	return preview.HeatFull(s.heatMaps[at]), nil
}

func (s *Server) scan(w http.ResponseWriter, q *http.Request) {
	c, found := s.find(w, q)
	if !found {
		return
	}
	_, layers := s.layers(c)
	send(w, "application/json", func(w io.Writer) error {
		return json.NewEncoder(w).Encode(map[string]any{"layers": layers, "about": "The scan as it is stored."})
	})
}

func send(w http.ResponseWriter, kind string, write func(io.Writer) error) {
	w.Header().Set("Content-Type", kind)
	_ = write(w) // the reader is gone
}

// volumeHeader says what the voxels of a layer are.
const volumeHeader = "X-Volume"

func (s *Server) layer(w http.ResponseWriter, q *http.Request) {
	c, found := s.find(w, q)
	if !found {
		return
	}
	paths, layers := s.layers(c)
	k, err := strconv.Atoi(q.PathValue("layer"))
	if err != nil || k < 0 || k >= len(layers) {
		http.Error(w, "there is no such volume", http.StatusNotFound)
		return
	}
	release, err := s.wait(q.Context())
	if err != nil {
		return
	}
	defer release()
	var f *preview.Full
	if k < len(paths) {
		f, err = preview.ReadFull(q.Context(), paths[k], layers[k].Kind == report.LayerROI)
	} else {
		f, err = s.heat(q.Context(), c, k-len(paths))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	meta, err := json.Marshal(map[string]any{"size": f.Size, "affine": f.Affine, "type": f.Type})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set(volumeHeader, string(meta))
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Data)))
	send(w, "application/octet-stream", func(w io.Writer) error { _, err := w.Write(f.Data); return err })
}

// wait waits for its turn to read a scan.
func (s *Server) wait(ctx context.Context) (release func(), err error) {
	select {
	case s.reading <- struct{}{}:
		return func() { <-s.reading }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

const thumbBytes = 200 << 10

func (s *Server) thumb(w http.ResponseWriter, q *http.Request) {
	c, found := s.find(w, q)
	if !found {
		return
	}
	release, err := s.wait(q.Context())
	if err != nil {
		return
	}
	defer release()
	made, err := preview.Make(q.Context(), []task.Case{c}, s.o.Masked, s.o.Modalities, preview.Options{Bytes: thumbBytes}, progress.Discard)
	if err != nil || made[0] == nil || len(made[0].Thumb) == 0 {
		http.Error(w, "the scan cannot be read", http.StatusInternalServerError)
		return
	}
	send(w, "image/jpeg", func(w io.Writer) error { _, err := w.Write(made[0].Thumb); return err })
}

// mark keeps what a reader said of a case. Only the page itself may ask for it.
func (s *Server) mark(w http.ResponseWriter, q *http.Request) {
	refuse := func(code int, format string, args ...any) { http.Error(w, fmt.Sprintf(format, args...), code) }
	if origin := q.Header.Get("Origin"); origin != "" && origin != "http://"+s.host {
		refuse(http.StatusForbidden, "requests of other pages are refused")
		return
	}
	if subtle.ConstantTimeCompare([]byte(q.Header.Get("X-Page-Token")), []byte(s.token)) != 1 {
		refuse(http.StatusForbidden, "the page is of an earlier run: load it again")
		return
	}
	if kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(http.StatusUnsupportedMediaType, "expected application/json")
		return
	}
	var m struct {
		Case    string `json:"case"`
		Mark    string `json:"mark"`
		Comment string `json:"comment"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, q.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		refuse(http.StatusBadRequest, "not a mark: %v", err)
		return
	}
	switch {
	case !slices.ContainsFunc(s.o.Report.Predictions, func(p evaluate.Prediction) bool { return p.Case == m.Case }):
		refuse(http.StatusNotFound, "there is no such case")
		return
	case m.Mark != "" && m.Mark != marks.Relabel && m.Mark != marks.Exclude:
		refuse(http.StatusBadRequest, "mark %q, expected %s, %s or nothing", m.Mark, marks.Relabel, marks.Exclude)
		return
	case len([]rune(m.Comment)) > maxComment:
		refuse(http.StatusBadRequest, "the comment has more than %d characters", maxComment)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.o.Marks.Set(m.Case, m.Mark, m.Comment); err != nil {
		refuse(http.StatusInternalServerError, "%v", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
