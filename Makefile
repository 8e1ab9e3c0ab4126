# Quantrac. `make help` lists the targets; Go and make suffice for run and test.
GO      ?= go
TOOL     = $(GO) tool -modfile=tools/go.mod
BIN      = bin/quantrac
DATA    ?= data
SCALE   ?= full
SERIES  ?= 1000000
VALUES  ?= 10000000
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  = -ldflags "-X main.version=$(VERSION)"

# What runs under the race detector, and of it the tests that take minutes there in
# which one goroutine works: damage, formats, comparisons with an oracle.
RACE       = CGO_ENABLED=1 $(GO) test -race -timeout 20m
CONCURRENT = ./internal/journal/ ./internal/projection/ ./internal/backup/... ./internal/turnstile/ ./tsdb/ ./tsdb/promql/ \
	./collector/ ./collector/deadletter/ ./collector/influx/ ./collector/mqtt/ ./devices/... \
	./alerting/ ./alerting/outbox/ ./alerting/webhook/ ./alerting/stream/ ./alerting/topic/ ./forecast/ ./dashboards/ ./cmd/quantrac/
ALONE      = ^Test(Faults|FoldByDays|FoldSince|Versions|Settled|ChurnWithoutGrowth|Messages|Formats|Promqltest|PromqltestExcluded)$$

.DEFAULT_GOAL := help
.PHONY: help run build test test-kill race race-short lint vuln generate checkgenerate bench compare compare-growth score-flood score-tsdb clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-zA-Z_%-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## start the service with the simulated network (Ctrl-C ends it; data stay in ./data)
	$(BIN) serve --dev --simulate --data $(DATA)

build: ## build bin/quantrac
	$(GO) build $(LDFLAGS) -o $(BIN) ./cmd/quantrac

test: ## all tests (under 10 minutes on 2 cores)
	$(GO) test -timeout 10m ./...

race: ## the concurrent packages under the race detector (needs a C compiler)
	$(RACE) $(CONCURRENT)

race-short: ## the same in a third of the time, without long tests of what one goroutine does
	$(RACE) -short -skip '$(ALONE)' $(CONCURRENT)

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

test-kill: ## kill the service fifty times under load, and compare with what it acknowledged
	QUANTRAC_E2E_KILLS=50 $(GO) test -count=1 -timeout 20m -run '^TestKill$$' -v ./internal/e2e

bench: ## the weekly-trend figures: ingest, bytes per observation, reads, latency to the receiver
	$(GO) test -run '^$$' -bench 'Append|Store|Select|Latest' -benchtime 1s ./tsdb
	$(GO) test -run '^$$' -bench 'Q1|Q3' -benchtime 1s ./tsdb/promql
	$(GO) test -run '^$$' -bench Latency -benchtime 10x ./internal/e2e

compare: ## our store and the peers found here on one load (SCALE=reduced: half of the time)
	$(GO) run ./tsdb/internal/score/compare -scale $(SCALE) table

compare-growth: ## what the store costs from ten thousand series to SERIES, by up to VALUES observations
	$(GO) run ./tsdb/internal/score/compare -growth-series $(SERIES) -growth-values $(VALUES) growth

score-tsdb: ## scorecard of the store against its peers, in a quarter of an hour (SCALE=reduced: five minutes)
	$(GO) run ./tsdb/internal/score/compare -scale $(SCALE) card

score-flood: ## scorecard of the flood forecasts against their bars
	$(GO) run ./forecast/internal/score/flood

clean: ## remove what was built (never data)
	rm -rf bin dist
