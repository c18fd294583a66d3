#!/usr/bin/env bash
# Runs all tests, then prints the ten slowest. Arguments go to `cargo test`.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The test runner reports times only with an unstable option, which this variable lets a stable one take. It is set for
# the tests' own processes alone: the compiler would build everything anew with it.
triple=$(rustc -vV | sed -n 's/^host: //p')
runner=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_RUNNER
env "$runner=env RUSTC_BOOTSTRAP=1" \
  cargo test --workspace --no-fail-fast --lib --bins --tests "$@" -- -Z unstable-options --report-time 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
# Examples in documentation are run by the compiler itself, which takes no unstable option.
cargo test --workspace --no-fail-fast --doc || status=1

echo
echo "The ten slowest tests:"
sed -nE 's/^test (.*) \.\.\. (ok|FAILED) <([0-9.]+)s>$/\3 s  \1/p' "$log" | sort -rn | head -10
exit "$status"
