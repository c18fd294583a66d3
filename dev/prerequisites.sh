#!/usr/bin/env bash
# Checks that the programs are there that this repository needs, and names every one that is not.
set -uo pipefail

missing=0
lacks() {
  missing=1
  echo "missing: $1" >&2
  echo "         $2" >&2
}

# at_least VERSION WANTED: compare by major and minor number.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1) == "$2" ]]; }

rust=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
if [[ -z $rust ]] || ! cargo --version >/dev/null 2>&1; then
  lacks "Rust 1.95 or newer (rustc and cargo)" "install it with rustup: https://rustup.rs"
elif ! at_least "$rust" 1.95; then
  lacks "Rust 1.95 or newer; this is $rust" "run: rustup update stable"
fi

if command -v cc >/dev/null || command -v gcc >/dev/null; then :; else
  lacks "a C compiler, which rustc links with" "Debian and Ubuntu: the package gcc; Fedora: gcc"
fi

go=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9]*\.[0-9]*\).*/\1/p')
if [[ -z $go ]]; then
  lacks "Go 1.26 or newer, for the local control plane" "see https://go.dev/doc/install"
elif ! at_least "$go" 1.26; then
  lacks "Go 1.26 or newer; this is $go" "see https://go.dev/doc/install"
fi

python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
if [[ -z $python ]]; then
  lacks "Python 3.11 or newer, for kubectl and moto" "Debian and Ubuntu: the package python3"
elif ! at_least "$python" 3.11; then
  lacks "Python 3.11 or newer; this is $python" "install a newer python3"
elif ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  lacks "Python's module venv" "Debian and Ubuntu: the package python3-venv"
fi

exit "$missing"
