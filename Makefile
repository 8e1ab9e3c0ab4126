# Quantrac. `make help` lists the targets; Go and make suffice for run and test.
GO      ?= go
TOOL     = $(GO) tool -modfile=tools/go.mod
BIN      = bin/quantrac
DATA    ?= data
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  = -ldflags "-X main.version=$(VERSION)"

.DEFAULT_GOAL := help
.PHONY: help run build test race fuzz lint vuln generate checkgenerate bench score clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-zA-Z_%-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## start the service with the simulated network (Ctrl-C ends it; data stay in ./data)
	$(BIN) serve --dev --simulate --data $(DATA)

build: ## build bin/quantrac
	$(GO) build -trimpath $(LDFLAGS) -o $(BIN) ./cmd/quantrac

test: ## all tests (under 10 minutes on 2 cores)
	$(GO) test -timeout 10m ./...

race: ## the concurrent packages under the race detector
	$(GO) test -race -timeout 20m ./internal/journal/... ./internal/projection/... ./tsdb/ ./collector/... ./devices/... ./alerting/... ./forecast/ ./dashboards/

lint: ## formatting, vet, staticcheck, module files
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(GO) mod tidy -diff

vuln: ## known vulnerabilities in what we call (needs the vulnerability database)
	$(TOOL) govulncheck ./...

generate: ## rebuild generated Go and the page's assets (needs npm)
	$(GO) generate ./...

checkgenerate: generate ## fail where committed generated files are not current
	@test -z "$$(git status --porcelain -- api dashboards)" || { git status --short -- api dashboards; echo "generated files are not current: commit what make generate made"; exit 1; }

bench: ## the weekly-trend figures
	$(GO) run ./cmd/bench

score-%: ## scorecard of one room, such as score-flood
	$(GO) run ./internal/score $*

clean: ## remove what was built (never data)
	rm -rf bin dist
