# `make help` lists the targets. `.ci/run` is what a change must pass.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X github.com/universal-classifier/uc/internal/cli.Version=$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GORELEASER := github.com/goreleaser/goreleaser/v2@v2.15.1

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := build
.PHONY: help build static demo test test-slurm race noasm arm64 fuzz torture bench lint golangci lint-docs generate wheel release-snapshot cuda-compile gpu-kit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/uc
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/uc

# GPU libraries are opened by the system's loader, on which bin/uc depends for that.
static: ## build bin/static/uc, which needs no C library and drives no GPU, and see that it is static
	CGO_ENABLED=0 $(GO) build -trimpath -tags nogpu -ldflags '$(LDFLAGS)' -o bin/static/ ./cmd/uc
	@! grep -q ld-linux bin/static/uc || { echo "bin/static/uc needs the system's loader"; exit 1; }

demo: build ## plan, train, predict and evaluate artificial scans, in a few minutes
	scripts/demo.sh demo

test: ## run all tests, in less than ten minutes on two cores
	$(GO) test -timeout 10m ./...

test-slurm: build ## run the jobs of `uc submit` on a Slurm of this machine, if slurm-wlm and munge are installed
	scripts/slurm_test.sh bin/uc

# The packages that start goroutines or share memory between them. The race detector needs a C compiler.
RACE ?= ./internal/atomicfile ./internal/device/cpu ./internal/dicom ./internal/feed ./internal/inflate ./internal/interrupt ./internal/lockfile
race: ## test packages with concurrency under the race detector
	CGO_ENABLED=1 $(GO) test -race -short -timeout 20m $(RACE)

# The packages that have machine code are those in which a file names the build tag.
noasm: ## build everything without machine code, and test the packages that have some
	$(GO) build -tags noasm ./...
	$(GO) test -tags noasm -timeout 10m $$(git grep -lE '^//go:build.*noasm' -- '*.go' | xargs -n 1 dirname | grep -v /_asm | sort -u | sed 's|^|./|')

# Kernels, and packages without I/O to speak of, so that the emulator takes seconds; then inference and a training step of
# the whole network against the reference's, at every level. The tests of the network link the C library (as the program
# does, to open those of a GPU). On another machine than Linux on amd64, `make test` is the better test.
ARM64 ?= ./internal/augment/rows ./internal/checkpoint ./internal/cpulevel ./internal/device/cpu/kernel ./internal/fingerprint ./internal/inflate \
	./internal/logistic ./internal/metaimage ./internal/ops ./internal/plan ./internal/preprocess ./internal/resample ./internal/volume \
	./internal/voxels ./internal/weights ./pkg/nifti
ARM64_LIBC ?= /usr/aarch64-linux-gnu
arm64: ## test kernels, leaf packages and the network for arm64 on an emulator (qemu-aarch64-static, libc6-arm64-cross)
	GOARCH=arm64 $(GO) test -timeout 20m -exec qemu-aarch64-static $(ARM64)
	@if test -e $(ARM64_LIBC)/lib/ld-linux-aarch64.so.1; then set -x; \
	GOARCH=arm64 $(GO) test -short -timeout 20m -exec 'qemu-aarch64-static -L $(ARM64_LIBC)' -run 'TestEval$$|TestTrain$$' ./internal/i3d; \
	else echo 'skipped: the network, for which there is no C library of arm64 in $(ARM64_LIBC) (Debian: apt install libc6-arm64-cross)'; fi

fuzz: ## fuzz every reader, FUZZTIME (10s) for each target
	GO='$(GO)' scripts/fuzz.sh

torture: ## fail every file operation of the workflow in turn; about an hour
	UC_TORTURE=full $(GO) test -timeout 6h -count 1 -v ./internal/torture

bench: build ## run the benchmarks of kernels, preprocessing and augmentation once, and uc bench
	$(GO) test -run '^$$' -bench . -benchtime 5x ./internal/device/... ./internal/preprocess/... ./internal/augment/...
	bin/uc bench --shape 64,64,64 --batch 2

lint: ## gofmt, go vet, static analysis
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# As the lint job of the workflow does; building it takes minutes, so that .ci/run is content with make lint.
golangci: ## more static analysis: golangci-lint with .golangci.yml
	$(GO) run $(GOLANGCI) run

lint-docs: ## check the links between Markdown files, and the width of comments
	$(GO) run ./scripts/lintdocs -columns 120

generate: ## regenerate assembly and the reference of the commands
	$(GO) generate ./...

release-snapshot: ## build the release archives of every platform in dist/release, without publishing
	$(GO) run $(GORELEASER) release --snapshot --clean

wheel: ## build the Python package for every platform, and its source distribution, in dist
	GO='$(GO)' python3 scripts/wheel/build_backend.py --out dist --version '$(VERSION)'

# Compiles every CUDA kernel for every card that we name, and has cuDNN check what it would be told, without a card. The two libraries come
# from PyPI into dist/cuda; UC_NVRTC and UC_CUDNN name others. From 9.28 on cuDNN wants the driver for that.
UC_NVRTC ?= $(abspath dist/cuda)/nvidia/cu13/lib/libnvrtc.so.13
UC_CUDNN ?= $(abspath dist/cuda)/nvidia/cudnn/lib/libcudnn.so.9

cuda-compile: ## compile every CUDA kernel for every card named, without a card
	test -e '$(UC_NVRTC)' -a -e '$(UC_CUDNN)' || python3 -m pip install --quiet --no-deps --target dist/cuda nvidia-cuda-nvrtc==13.5.37 nvidia-cudnn-cu13==9.26.0.51
	UC_NVRTC='$(UC_NVRTC)' UC_CUDNN='$(UC_CUDNN)' $(GO) test -count 1 -run 'TestCompile|TestRealCompiler|TestDescriptors' ./internal/device/cuda/...

gpu-kit: build ## collect in dist/gpu-check what scripts/gpu_check.sh needs on a machine with a card
	rm -rf dist/gpu-check
	mkdir -p dist/gpu-check/internal/device/open dist/gpu-check/internal/i3d dist/gpu-check/testdata
	cp bin/uc scripts/gpu_check.sh dist/gpu-check/
	cp -r testdata/layers testdata/network dist/gpu-check/testdata/
	$(GO) test -c -o dist/gpu-check/open.test ./internal/device/open
	$(GO) test -c -o dist/gpu-check/i3d.test ./internal/i3d

clean: ## remove bin, dist and demo
	rm -rf bin dist demo
