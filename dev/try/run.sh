#!/usr/bin/env bash
# Shows what `gabion check` does, on files alone: it looks for no cluster. GABION is the program; without it, it is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=../cache.sh
. dev/cache.sh

program=${GABION:-}
if [[ -z $program ]]; then
  command -v cargo >/dev/null || fail "Rust 1.95 or newer is needed: https://rustup.rs"
  say "Building gabion (some minutes the first time, then seconds)"
  cargo build --package gabion --bin gabion
  program=${CARGO_TARGET_DIR:-$PWD/target}/debug/gabion
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp dev/try/deployment.yaml "$folder"
cd "$folder"

# step CODE TEXT ARGUMENTS...: shows a command and what it says. It must end with this code.
step() {
  local wanted=$1 code=0
  printf '\n== %s\n$ gabion %s\n' "$2" "${*:3}"
  "$program" "${@:3}" || code=$?
  [[ $code == "$wanted" ]] || fail "gabion ${*:3} ended with $code and not with $wanted"
}

step 1 "A Deployment as many write it: what is wrong, where, and how to put it right" check deployment.yaml
step 1 "What has one right answer, as a diff" check --fix --dry-run deployment.yaml
step 0 "Now the file is changed, and checked again" check --fix deployment.yaml
step 0 "A second look, by which a pipeline goes on" check deployment.yaml
printf '\nNotes are advice that fails no pipeline. On your own files: %s\n' "$program check PATH"
