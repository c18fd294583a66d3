# Sourced by the scripts here that build something once into the user's cache folder.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/gabion

say() { echo "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# hash_of FILE...: a name for whatever is built from these files.
hash_of() { cat "$@" | sha256sum | cut -c1-16; }

# hold_lock FILE WHAT: wait until no other process builds the same thing. The lock belongs to the
# open file, so it goes when the script ends, however it ends.
hold_lock() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null && return
  say "$2: another process builds it; waiting"
  python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

# forget_old DIRECTORY KEEP: remove what earlier versions of the sources built and nobody used for two weeks.
forget_old() {
  touch "$1/$2"
  find "$1" -mindepth 1 -maxdepth 1 -type d ! -name "$2" -mtime +14 -exec rm -rf {} +
}
