# sharpeyes: make run, make test, make check. See README.md.
SHELL := /bin/sh
GO ?= go
UI := api/web/ui

# Tools are pinned and come through the Go module proxy.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
REVIVE := github.com/mgechev/revive@v1.15.0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)

.PHONY: help run build check test lint ui ui-check race e2e chaos soak bench bench-gb28181 fuzz fmt clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

run: ## install what is missing, build, start the demonstration
	@deployments/packages.sh run
	@$(MAKE) --no-print-directory build
	@deployments/onnxruntime.sh bin || echo "==> Going on with OpenCV"
	@exec bin/sharpeyes standalone --config configs/demo.yaml --clips configs/clips

build: ## build bin/sharpeyes
	@echo "==> Building bin/sharpeyes (the first time OpenCV's binding compiles for some minutes)"
	@$(GO) build -ldflags '$(LDFLAGS)' -o bin/sharpeyes ./cmd/sharpeyes

check: lint ## the quick loop: format, vet, lint, pure tests without C
	CGO_ENABLED=0 $(GO) test ./...

lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt these files:"; echo "$$out"; exit 1; }
	CGO_ENABLED=0 $(GO) vet ./...
	CGO_ENABLED=0 $(GO) run $(STATICCHECK) ./...
	CGO_ENABLED=0 $(GO) run $(REVIVE) -config .revive.toml -set_exit_status ./...

test: ## everything that CI runs; installs what is missing
	@deployments/packages.sh test
	@deployments/onnxruntime.sh bin || echo "==> ONNX Runtime is NOT TESTED"
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory ui-check
	@$(MAKE) --no-print-directory race
	@$(MAKE) --no-print-directory e2e
	SHARPEYES_CHAOS=short $(GO) test -count=1 -timeout 5m -run TestChaos -v ./cmd/sharpeyes

race:
	$(GO) vet ./...
	$(GO) mod verify
	$(GO) test -race ./...

e2e: build ## the built binary, real Redis, real clips, a real browser
	SHARPEYES_E2E=1 $(GO) test -count=1 -timeout 12m -run 'TestE2E' -v ./cmd/sharpeyes

chaos: build ## ten minutes of blows against real processes; prints what was lost: nothing
	@deployments/packages.sh test
	SHARPEYES_CHAOS=full $(GO) test -count=1 -timeout 20m -run TestChaos -v ./cmd/sharpeyes

SHARPEYES_SOAK ?= 1h
soak: build ## an hour of steady alerts and outages; fails if memory or descriptors grow
	@deployments/packages.sh test
	SHARPEYES_SOAK=$(SHARPEYES_SOAK) $(GO) test -count=1 -timeout 25h -run TestSoak -v ./cmd/sharpeyes

$(UI)/node_modules: $(UI)/package-lock.json
	cd $(UI) && npm ci --no-audit --no-fund
	@touch $@

ui: $(UI)/node_modules ## build the page into api/web/dist (committed)
	cd $(UI) && npm run build

ui-check: $(UI)/node_modules
	cd $(UI) && npm run check
	cd $(UI) && npm run build
	@git diff --exit-code --stat -- api/web/dist || { echo "api/web/dist is not what the sources build: commit the result of make ui"; exit 1; }

bench: build ## the table of the README, with this machine's name
	@deployments/packages.sh test
	@deployments/onnxruntime.sh bin || echo "==> ONNX Runtime is not measured"
	bin/sharpeyes bench

bench-gb28181: ## GB/T 28181: SIPp's registrations and keepalives, calls, media, demuxer
	@deployments/packages.sh bench
	@echo "==> $$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), $$(nproc) cores; CPU is of the platform's process, kernel included"
	$(GO) test -run '^$$' -bench SIPp -benchtime 1x -timeout 30m ./gb28181
	$(GO) test -run '^$$' -bench . -skip SIPp -timeout 30m ./gb28181 ./gb28181/media ./gb28181/ps

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME each
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "==> $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p || exit 1; \
		done; \
	done

fmt:
	gofmt -w $$(git ls-files '*.go')

clean: ## remove what was built; data stays
	rm -rf bin $(UI)/node_modules
