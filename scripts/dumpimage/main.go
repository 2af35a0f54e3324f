// Command dumpimage reads image files and writes what uc sees in each as OUT/<i>.npy (float32, z, y, x) and
// OUT/<i>.json (geometry), for comparison with other programs. A file that is refused gives OUT/<i>.err.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/npz"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: dumpimage OUT FILE...")
	}
	out := os.Args[1]
	for i, path := range os.Args[2:] {
		at := func(ext string) string { return filepath.Join(out, fmt.Sprint(i)+ext) }
		im, err := imagefile.ReadImage(path)
		if err != nil {
			check(os.WriteFile(at(".err"), []byte(err.Error()+"\n"), 0o644))
			continue
		}
		check(npz.WriteNPY(at(".npy"), npz.Array{Shape: im.Size[:], Data: im.Data}))
		b, err := json.Marshal(im.Geometry)
		check(err)
		check(os.WriteFile(at(".json"), b, 0o644))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
