/* SPDX-License-Identifier: MIT
 * The compiled BPF programs (bpf/probes.bpf.c), inside the recorder's binary. */
#ifndef PROBE_OBJECT_H
#define PROBE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

/* To be freed; NULL without memory. atomic: with the numbering that Linux 5.12 and later can do. */
void *probe_object(bool atomic);
void probe_object_free(void *object);
uint64_t probe_object_bytes(bool atomic);

/* The name of a role's program, NULL past the last. */
const char *probe_role_name(uint32_t role);

#endif
