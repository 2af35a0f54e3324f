package fingerprint

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestDistributionsSurviveEncoding(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		data, mask := make([]float32, 1+rng.IntN(500)), []int16(nil)
		for i := range data {
			data[i] = float32(rng.NormFloat64() * 1000)
			if rng.IntN(2) == 0 {
				data[i] = float32(int(data[i]))
			}
			mask = append(mask, 1)
		}
		d := Sample(data, mask, 1+rng.IntN(3))
		got, err := Decode(d.Encode())
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Fatalf("%v became %v, %v", d, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{5, 1, 3, 2})
	f.Add([]byte{0, 1, 0, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			return
		}
		for i := range d.key {
			if d.count[i] == 0 || i > 0 && d.key[i] <= d.key[i-1] {
				t.Fatalf("%v is no multiset in order", d)
			}
		}
		if again, err := Decode(d.Encode()); err != nil || !reflect.DeepEqual(again, d) || len(d.Encode()) > len(b) && !bytes.Equal(d.Encode(), b) {
			t.Fatalf("%v became %v, %v", d, again, err)
		}
	})
}
