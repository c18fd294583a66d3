# The list of commands. `make` alone prints it.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo test judges check crds golden bench race fuzz prepare prerequisites

# Tests that need no server and together take seconds: names of files in tests/.
CHECK_TESTS := contract golden layers manifests hardening_contract

help: ## print this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo
	@echo "The first demo or test on a machine takes about ten minutes: it builds a Kubernetes control plane"
	@echo "from source into $${XDG_CACHE_HOME:-~/.cache}/gabion. Later ones take it from there."

demo: prepare ## secrets arrive and rotate, a namespace is hardened: on a real API server (KEEP=1 leaves it up)
	@echo "Building gabion and its demo (about three minutes the first time, then seconds)"
	@cargo build --bin gabion --example demo
	@cargo run --quiet --example demo

test: prepare ## all tests
	@echo "Compiling gabion and its tests (about three minutes the first time)"
	cargo test --workspace --no-fail-fast
	dev/image-check.sh

judges: prepare ## 20,000 pods before evaluator, policies and the PodSecurity plugin (GABION_JUDGES_SEED=...)
	GABION_JUDGES_PODS=$${GABION_JUDGES_PODS:-20000} GABION_JUDGES_DETAILS=1 cargo test --test judges

check: prerequisites ## format, lints and the tests that need no server
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --lib $(addprefix --test ,$(CHECK_TESTS))
	cargo test -p gotemplate
	cargo package --quiet --offline --allow-dirty --no-verify -p gotemplate

crds: prerequisites ## write anew what is generated from the types: crds/ and docs/flags.md
	UPDATE=1 cargo test --quiet --test contract --test manifests

golden: prerequisites ## run templates and paths through Go again and rewrite the golden vectors
	cd dev/golden && GOFLAGS="-mod=readonly -buildvcs=false" go run . ../..

bench: prepare ## measure, and print ratios to what the API server can do (WORKLOADS="cold:5000 drift"; or help)
	@echo "Building gabion optimised (about ten minutes the first time), then measuring for about two minutes"
	@cargo build --quiet --profile bench-fast --bin gabion --example bench
	@cargo run --quiet --profile bench-fast --example bench -- $(WORKLOADS)

race: prerequisites ## templates against Go's own engine, and what hostile ones cost
	@echo "Building gotemplate optimised (about two minutes the first time)"
	@cargo bench --quiet --profile bench-fast -p gotemplate --bench race
	@cargo test --quiet --profile bench-fast -p gotemplate --test bounds -- --ignored --nocapture

# Stable Rust ships the sanitizer's runtime, but takes its flag only with this variable.
FUZZ := RUSTC_BOOTSTRAP=1 cargo fuzz run -s $${SANITIZER:-address}
FUZZ_ARGS = -runs=$${RUNS:-100000} -max_len=4096 -timeout=30

fuzz: prerequisites ## RUNS=100000 inputs each for what parses templates, renders them and reads paths (needs cargo-fuzz)
	@cargo fuzz --version >/dev/null || { echo "cargo install cargo-fuzz"; exit 1; }
	fuzz/seeds.py
	crates/gotemplate/fuzz/seeds.py
	$(FUZZ) property -- $(FUZZ_ARGS) -dict=fuzz/property.dict
	cd crates/gotemplate && for target in parse render; do \
		$(FUZZ) $$target -- $(FUZZ_ARGS) -dict=fuzz/template.dict || exit 1; \
	done

# What tests and demo start: built once, then found in the cache folder.
prepare: prerequisites
	@dev/python.sh >/dev/null
	@dev/controlplane/build.sh >/dev/null

prerequisites:
	@dev/prerequisites.sh
