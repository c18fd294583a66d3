#!/usr/bin/env bash
# Installs dev/requirements.txt once into a virtual environment in the cache folder and prints its path.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=cache.sh
. ./cache.sh

command -v python3 >/dev/null || fail "the tests and the demo need Python 3.11 or newer"
key=$(hash_of requirements.txt python.sh)-$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
environment=$cache/python/$key
if [[ -e $environment/complete ]]; then
  echo "$environment"
  exit
fi
python3 -c 'import venv, ensurepip' 2>/dev/null ||
  fail "this Python cannot make virtual environments: install its venv module (Debian and Ubuntu: python3-venv)"

hold_lock "$cache/python.$key.lock" "kubectl and moto"
if [[ -e $environment/complete ]]; then
  echo "$environment"
  exit
fi
say "kubectl and moto: installing into $environment (once, about 30 s, 200 MB)"
start=$SECONDS
rm -rf "$environment"
python3 -m venv "$environment"
# Without dependency resolution: the list is complete, so what is installed is what is written there.
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
  --requirement requirements.txt >&2 || fail "pip could not install dev/requirements.txt; see above"
touch "$environment/complete"
forget_old "$cache/python" "$key"
say "kubectl and moto: installed in $((SECONDS - start)) s"
echo "$environment"
