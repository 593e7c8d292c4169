/* SPDX-License-Identifier: MIT
 * The reading end of a BPF ring buffer (Linux 5.8): a page with the consumer's position, a
 * page with the producer's, and the data, which the kernel shows twice in a row so that a
 * record across the end can be read in one piece. libbpf maps both copies whole, and every
 * page of both counts in this process's memory; a record of ours is shorter than
 * RECORD_LIMIT, so that much of the second copy is enough. */
#include "recorder_shim.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORD_LIMIT 8192u
#define HEADER_BYTES 8u
#define BUSY (1u << 31)
#define DISCARDED (1u << 30)

struct shim_ring {
  uint64_t *consumer;
  const uint64_t *producer;
  const char *data;
  uint64_t bytes;
  uint64_t page;
};

struct shim_ring *shim_ring_open(int map, uint64_t bytes) {
  struct shim_ring *ring = calloc(1, sizeof(*ring));

  if (!ring)
    return NULL;
  ring->bytes = bytes;
  ring->page = (uint64_t)sysconf(_SC_PAGESIZE);
  void *consumer = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  void *rest = mmap(NULL, ring->page + bytes + RECORD_LIMIT, PROT_READ, MAP_SHARED, map, (off_t)ring->page);
  if (consumer == MAP_FAILED || rest == MAP_FAILED) {
    int error = errno;
    if (consumer != MAP_FAILED)
      munmap(consumer, ring->page);
    free(ring);
    errno = error;
    return NULL;
  }
  ring->consumer = consumer;
  ring->producer = rest;
  ring->data = (const char *)rest + ring->page;
  return ring;
}

void shim_ring_close(struct shim_ring *ring) {
  if (!ring)
    return;
  munmap(ring->consumer, ring->page);
  munmap((void *)ring->producer, ring->page + ring->bytes + RECORD_LIMIT);
  free(ring);
}

uint64_t shim_ring_drain(struct shim_ring *ring, void *context,
                         void (*take)(void *context, const void *record, uint32_t bytes)) {
  uint64_t position = *ring->consumer; /* ours alone */
  const uint64_t start = position;
  uint64_t end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

  while (position < end) {
    const char *header = ring->data + (position & (ring->bytes - 1));
    uint32_t length = __atomic_load_n((const uint32_t *)header, __ATOMIC_ACQUIRE);
    if (length & BUSY)
      break; /* reserved and not yet written: it and what follows come next time */
    uint32_t bytes = length & ~DISCARDED;
    if (!(length & DISCARDED) && bytes + HEADER_BYTES <= RECORD_LIMIT)
      take(context, header + HEADER_BYTES, bytes);
    position += (bytes + HEADER_BYTES + 7) & ~7u;
    /* The space is given back record by record: a full buffer takes new ones at once. */
    __atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
    /* A target that writes faster than this reads must not keep the caller from its other duties. */
    if (position >= end && position - start < ring->bytes)
      end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
  }
  return position - start;
}
