#!/bin/sh
# Builds the fixtures again. Needs gcc, aarch64-linux-gnu-gcc and clang with lld. The built files are committed:
# another compiler version places instructions elsewhere, and the tests' addresses must then be read again.
set -eu
cd "$(dirname "$0")"
common="-O2 -shared -fPIC -nostdlib -fno-asynchronous-unwind-tables -fno-stack-protector -Wl,--hash-style=gnu -Wl,-z,noseparate-code -Wl,--build-id=sha1"
gcc $common -fcf-protection=none -s -o x86_64-plt.so nodeloop.c
gcc $common -fcf-protection=full -Wl,-z,ibtplt -s -o x86_64-endbr.so nodeloop.c
gcc $common -fcf-protection=none -fno-plt -o x86_64-noplt.so nodeloop.c
aarch64-linux-gnu-gcc $common -Wl,-z,max-page-size=4096 -mbranch-protection=none -s -o aarch64-plt.so nodeloop.c
aarch64-linux-gnu-gcc $common -Wl,-z,max-page-size=4096 -mbranch-protection=standard -Wl,-z,force-bti -s -o aarch64-bti.so nodeloop.c
clang --target=aarch64-linux-gnu -fuse-ld=lld $common -Wl,-z,pack-relative-relocs -s -o aarch64-clang.so nodeloop.c
clang --target=x86_64-linux-gnu -fuse-ld=lld $common -Wl,-z,pack-relative-relocs -s -o x86_64-clang.so nodeloop.c
# The loop's barrier inlined, and the shape of early 2025.
gcc $common -fcf-protection=none -DGOMP -s -o x86_64-gomp.so nodeloop.c
gcc $common -fcf-protection=none -DFEB2025 -o x86_64-feb2025.so nodeloop.c
clang --target=x86_64-linux-gnu -fuse-ld=lld $common -Wl,-z,pack-relative-relocs -fstack-protector -DINLINED -s -o x86_64-inlined.so nodeloop.c
aarch64-linux-gnu-gcc $common -Wl,-z,max-page-size=4096 -mbranch-protection=none -DGOMP -s -o aarch64-gomp.so nodeloop.c
aarch64-linux-gnu-gcc $common -Wl,-z,max-page-size=4096 -mbranch-protection=none -march=armv8.2-a -DINLINED -s -o aarch64-lse.so nodeloop.c
aarch64-linux-gnu-gcc $common -Wl,-z,max-page-size=4096 -mbranch-protection=none -mno-outline-atomics -DINLINED -DFEB2025 -o aarch64-feb2025.so nodeloop.c
clang --target=aarch64-linux-gnu -fuse-ld=lld $common -mno-outline-atomics -Wl,-z,pack-relative-relocs -DINLINED -s -o aarch64-inlined.so nodeloop.c
