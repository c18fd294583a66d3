#!/usr/bin/env bash
# Builds promtool once into the cache folder and prints the path of the program.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=../cache.sh
. ../cache.sh

version=$(sed -n 's/^.*github.com\/prometheus\/prometheus \(v[0-9.]*\).*$/\1/p' go.mod)
key=$(hash_of go.mod go.sum build.sh)
program=$cache/promtool/$key/promtool
if [[ -x $program ]]; then
  echo "$program"
  exit
fi
command -v go >/dev/null || fail "the tests of the alerts need Go 1.26 or newer: see https://go.dev/doc/install"

hold_lock "$cache/promtool.$key.lock" "promtool"
if [[ -x $program ]]; then
  echo "$program"
  exit
fi
say "promtool $version: building into $(dirname "$program") (once)"
mkdir -p "$cache/promtool/$key"
log=$cache/promtool/$key/build.log
new=$program.new.$$
trap 'rm -f "$new"' EXIT
start=$SECONDS
GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 nice go build -trimpath -buildvcs=false \
  -ldflags "-s -w -X github.com/prometheus/common/version.Version=${version#v}" \
  -o "$new" github.com/prometheus/prometheus/cmd/promtool 9>&- >"$log" 2>&1 || {
  tail -20 "$log" >&2
  fail "promtool does not build; the whole log is $log"
}
mv "$new" "$program"
trap - EXIT
forget_old "$cache/promtool" "$key"
say "promtool $version: built in $((SECONDS - start)) s"
echo "$program"
