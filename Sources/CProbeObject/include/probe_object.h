/* SPDX-License-Identifier: MIT
 * The compiled BPF programs (bpf/probes.bpf.c), inside the recorder's binary. */
#ifndef PROBE_OBJECT_H
#define PROBE_OBJECT_H

#include <stdint.h>

const void *probe_object(void);
uint64_t probe_object_bytes(void);

#endif
