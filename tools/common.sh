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

package_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages PACKAGE...: those Debian packages that are missing.
install_packages() {
  command -v apt-get >/dev/null || die "this is not Debian: there is no apt-get" "install the equivalents of: $*"
  local missing=() package
  for package; do
    package_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  note "installing Debian packages: ${missing[*]}"
  local log
  log=$(mktemp)
  # The lists of a fresh machine are empty or old: an install that fails is tried again after an update.
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}")
  if ! as_root "${install[@]}" >"$log" 2>&1; then
    as_root apt-get update -qq >>"$log" 2>&1 || { tail -n 5 "$log" >&2; die "apt-get update failed" "all of its output: $log"; }
    as_root "${install[@]}" >>"$log" 2>&1 || { tail -n 5 "$log" >&2; die "apt-get install failed" "all of its output: $log"; }
  fi
  rm -f "$log"
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
