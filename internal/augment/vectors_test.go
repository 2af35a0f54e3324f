package augment

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/npz"
)

// mix returns n numbers in [0, 1): a hash of index and salt, as scripts/gen_augment_vectors.py makes them.
func mix(n int, salt uint32) []float32 {
	out := make([]float32, n)
	for i := range out {
		h := uint32(i) + salt*1000003
		h = (h ^ h>>16) * 0x7feb352d
		h = (h ^ h>>15) * 0x846ca68b
		h ^= h >> 16
		out[i] = float32(h>>8) / (1 << 24)
	}
	return out
}

// generatedSample is the input of the vectors in testdata.
func generatedSample(shape [3]int) []float32 {
	data := mix(shape[0]*shape[1]*shape[2], 1)
	for i, v := range data {
		data[i] = 4*v - 2
	}
	for z := range shape[0] {
		for y := range shape[1] {
			for x := range shape[2] {
				data = append(data, float32((z/3+2*(y/4)+3*(x/5))%4-1))
			}
		}
	}
	return data
}

func TestGeneratedVectors(t *testing.T) {
	var meta struct {
		Shape   [3]int
		Vectors []struct {
			Name, Transform     string
			Dummy2D             bool `json:"dummy_2d"`
			Alpha, Sigma, Scale float64
			Angles              []float64
			Value               float64
		}
	}
	text, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	arrays, err := npz.Read(filepath.Join("testdata", "vectors.npz"))
	if err != nil {
		t.Fatal(err)
	}
	original := generatedSample(meta.Shape)
	eachLevel(t, func(t *testing.T) {
		for _, v := range meta.Vectors {
			t.Run(v.Name, func(t *testing.T) {
				p := NewPipeline(DefaultParams(v.Dummy2D, nil, 1), meta.Shape, 1)
				sample := slices.Clone(original)
				channel := p.channel(sample, 0)
				if v.Transform != "spatial" {
					at := slices.Index(transformNames[:], v.Transform)
					p.intensity(Transform(at), Channel{Apply: true, Value: v.Value}, channel)
					compare(t, channel, arrays[v.Name+"/data"].Floats(), tolerance)
					return
				}
				s := Spatial{Rotation: v.Angles != nil, Scaling: v.Scale != 0, Scale: v.Scale}
				copy(s.Angles[:], v.Angles)
				var field []float32
				if v.Alpha != 0 {
					shape, axes := meta.Shape, 3
					if v.Dummy2D {
						shape[0], axes = 1, 2
					}
					n := shape[0] * shape[1] * shape[2]
					for axis := range axes {
						field = append(field, mix(n, uint32(10+axis))...)
					}
					for i, u := range field {
						field[i] = 2*u - 1
					}
					p.scratch.elasticField(field, shape, v.Alpha, v.Sigma, v.Dummy2D)
				}
				p.resample(&s, field, sample)
				compare(t, channel, arrays[v.Name+"/data"].Floats(), tolerance)
				// A voxel on the edge between two labels may fall to either side by rounding.
				if wrong := count(p.channel(sample, 1), arrays[v.Name+"/mask"].Floats()); wrong > p.voxels/10000 {
					t.Errorf("mask: %d of %d voxels differ", wrong, p.voxels)
				}
			})
		}
	})
}
