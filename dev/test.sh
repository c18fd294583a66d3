#!/usr/bin/env bash
# Runs all tests, then prints the ten slowest. Arguments go to `cargo test`.
#
# With CI=true the property tests take a fixed seed, so that a change is refused for what it does and not for its luck; a
# developer's run takes another seed each time. And a test against a live server that fails is run once more, alone: the
# machine may have been busy. One that passes then is named as unstable at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Suites whose tests wait for servers, which can take longer than they allow for.
live="check control_plane examples hardening hardening_server install judges provider scripted secrets"

if [[ ${CI:-} == true ]]; then
  export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20261130}
fi

# Tests against servers wait most of the time: two for each core run in half the time.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}

# The test runner reports times only with an unstable option, which this variable lets a stable one take. It is set for
# the tests' own processes alone: the compiler would build everything anew with it.
triple=$(rustc -vV | sed -n 's/^host: //p')
runner=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_RUNNER
env "$runner=env RUSTC_BOOTSTRAP=1" \
  cargo test --workspace --no-fail-fast --lib --bins --tests "$@" -- -Z unstable-options --report-time 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# The names of the tests of a suite that failed, a line each.
failed_tests() {
  awk -v suite="$1" '
    /^ *Running / { here = index($0, "tests/" suite "/main.rs") > 0 }
    here && /^test .* \.\.\. FAILED/ { print $2 }' "$log"
}

# Whether a suite came to its end. One that crashed has tests that never ran, and no second run of some makes up for it.
has_ended() {
  awk -v suite="$1" '
    /^ *Running / { here = index($0, "tests/" suite "/main.rs") > 0 }
    here && /^test result: FAILED/ { ended = 1 }
    END { exit !ended }' "$log"
}

# Runs what failed in live suites once more. It succeeds if everything that failed passes.
again() {
  local targets target suite names
  targets=$(sed -nE 's/^    `-p ([a-z-]+) (--.*)`$/\1 \2/p' "$log")
  [[ -n $targets ]] || return 1
  while read -r target; do
    suite=${target#gabion --test }
    names=$(failed_tests "$suite")
    if [[ " $live " != *" $suite "* || -z $names ]] || ! has_ended "$suite"; then
      return 1
    fi
  done <<<"$targets"
  while read -r target; do
    suite=${target#gabion --test }
    echo
    echo "Once more, alone: what failed in $suite"
    # shellcheck disable=SC2046 # one argument for each name
    cargo test --workspace --test "$suite" -- --exact --test-threads=1 $(failed_tests "$suite") </dev/null || return 1
    unstable+=$(failed_tests "$suite" | sed "s/^/  $suite /")$'\n'
  done <<<"$targets"
}

unstable=
if [[ $status != 0 && ${CI:-} == true ]] && again; then
  status=0
fi
# Examples in documentation are run by the compiler itself, which takes no unstable option.
cargo test --workspace --no-fail-fast --doc || status=1

echo
echo "The ten slowest tests:"
sed -nE 's/^test (.*) \.\.\. (ok|FAILED) <([0-9.]+)s>$/\3 s  \1/p' "$log" | sort -rn | head -10
if [[ -n $unstable ]]; then
  echo
  echo "UNSTABLE: these tests failed at first and passed alone:"
  printf '%s' "$unstable"
fi
exit "$status"
