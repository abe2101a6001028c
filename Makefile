# `make verify` is the main job, `make test` the test command. Each sets up what it
# needs: Go modules are fetched, images are pulled or built.

STAGE    ?= both
FILE     ?= fixtures/rehearsal.yaml
REPORT   ?= report
SEED     ?= 1
PACE     ?= 60
# How many scenarios run at once in containers: 0 is as many as cores and memory allow.
PARALLEL ?= 0
TAGS     ?=
# What runs in containers, of what is selected: THOROUGH=1 is all of it but the Japanese
# twins (@twin), which a test holds to be the same scenarios.
THOROUGH ?=
CONTAINER_TAGS := $(if $(THOROUGH),,~@thorough && )~@twin
FEATURES ?=
VERSION  ?=
CHECK_STAGE ?= containers
# PIPELINES=1 runs the scenarios that push to the team's pipeline too, as THOROUGH=1 does.
PIPELINES ?= $(THOROUGH)

SHELL    := bash
GO       ?= go
REHEARSE := bin/rehearse
STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# Those of .goreleaser.yaml: a test holds that the versions are the same.
GORELEASER    := github.com/goreleaser/goreleaser/v2@v2.17.0
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

.PHONY: help verify pipelines test test-containers knownbad bench fuzz lint race doctor plan parity check steps build image dist release release-docs sbom clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/rehearse
	@$(GO) build -o $(REHEARSE) ./cmd/rehearse

verify: build ## rehearse the releases: on the simulated stage, then in containers (STAGE=sim|containers|both)
	@$(REHEARSE) verify --file $(FILE) --stage $(STAGE) --seed $(SEED) --pace $(PACE) --parallel $(PARALLEL) --tags '$(TAGS)' --container-tags '$(CONTAINER_TAGS)' --pipelines=$(if $(PIPELINES),true,false) --report $(REPORT) $(FEATURES)

pipelines: build ## push to the team's pipeline, good versions and bad (STAGE=containers: slower)
	@$(REHEARSE) verify --file $(FILE) --stage $(if $(filter both,$(STAGE)),sim,$(STAGE)) --seed $(SEED) --tags '@pipeline && ~@twin' --report $(REPORT)/pipelines $(FEATURES)

# What has tests that need an engine; their other tests are run with those.
ENGINE_TESTED := ./internal/containers/... ./internal/pipeline/... ./fixtures/... ./steps/... ./cmd/...

test: ## every test; those of the container stage too where a Docker engine is reachable
	@if $(GO) run ./cmd/rehearse doctor --engine >/dev/null 2>&1; then \
	  $(GO) list ./... | grep -vxFf <($(GO) list $(ENGINE_TESTED)) | xargs $(GO) test && $(MAKE) --no-print-directory test-containers; \
	else $(GO) test ./... && echo "NOT TESTED: the container stage, since no Docker engine is reachable (rehearse doctor says more)"; fi

test-containers: ## the tests that need a Docker engine, and the others of their packages
	$(GO) test -tags containers -p 2 -timeout 30m $(ENGINE_TESTED)

race: ## every test that needs no engine and no long build, with the race detector
	$(GO) test -race -short ./...

knownbad: build ## break the harness in every known way: each must turn scenarios red
	@$(REHEARSE) knownbad --file $(FILE) --stage sim --tags '~@twin'

bench: ## the numbers, beside what they are compared to
	$(GO) test -run '^$$' -bench . -benchmem ./internal/alarm ./internal/cloudwatch ./internal/compare ./internal/release ./internal/schedule ./sim ./steps
	$(GO) test -tags containers -run '^$$' -bench Shift -benchtime 1000x ./internal/containers
	$(GO) test -tags containers -run '^$$' -bench StageOverRawDocker -benchtime 5x ./internal/containers
	$(GO) test -tags containers -run '^$$' -bench ContainerSpecs -benchtime 1x -timeout 30m ./steps

FUZZTIME ?= 10s

fuzz: ## each parser for a short while (FUZZTIME=10s, or 1000x for so many inputs)
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; done; done

lint: ## gofmt, vet, staticcheck, golangci-lint
	@unformatted=$$(gofmt -l cmd features fixtures internal sim specs steps 2>/dev/null); test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	$(GO) vet ./... && $(GO) vet -tags containers ./...
	$(GO) run $(STATICCHECK) -tags containers ./...
	$(GO) run $(GOLANGCI_LINT) run --build-tags containers ./...

image: build ## rehearsal/cloudwatch, the local CloudWatch as a container image, without a registry
	@$(REHEARSE) cloudwatch image

doctor: build ## what a rehearsal needs of this machine, and what is missing
	@$(REHEARSE) doctor --file $(FILE)

plan: build ## the shop's release plan, as people read it
	@$(REHEARSE) plan --file $(FILE)

parity: build ## the staging copy beside production: what differs, and what of it is wanted
	@$(REHEARSE) parity --file $(FILE)

check: build ## may VERSION be released? (CHECK_STAGE=sim|containers)
	@$(REHEARSE) check --file $(FILE) --stage $(CHECK_STAGE) --seed $(SEED) --pace $(PACE) $(VERSION)

steps: build ## every phrase, in English and Japanese
	@$(REHEARSE) steps --file $(FILE)

dist: ## what a release of this commit would be, in dist/: archives, checksums, SBOMs
	$(GO) run $(GORELEASER) release --snapshot --clean

release: ## the release of the tag that is checked out (the workflow of GitHub does it)
	$(GO) run $(GORELEASER) release --clean

sbom: build ## bin/rehearse.bom.json: which modules bin/rehearse is made of (CycloneDX)
	$(GO) run $(CYCLONEDX) bin -json -noserial -notimestamp -output $(REHEARSE).bom.json $(REHEARSE)

# Completions and man pages, with the date of the commit.
release-docs: build
	@rm -rf bin/release && mkdir -p bin/release/completions
	@$(REHEARSE) completion bash > bin/release/completions/rehearse.bash
	@$(REHEARSE) completion zsh > bin/release/completions/_rehearse
	@$(REHEARSE) completion fish > bin/release/completions/rehearse.fish
	@$(REHEARSE) completion powershell > bin/release/completions/rehearse.ps1
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(REHEARSE) man bin/release/man/man1

clean:
	rm -rf bin dist $(REPORT)
