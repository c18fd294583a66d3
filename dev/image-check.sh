#!/usr/bin/env bash
# Links gabion statically, as the Dockerfile does, and starts it in a root that holds that binary, a CA bundle and
# nothing else: no shell, no libc, no /etc/passwd, no resolv.conf. No image engine is needed.
#
# By default it links what the tests have compiled anyway, which takes seconds. PROFILE=release compiles exactly what
# is shipped, PROFILE=bench-fast the same without link-time optimisation: both take minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=cache.sh
. dev/cache.sh

profile=${PROFILE:-dev}
target=$(uname -m)-unknown-linux-gnu
folder=${CARGO_TARGET_DIR:-target}
static="-C target-feature=+crt-static"
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

[[ $(uname -s) == Linux ]] || fail "a static Linux binary can only be tried on Linux"
[[ -r $bundle ]] || fail "no CA bundle at $bundle: install ca-certificates, or set SSL_CERT_FILE"
chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot) || fail "there is no chroot (coreutils)"
if [[ $(id -u) == 0 ]]; then
  enter=("$chroot")
elif unshare -r true 2>/dev/null; then
  enter=("$(command -v unshare)" -r "$chroot")
else
  fail "an empty root can only be entered by root, or where user namespaces are allowed (unshare -r)"
fi

start=$SECONDS
if [[ $profile == dev ]]; then
  say "static binary: linking (profile dev)"
  # Only the last step gets the flag: on everything it would also reach build scripts and procedural macros.
  # shellcheck disable=SC2086
  cargo rustc --quiet --locked --bin gabion -- $static
  binary=$folder/debug/gabion
else
  say "static binary: compiling (profile $profile; about five minutes the first time, then seconds)"
  RUSTFLAGS=$static cargo build --quiet --locked --bin gabion --profile "$profile" --target "$target"
  binary=$folder/$target/$profile/gabion
fi
say "static binary: $(du -h "$binary" | cut -f1), after $((SECONDS - start)) s"

root=$(mktemp -d)
pid=
cleanup() {
  [[ -n $pid ]] && kill "$pid" 2>/dev/null
  rm -rf "$root"
}
trap cleanup EXIT
mkdir -p "$root/etc/ssl/certs" "$root/tmp"
cp "$binary" "$root/gabion"
[[ $profile == dev ]] && cargo build --quiet --locked --bin gabion # what was there before
cp "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
inside() { env -i LOG_FORMAT=json "${enter[@]}" "$root" /gabion "$@"; }

# A dynamic binary would already fail here: there is no loader.
version=$(inside --version) || fail "gabion --version does not run in an empty root"
[[ $version == "gabion "* ]] || fail "gabion --version says: $version"

definitions=$(inside crds) || fail "gabion crds does not run in an empty root"
count=$(grep -c '^kind: CustomResourceDefinition$' <<<"$definitions")
files=(crds/*.yaml)
((count == ${#files[@]})) || fail "gabion crds prints $count definitions, but crds/ has ${#files[@]}"

addresses=(--metrics-addr=127.0.0.1:0 --health-addr=127.0.0.1:0)
code=0
log=$(inside run "${addresses[@]}" --kubeconfig=/nowhere 2>&1) || code=$?
[[ $code == 1 ]] || fail "without its kubeconfig gabion run ends with $code instead of 1: $log"
grep -q 'cannot use the kubeconfig /nowhere' <<<"$log" || fail "gabion run does not name the missing kubeconfig: $log"

# An API server that is not there is no reason to end: it may come back. Threads, clocks, sockets and signals
# work in the empty root if gabion says so, and stops when it is told to.
cat >"$root/kubeconfig" <<'YAML'
apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: none, user: {token: none}}]
YAML
env -i LOG_FORMAT=json "${enter[@]}" "$root" /gabion run "${addresses[@]}" --kubeconfig=/kubeconfig \
  >"$root/log" 2>&1 &
pid=$!
for _ in $(seq 100); do
  grep -q 'watch failed' "$root/log" && break
  kill -0 "$pid" 2>/dev/null || fail "gabion run ended although the API server may come back: $(cat "$root/log")"
  sleep 0.1
done
grep -q 'watch failed' "$root/log" || fail "gabion run does not say that the API server is away: $(cat "$root/log")"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=
[[ $code == 0 ]] || fail "after SIGTERM gabion ends with $code instead of 0: $(cat "$root/log")"

echo "image-check: $version starts in an empty root, prints $count definitions, reports what is missing and stops on SIGTERM"
