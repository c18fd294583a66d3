# The list of commands. `make` alone prints it.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo test judges check crds golden bench race fuzz prepare prerequisites

# Tests that need no server and together take seconds: names in tests/.
CHECK_TESTS := contract golden layers manifests hardening_plan scripted

help: ## print this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo
	@echo "The first demo or test on a machine takes about ten minutes: it builds a Kubernetes control plane"
	@echo "from source into $${XDG_CACHE_HOME:-~/.cache}/gabion. Later ones take it from there."

demo: prepare ## secrets arrive and rotate, a namespace is hardened: on a real API server (KEEP=1 leaves it up)
	@echo "Building gabion and its demo (about three minutes the first time, then seconds)"
	@cargo build --package gabion --package gabion-demo --bins
	@cargo run --quiet --package gabion-demo

test: prepare ## all tests
	@echo "Compiling gabion and its tests (about three minutes the first time)"
	cargo test --workspace --no-fail-fast
	dev/image-check.sh

judges: prepare ## 20,000 pods before evaluator, policies and the PodSecurity plugin (GABION_JUDGES_SEED=...)
	GABION_JUDGES_PODS=$${GABION_JUDGES_PODS:-20000} GABION_JUDGES_DETAILS=1 cargo test --test judges

check: prerequisites ## format, lints and the tests that need no server
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --package gabion --package gabion-test-support --lib $(addprefix --test ,$(CHECK_TESTS))

crds: prerequisites ## write anew what is generated from the types: crds/ and docs/flags.md
	UPDATE=1 cargo test --quiet --test contract --test manifests

golden: prerequisites ## ask Go anew what templates, paths and keys come to: tests/golden/
	cd dev/golden && GOFLAGS="-mod=readonly -buildvcs=false" go run . ../../tests/golden

bench: prepare ## measure, and print ratios to what the API server can do (WORKLOADS="cold:5000 drift"; or help)
	@echo "Building gabion optimised (about ten minutes the first time), then measuring for about two minutes"
	@cargo build --quiet --profile bench-fast --bin gabion --example bench
	@cargo run --quiet --profile bench-fast --example bench -- $(WORKLOADS)

race: prerequisites ## templates against Go's own engine: renders per second and bytes allocated
	@echo "Building gabion optimised (about ten minutes the first time)"
	@cargo run --quiet --profile bench-fast --example templates

# Stable Rust ships the sanitizer's runtime, but takes its flag only with this variable.
fuzz: prerequisites ## RUNS=100000 inputs each for what parses templates, renders them and reads paths (needs cargo-fuzz)
	@cargo fuzz --version >/dev/null || { echo "cargo install cargo-fuzz"; exit 1; }
	fuzz/seeds.py
	for target in template_parse template_render property; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run -s $${SANITIZER:-address} $$target -- -runs=$${RUNS:-100000} \
			-max_len=4096 -timeout=30 -dict=fuzz/$${target%%_*}.dict || exit 1; \
	done

# What tests and demo start: built once, then found in the cache folder.
prepare: prerequisites
	@dev/python.sh >/dev/null
	@dev/controlplane/build.sh >/dev/null

prerequisites:
	@dev/prerequisites.sh
