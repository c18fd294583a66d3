# The list of commands. `make` alone prints it.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help try demo test ui-test judges check deny crds chart golden bench race fuzz prepare prerequisites

# Suites in tests/ that look at files and take seconds in total.
CHECK_TESTS := contract layers manifests

help: ## print this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo
	@echo "The first demo or test on a machine takes about 18 minutes on two cores: it builds a control plane"
	@echo "from source into $${XDG_CACHE_HOME:-~/.cache}/gabion. Later runs reuse it."

try: ## check a bad manifest, fix it, and check it again; needs Rust alone
	@dev/try/run.sh

demo: prepare ## sync and rotate a secret and harden a namespace on a real API server (KEEP=1 leaves it up)
	@echo "Building gabion and its demo (about three minutes the first time, then seconds)"
	@cargo build --package gabion --package gabion-demo --bins
	@cargo run --quiet --package gabion-demo

test: prepare ## run all tests
	@dev/helm/build.sh >/dev/null
	@dev/promtool/build.sh >/dev/null
	@echo "Compiling gabion and its tests (about three minutes the first time)"
	dev/test.sh
	dev/image-check.sh

ui-test: prepare ## look at every page of gabion ui in Chromium: axe, console, flows (CHROMIUM=/usr/bin/chromium)
	@cargo build --quiet --bin gabion
	dev/ui-test.sh

judges: prepare ## compare evaluator, policies and the PodSecurity plugin on 20,000 pods (GABION_JUDGES_SEED=...)
	GABION_JUDGES_PODS=$${GABION_JUDGES_PODS:-20000} GABION_JUDGES_DETAILS=1 cargo test --test judges

check: prerequisites ## check formatting, lints, layers, and that generated files are as generated
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace $(addprefix --test ,$(CHECK_TESTS))
	cargo package --quiet --offline --allow-dirty --no-verify -p gotemplate

deny: prerequisites ## check licences, sources, bans and advisories of the dependencies (deny.toml)
	dev/deny.sh

crds: prerequisites ## regenerate crds/ and docs/flags.md from the types
	UPDATE=1 cargo test --quiet --test contract --test manifests

chart: prerequisites ## regenerate charts/gabion: copies of crds/ and config/, its README, descriptions in its schema
	dev/chart.sh
	UPDATE=1 cargo test --quiet --test install every_value_has

golden: prerequisites ## regenerate the golden files from Go's libraries: templates, paths, keys and Dockerfiles
	cd dev/golden && GOFLAGS="-mod=readonly -buildvcs=false" go run . ../..
	cd dev/dockerfiles && GOFLAGS="-mod=readonly -buildvcs=false" go run . ../..

bench: prepare ## run benchmarks, compared with the API server's own limits (WORKLOADS="cold:5000 drift"; or help)
	@echo "Building gabion optimised (about ten minutes the first time), then measuring for about two minutes"
	@cargo build --quiet --profile bench-fast --bin gabion --example bench
	@cargo run --quiet --profile bench-fast --example bench -- $(WORKLOADS)

race: prerequisites ## benchmark templates against Go's engine, and measure hostile ones
	@echo "Building gotemplate optimised (about two minutes the first time)"
	@cargo bench --quiet --profile bench-fast -p gotemplate --bench race
	@cargo test --quiet --profile bench-fast -p gotemplate --lib --test bounds -- --ignored --nocapture

# Stable Rust ships the sanitizer's runtime, but accepts its flag only with this variable.
FUZZ := RUSTC_BOOTSTRAP=1 cargo fuzz run -s $${SANITIZER:-address}
FUZZ_ARGS = -runs=$${RUNS:-100000} -max_len=4096 -timeout=30

fuzz: prerequisites ## fuzz templates, paths and answers of registries with RUNS=100000 inputs each (needs cargo-fuzz)
	@cargo fuzz --version >/dev/null || { echo "cargo install cargo-fuzz"; exit 1; }
	fuzz/seeds.py
	crates/gotemplate/fuzz/seeds.py
	$(FUZZ) property -- $(FUZZ_ARGS) -dict=fuzz/property.dict
	$(FUZZ) registry -- $(FUZZ_ARGS)
	cd crates/gotemplate && for target in parse render; do \
		$(FUZZ) $$target -- $(FUZZ_ARGS) -dict=fuzz/template.dict || exit 1; \
	done

# Programs that tests and demo start: built once, then taken from the cache folder.
prepare: prerequisites
	@dev/python.sh >/dev/null
	@dev/controlplane/build.sh >/dev/null

prerequisites:
	@dev/prerequisites.sh
