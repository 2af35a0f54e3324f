# Targets for people: build, demo, test, bench, lint, generate, clean. `.ci/run` is what a change must pass.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X github.com/universal-classifier/uc/internal/cli.Version=$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED ?= 0

.PHONY: build demo test bench lint generate clean

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/uc

demo: build
	scripts/demo.sh demo

test:
	$(GO) test -timeout 10m ./...

bench: build
	$(GO) test -run '^$$' -bench . -benchtime 5x ./internal/backend/... ./internal/preprocess/... ./internal/augment/...
	bin/uc bench --shape 64,64,64 --batch 2

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

generate:
	$(GO) generate ./...

clean:
	rm -rf bin dist demo
