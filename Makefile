# Targets for people: build, demo, test, torture, bench, lint, generate, wheel, cuda-compile, gpu-kit, clean. `.ci/run` is what a change must pass.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X github.com/universal-classifier/uc/internal/cli.Version=$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED ?= 0

.PHONY: build demo test torture bench lint generate wheel cuda-compile gpu-kit clean

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/uc

demo: build
	scripts/demo.sh demo

test:
	$(GO) test -timeout 10m ./...

# Ends plan, train, predict and evaluate at every file operation, fails it, and finds the disk full; about an hour.
torture:
	UC_TORTURE=full $(GO) test -timeout 6h -count 1 -v ./internal/torture

bench: build
	$(GO) test -run '^$$' -bench . -benchtime 5x ./internal/device/... ./internal/preprocess/... ./internal/augment/...
	bin/uc bench --shape 64,64,64 --batch 2

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

generate:
	$(GO) generate ./...

# The Python package for every platform, and its source distribution, in dist.
wheel:
	GO='$(GO)' python3 scripts/wheel/build_backend.py --out dist --version '$(VERSION)'

# Compiles every CUDA kernel for every card that we name, and has cuDNN check what it would be told, without a card. The two libraries come
# from PyPI into dist/cuda; UC_NVRTC and UC_CUDNN name others. From 9.28 on cuDNN wants the driver for that.
UC_NVRTC ?= $(abspath dist/cuda)/nvidia/cu13/lib/libnvrtc.so.13
UC_CUDNN ?= $(abspath dist/cuda)/nvidia/cudnn/lib/libcudnn.so.9

cuda-compile:
	test -e '$(UC_NVRTC)' -a -e '$(UC_CUDNN)' || python3 -m pip install --quiet --no-deps --target dist/cuda nvidia-cuda-nvrtc==13.5.37 nvidia-cudnn-cu13==9.26.0.51
	UC_NVRTC='$(UC_NVRTC)' UC_CUDNN='$(UC_CUDNN)' $(GO) test -count 1 -run 'TestCompile|TestRealCompiler|TestDescriptors' ./internal/device/cuda/...

# What scripts/gpu_check.sh needs on a machine with a card, in one folder; Go is not among it.
gpu-kit: build
	rm -rf dist/gpu-check
	mkdir -p dist/gpu-check/internal/device/open dist/gpu-check/internal/i3d dist/gpu-check/testdata
	cp bin/uc scripts/gpu_check.sh dist/gpu-check/
	cp -r testdata/layers testdata/network dist/gpu-check/testdata/
	$(GO) test -c -o dist/gpu-check/open.test ./internal/device/open
	$(GO) test -c -o dist/gpu-check/i3d.test ./internal/i3d

clean:
	rm -rf bin dist demo
