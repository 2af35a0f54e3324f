package view

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/marks"
	"github.com/universal-classifier/uc/internal/preview"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// serve serves three cases: one with a scan, one whose scan is broken, one without.
func serve(t *testing.T) (*Server, string) {
	t.Helper()
	dir := t.TempDir()
	g := volume.Geometry{Size: [3]int{6, 20, 20}, Spacing: [3]float64{3, 1, 1}}
	image, mask := make([]int16, g.Voxels()), make([]int16, g.Voxels())
	for i := range image {
		image[i] = int16(i)
		if i%20 > 8 && i%20 < 12 && i/20%20 > 8 && i/20%20 < 12 {
			mask[i] = 1
		}
	}
	c := task.Case{ID: "whole", Images: []string{filepath.Join(dir, "a_0000.nii")}, Mask: filepath.Join(dir, "a.nii")}
	broken := task.Case{ID: "broken", Images: []string{filepath.Join(dir, "b_0000.nii")}, Mask: c.Mask}
	if err := nifti.WriteInt16(c.Images[0], g, image); err != nil {
		t.Fatal(err)
	}
	if err := nifti.WriteInt16(c.Mask, g, mask); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken.Images[0], []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	var predictions []evaluate.Prediction
	for i, id := range []string{"broken", "none", "whole"} {
		predictions = append(predictions, evaluate.Prediction{Case: id, Targets: []int{i % 2}, Logits: [][]float64{{0, 1}}})
	}
	table, err := marks.Open(filepath.Join(dir, marks.File))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Listen(0, Options{Report: evaluate.Evaluate([]task.Label{{Name: "L", Values: []string{"no", "yes"}}}, predictions),
		Cases: []task.Case{c, broken}, Masked: true, Modalities: []string{"MRI"}, Marks: table, Heat: func(_ context.Context, c task.Case) ([]preview.Heat, error) {
			if c.ID != "whole" {
				return nil, errors.New("no network")
			}
			return []preview.Heat{{Name: "L: yes", Image: &volume.Image{Geometry: g, Data: make([]float32, g.Voxels())}}}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, table.Path
}

// ask sends a request with headers, name and value in turn.
func ask(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	q, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			q.Host = headers[i+1]
		} else {
			q.Header.Set(headers[i], headers[i+1])
		}
	}
	a, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(b)
}

func TestPageAndScans(t *testing.T) {
	s, _ := serve(t)
	if host, _, _ := net.SplitHostPort(s.listener.Addr().String()); host != "127.0.0.1" {
		t.Errorf("listens on %s", host)
	}
	code, h, page := ask(t, "GET", s.URL(), "")
	if code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(page, "connect-src 'self'") || !strings.Contains(page, s.token) || h.Get("Cache-Control") != "no-store" {
		t.Errorf("the page: %d, %v", code, h)
	}
	code, _, text := ask(t, "GET", s.URL()+"scans/2", "")
	if code != 200 || !strings.Contains(text, `"kind":"roi"`) || !strings.Contains(text, `"name":"MRI"`) {
		t.Errorf("scan: %d %s", code, text)
	}
	code, h, text = ask(t, "GET", s.URL()+"scans/2/0", "")
	var meta struct {
		Size [3]int
		Type string
	}
	if err := json.Unmarshal([]byte(h.Get(volumeHeader)), &meta); err != nil || code != 200 || meta.Type != "int16" || meta.Size != [3]int{6, 20, 20} || len(text) != 2*6*20*20 {
		t.Errorf("volume: %d %v %d bytes %v", code, meta, len(text), err)
	}
	if code, h, text := ask(t, "GET", s.URL()+"scans/2/2", ""); code != 200 || !strings.Contains(h.Get(volumeHeader), "float32") || len(text) != 4*6*20*20 {
		t.Errorf("heat: %d, %d bytes", code, len(text))
	}
	if code, _, text := ask(t, "GET", s.URL()+"scans/0/2", ""); code != 500 || !strings.Contains(text, "no network") {
		t.Errorf("heat that fails: %d %s", code, text)
	}
	if code, h, _ := ask(t, "GET", s.URL()+"thumbs/2.jpg", ""); code != 200 || h.Get("Content-Type") != "image/jpeg" {
		t.Errorf("thumbnail: %d", code)
	}
	for _, path := range []string{"scans/1", "scans/1/0", "scans/3", "scans/-1", "scans/2/3", "scans/2/-1", "scans/x", "scans/2/x", "thumbs/1.jpg", "absent",
		"../", "scans/../../etc/passwd", "scans/..%2f..%2fetc%2fpasswd", "scans/2/%2e%2e", "scans//etc/passwd", "marks"} {
		if code, _, text := ask(t, "GET", s.URL()+path, ""); code < 300 || strings.Contains(text, "root:") || code >= 500 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _, text := ask(t, "GET", s.URL()+"scans/0/0", ""); code != 500 || !strings.Contains(text, "b_0000.nii") {
		t.Errorf("a broken scan: %d %s", code, text)
	}
}

func TestOtherPagesAndUsersAreRefused(t *testing.T) {
	s, _ := serve(t)
	port := strings.TrimPrefix(s.host, "127.0.0.1")
	for name, r := range map[string]struct {
		method, url string
		headers     []string
		want        int
	}{
		"no secret":                {"GET", "http://" + s.host + "/", nil, 404},
		"a wrong secret":           {"GET", "http://" + s.host + "/" + strings.Repeat("x", len(s.token)) + "/scans/2", nil, 404},
		"DNS rebinding":            {"GET", s.URL(), []string{"Host", "evil.example" + port}, 403},
		"another port":             {"GET", s.URL(), []string{"Host", "127.0.0.1:1"}, 403},
		"embedded elsewhere":       {"GET", s.URL() + "scans/2/0", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		"framed elsewhere":         {"GET", s.URL(), []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		"another port of the host": {"GET", s.URL() + "scans/2/0", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, 403},
		"a link":                   {"GET", s.URL(), []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		"typed":                    {"GET", s.URL(), []string{"Sec-Fetch-Site", "none"}, 200},
		"a form elsewhere":         {"POST", s.URL() + "marks", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		"PUT":                      {"PUT", s.URL() + "marks", nil, 405},
		"DELETE":                   {"DELETE", s.URL(), nil, 405},
	} {
		if code, h, _ := ask(t, r.method, r.url, "", r.headers...); code != r.want || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d, want %d", name, code, r.want)
		}
	}
}

func TestMarks(t *testing.T) {
	s, path := serve(t)
	good := []string{"Content-Type", "application/json", "X-Page-Token", s.token, "Origin", "http://" + s.host, "Sec-Fetch-Site", "same-origin"}
	with := func(name, value string) []string {
		out := append([]string{}, good...)
		for i := 0; i < len(out); i += 2 {
			if out[i] == name {
				out[i+1] = value
			}
		}
		return out
	}
	post := func(body string, headers []string) int {
		code, _, _ := ask(t, "POST", s.URL()+"marks", body, headers...)
		return code
	}
	mark := `{"case":"whole","mark":"exclude","comment":"=motion, \"blurred\"\nbadly"}`
	for name, r := range map[string]struct {
		body    string
		headers []string
		want    int
	}{
		"another origin":    {mark, with("Origin", "http://evil.example"), 403},
		"null origin":       {mark, with("Origin", "null"), 403},
		"no token":          {mark, with("X-Page-Token", ""), 403},
		"a form":            {mark, with("Content-Type", "text/plain"), 415},
		"an unknown case":   {`{"case":"../../etc/passwd","mark":"exclude"}`, good, 404},
		"an unknown mark":   {`{"case":"whole","mark":"delete"}`, good, 400},
		"an unknown field":  {`{"case":"whole","mark":"exclude","path":"/etc/passwd"}`, good, 400},
		"no JSON":           {"mark", good, 400},
		"too long":          {fmt.Sprintf(`{"case":"whole","mark":"exclude","comment":%q}`, strings.Repeat("x", 501)), good, 400},
		"much too long":     {fmt.Sprintf(`{"case":"whole","mark":"exclude","comment":%q}`, strings.Repeat("x", 1<<20)), good, 400},
		"a mark to take up": {`{"case":"none","mark":""}`, good, 204},
	} {
		if code := post(r.body, r.headers); code != r.want {
			t.Errorf("%s: %d, want %d", name, code, r.want)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a refused mark was written")
	}
	if code := post(mark, good); code != 204 {
		t.Fatalf("a mark: %d", code)
	}
	table, err := marks.Read(path)
	if err != nil || len(table.Marks) != 1 || table.Marks[0].Action != marks.Exclude || table.Marks[0].Comment != `=motion, "blurred" badly` {
		t.Fatalf("%v, %+v", err, table)
	}
	if _, _, page := ask(t, "GET", s.URL(), ""); !strings.Contains(page, `"whole":{"mark":"exclude"`) {
		t.Error("the page does not show the mark")
	}
	if code := post(`{"case":"whole","mark":""}`, good); code != 204 {
		t.Fatalf("taking a mark back: %d", code)
	}
	if table, err := marks.Read(path); err != nil || len(table.Marks) != 0 {
		t.Errorf("%v, %+v", err, table)
	}
}
