# Shared by the scripts that need packages of Debian's arm64 archive on a machine of another architecture:
# `source` it behind common.sh.
# shellcheck shell=bash
#
# With an apt state of its own, so that dpkg's architectures and the lists of the host stay as they are. The
# mirror and its keys are the host's. Packages are unpacked, never installed.

ARM64=$ROOT/.targets/arm64
export ARM64

# The kernels' releases, by version: what vendor systems of boards run, Debian 12's, Debian 13's.
declare -gA ARM64_RELEASES=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)

# Debian's mirror among the host's package sources.
debian_mirror() {
  apt-get indextargets --format "\$(SITE) \$(RELEASE)" | sed -n 's/ bookworm$//p' | sort -u | head -n 1
}

# prepare_arm64_apt: the private apt state; its lists are loaded when there are none.
prepare_arm64_apt() {
  command -v apt-get >/dev/null || die "this is not Debian: there is no apt-get" "the arm64 libraries come from its packages"
  local apt=$ARM64/apt mirror release
  export APT_CONFIG=$apt/conf
  [ -e "$apt/updated" ] && return
  unset APT_CONFIG
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { as_root apt-get update -qq && mirror=$(debian_mirror); }
  [ -n "$mirror" ] || die "no source of Debian 12 (bookworm) among apt's" "add one to /etc/apt/sources.list.d"
  rm -rf "$apt"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  : >"$apt/status"
  for release in "${ARM64_RELEASES[@]}"; do
    printf 'deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$release"
  done >"$apt/sources.list"
  # Libraries of the release that the targets are built for, whatever else is known.
  printf 'Package: *\nPin: release n=bookworm\nPin-Priority: 900\n' >"$apt/preferences"
  cat >"$apt/conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "$apt/preferences";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
CONF
  export APT_CONFIG=$apt/conf
  note "loading Debian's list of arm64 packages"
  apt-get update -qq || die "apt-get update failed for arm64" "is $mirror reachable?"
  touch "$apt/updated"
}

# unpack_arm64 FOLDER PACKAGE...: downloads and unpacks; a folder that is complete for these is left alone.
unpack_arm64() {
  local folder=$1 wanted package new
  shift
  wanted=$*
  [ "$(cat "$folder/.packages" 2>/dev/null)" = "$wanted" ] && return
  prepare_arm64_apt
  note "unpacking for arm64: $wanted"
  new=$(mktemp -d "$ARM64/unpacking.XXXXXX")
  chmod 755 "$new"
  (cd "$new" && apt-get download -qq "$@") || die "cannot download arm64 packages: $wanted" \
    "remove $ARM64/apt if its lists are old"
  for package in "$new"/*.deb; do
    dpkg -x "$package" "$new"
    rm "$package"
  done
  printf '%s\n' "$wanted" >"$new/.packages"
  rm -rf "$folder"
  mv "$new" "$folder"
}

# arm64_sysroot: prints the folder with headers and static libraries for the recorder, and the shared libraries
# that a llama.cpp needs. Those of lib/ are moved to usr/lib/, where linkers look.
arm64_sysroot() {
  local folder=$ARM64/sysroot
  unpack_arm64 "$folder" libc6 libc6-dev libcrypt-dev linux-libc-dev libgcc-s1 libgcc-12-dev libstdc++6 libgomp1 \
    libbpf-dev libelf-dev zlib1g-dev zlib1g libzstd-dev
  if [ -d "$folder/lib" ] && [ ! -L "$folder/lib" ]; then
    cp -a "$folder/lib/." "$folder/usr/lib/"
    rm -r "${folder:?}/lib"
    ln -s usr/lib "$folder/lib"
  fi
  printf '%s\n' "$folder"
}
