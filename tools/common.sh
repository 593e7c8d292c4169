# Shared by the scripts of this folder: `source` it. Strict mode, messages, the toolchain's own programs.
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.targets/venv
MODELS=$ROOT/.targets/models
RECORDER=$ROOT/.build-recorder/pi-record
ANALYZER=$ROOT/.build/release/prof-analyze
export ROOT VENV MODELS RECORDER ANALYZER

note() { printf '==> %s\n' "$*" >&2; }

# die MESSAGE [HINT]: one line that says what failed and what to do next.
die() {
  printf '%s: %s%s\n' "$(basename "$0")" "$1" "${2:+ ($2)}" >&2
  exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "root is needed for: $*" "run it as root, or install sudo"
  fi
}

require_swift() {
  command -v swift >/dev/null ||
    die "no swift in PATH" "install Swift 6.2 or later from https://www.swift.org/install/linux and put its usr/bin into PATH"
}

# The folder of the Swift toolchain's own clang, llvm-objcopy and lld. `swift` in PATH may be a
# launcher (swiftly), so the compiler is asked where it lives.
toolchain_bin() {
  local resources
  resources=$(swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath": *"\(.*\)".*/\1/p')
  [ -n "$resources" ] || die "swiftc -print-target-info names no runtimeResourcePath" "is the Swift toolchain complete?"
  (cd "$resources/../../bin" && pwd)
}
