#!/usr/bin/env bash
# Looks at every page of `gabion ui` in Chromium, over a control plane with objects in every state.
# Screenshots go to target/ui. CHROMIUM names the browser.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=cache.sh
. ./cache.sh

root=$PWD/.. browser=${CHROMIUM:-/usr/bin/chromium}
[[ -x $browser ]] || fail "there is no $browser: install Chromium (Debian: apt-get install chromium), or set CHROMIUM"
plane=$(./controlplane/build.sh) kubectl=$(./python.sh)/bin/kubectl
environment=$cache/python/ui-$(hash_of ui-requirements.txt)
if [[ ! -e $environment/complete ]]; then
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement ui-requirements.txt
  touch "$environment/complete"
fi

files=$(mktemp -d)
finish() {
  # The control plane ends when its input does.
  exec 3>&-
  [[ -z ${page:-} ]] || kill "$page" 2>/dev/null || true
  wait
  rm -rf "$files"
}
trap finish EXIT
mkfifo "$files/input"
"$plane" up --audit=false --crds "$root/crds" <"$files/input" >"$files/state" 2>"$files/errors" &
exec 3>"$files/input"
for _ in {1..120}; do
  [[ -s $files/state ]] && break
  sleep 0.5
done
kubeconfig=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["kubeconfig"])' <"$files/state") ||
  fail "the control plane does not start: $(cat "$files/errors")"
python3 "$root/tests/ui/browser/seed.py" "$kubectl" "$kubeconfig"
"$root/target/debug/gabion" ui --port=0 --kubeconfig="$kubeconfig" >"$files/page" 3>&- &
page=$!
for _ in {1..60}; do
  grep -q http "$files/page" && break
  sleep 0.5
done
address=$(grep -o 'http://[^ ]*' "$files/page")
mkdir -p "$root/target/ui"
CHROMIUM=$browser "$environment/bin/python" "$root/tests/ui/browser/flows.py" "$address" "$root/target/ui"
