package cuda

import (
	"os"
	"testing"

	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// TestRealCompiler compiles all kernels with the NVRTC that UC_NVRTC names, by way of the calls that a card uses.
func TestRealCompiler(t *testing.T) {
	path := os.Getenv("UC_NVRTC")
	if path == "" {
		t.Skip("UC_NVRTC does not name a libnvrtc.so")
	}
	for _, capability := range []int{75, 86, 90} {
		n, err := driver.Compile(path, capability, kernels.Source(), func(arch int) []string { return kernels.Options(kernels.BFloat16, arch) })
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("compute capability %d.%d: %d bytes", capability/10, capability%10, n)
	}
}
