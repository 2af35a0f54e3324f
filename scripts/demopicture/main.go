// Command demopicture draws the picture of the README from a finished demo: scans that no fold has seen with what the
// model says of them, and the plots of the evaluation.
//
//	go run ./scripts/demopicture demo docs/demo.png
package main

import (
	"fmt"
	"image"
	"image/color"
	stddraw "image/draw"
	"image/png"
	"io"
	"log"
	"os"
	"path/filepath"

	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

const (
	width, height = 1200, 700
	scans         = 6
	side          = 180 // of a scan
	gap           = (width - scans*side) / (scans + 1)
	fontSize      = 15
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: demopicture DEMO FILE.png")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

// predictions are the parts of predictions.json that the picture shows.
type predictions struct {
	Task  string `json:"task"`
	Model string `json:"model"`
	Cases []struct {
		Case   string `json:"case"`
		Labels []struct {
			Name          string    `json:"name"`
			Value         string    `json:"value"`
			Probabilities []float64 `json:"probabilities"`
		} `json:"labels"`
	} `json:"cases"`
}

func run(demo, path string) error {
	var p predictions
	if err := jsonfile.Read(filepath.Join(demo, "predictions", "predictions.json"), &p); err != nil {
		return err
	}
	face, err := newFace()
	if err != nil {
		return err
	}
	folders, err := task.ResolveFolders(demo)
	if err != nil {
		return err
	}
	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	stddraw.Draw(canvas, canvas.Bounds(), image.White, image.Point{}, stddraw.Src)
	for i, c := range p.Cases[:min(scans, len(p.Cases))] {
		scan, err := middle(filepath.Join(folders.RawTask(p.Task), "imagesTs", c.Case+"_0000.nii.gz"))
		if err != nil {
			return err
		}
		x := gap + i*(side+gap)
		draw.CatmullRom.Scale(canvas, image.Rect(x, gap, x+side, gap+side), scan, scan.Bounds(), draw.Src, nil)
		for k, l := range c.Labels {
			best := 0.0
			for _, v := range l.Probabilities {
				best = max(best, v)
			}
			write(canvas, face, x, gap+side+20+k*20, fmt.Sprintf("%s (%.2f)", l.Value, best))
		}
	}
	top := gap + side + 60
	for i, plot := range []string{filepath.Join("evaluation", "roc_Size.png"), filepath.Join("evaluation", "confusion_Size.png")} {
		img, err := readPNG(filepath.Join(p.Model, plot))
		if err != nil {
			return err
		}
		at := image.Rect(i*width/2, top, (i+1)*width/2, height)
		draw.CatmullRom.Scale(canvas, at, img, img.Bounds(), draw.Src, nil)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		return (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(w, canvas)
	})
}

func newFace() (font.Face, error) {
	f, err := opentype.Parse(liberationsansregular.TTF)
	if err != nil {
		return nil, err
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
}

func write(canvas *image.RGBA, face font.Face, x, y int, text string) {
	d := font.Drawer{Dst: canvas, Src: image.NewUniform(color.Gray{40}), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

// middle is the brightest axial slice of a scan, its grey values spread over the whole range.
func middle(path string) (image.Image, error) {
	img, err := nifti.ReadImage(path)
	if err != nil {
		return nil, err
	}
	plane := img.Size[1] * img.Size[2]
	best, brightest := 0, -1.0
	for z := range img.Size[0] {
		sum := 0.0
		for _, v := range img.Data[z*plane : (z+1)*plane] {
			sum += float64(v) * float64(v)
		}
		if sum > brightest {
			best, brightest = z, sum
		}
	}
	slice := img.Data[best*plane : (best+1)*plane]
	low, high := slice[0], slice[0]
	for _, v := range slice {
		low, high = min(low, v), max(high, v)
	}
	out := image.NewGray(image.Rect(0, 0, img.Size[2], img.Size[1]))
	for i, v := range slice {
		out.Pix[i] = uint8(255 * (v - low) / max(high-low, 1e-6))
	}
	return out, nil
}

func readPNG(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return png.Decode(f)
}
