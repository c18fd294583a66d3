#!/usr/bin/env bash
# Builds Helm once into the cache folder and prints the path of the program.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=../cache.sh
. ../cache.sh

version=$(sed -n 's/^.*helm.sh\/helm\/v3 \(v[0-9.]*\).*$/\1/p' go.mod)
kubernetes=$(sed -n 's/^.*k8s.io\/client-go v0\.\([0-9]*\)\..*$/\1/p' go.mod)
key=$(hash_of go.mod go.sum build.sh)
program=$cache/helm/$key/helm
if [[ -x $program ]]; then
  echo "$program"
  exit
fi
command -v go >/dev/null || fail "the tests of the chart need Go 1.26 or newer: see https://go.dev/doc/install"

hold_lock "$cache/helm.$key.lock" "helm"
if [[ -x $program ]]; then
  echo "$program"
  exit
fi
say "helm $version: building into $(dirname "$program") (once; under a minute after the control plane, else three)"
mkdir -p "$cache/helm/$key"
log=$cache/helm/$key/build.log
new=$program.new.$$
trap 'rm -f "$new"' EXIT
chart=helm.sh/helm/v3/pkg/chartutil
lint=helm.sh/helm/v3/pkg/lint/rules
start=$SECONDS
# The flags of the control plane's build: the packages that both use are compiled once.
GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 nice go build -trimpath -buildvcs=false -ldflags \
  "-s -w -X helm.sh/helm/v3/internal/version.version=$version \
   -X $chart.k8sVersionMajor=1 -X $chart.k8sVersionMinor=$kubernetes \
   -X $lint.k8sVersionMajor=1 -X $lint.k8sVersionMinor=$kubernetes" \
  -o "$new" helm.sh/helm/v3/cmd/helm 9>&- >"$log" 2>&1 || {
  tail -20 "$log" >&2
  fail "helm does not build; the whole log is $log"
}
mv "$new" "$program"
trap - EXIT
forget_old "$cache/helm" "$key"
say "helm $version: built in $((SECONDS - start)) s"
echo "$program"
