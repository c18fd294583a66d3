#!/usr/bin/env bash
# Builds the local control plane once into the cache folder and prints the path of the program.
# With KUBEBUILDER_ASSETS set, only the supervisor is built and the servers are taken from there.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=../cache.sh
. ../cache.sh

version=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' go.mod)
packages=2500 # that a build with an empty Go cache compiles, about
tags=
[[ -z ${KUBEBUILDER_ASSETS:-} ]] || tags=external

key=$(hash_of go.mod go.sum ./*.go audit-policy.yaml build.sh)${tags:+-$tags}
program=$cache/controlplane/$key/controlplane
if [[ -x $program ]]; then
  echo "$program"
  exit
fi
command -v go >/dev/null || fail "the local control plane needs Go 1.26 or newer: see https://go.dev/doc/install"

hold_lock "$cache/controlplane.$key.lock" "control plane"
if [[ -x $program ]]; then
  echo "$program"
  exit
fi
what="control plane (etcd, kube-apiserver, kube-controller-manager $version)"
[[ -z $tags ]] || what="control plane supervisor"
say "$what: building into $(dirname "$program")"
[[ -n $tags ]] || say "  this is done once and takes 4 to 8 minutes on two cores (seconds if Go has its packages in cache)"

mkdir -p "$cache/controlplane/$key"
log=$cache/controlplane/$key/build.log
new=$program.new.$$
stamp=k8s.io/component-base/version
IFS=. read -r major minor _ <<<"${version#v}"
GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 nice go build -v -trimpath -buildvcs=false -tags "$tags" -ldflags \
  "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean" \
  -o "$new" . 9>&- >"$log" 2>&1 &
build=$!
trap 'kill "$build" 2>/dev/null || true; rm -f "$new"' EXIT
trap 'exit 130' INT TERM

start=$SECONDS
next=$((start + 15))
while kill -0 "$build" 2>/dev/null; do
  sleep 0.2
  ((SECONDS >= next)) || continue
  next=$((SECONDS + 15))
  downloaded=$(grep -c '^go: downloading' "$log" || true)
  compiled=$(grep -vc '^go: ' "$log" || true)
  say "  $((SECONDS - start)) s: $downloaded modules downloaded, $compiled of about $packages packages compiled"
done
if ! wait "$build"; then
  grep -v '^go: downloading' "$log" | tail -20 >&2
  fail "the control plane does not build; the whole log is $log"
fi
mv "$new" "$program"
trap - EXIT
forget_old "$cache/controlplane" "$key"
say "$what: built in $((SECONDS - start)) s"
echo "$program"
