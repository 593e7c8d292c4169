/* SPDX-License-Identifier: MIT
 *
 * pi_trace.h: the only definition of every byte in a .pitrace file.
 *
 * Included by the BPF programs (clang -target bpf), by pi-record and by
 * prof-analyze (both through the CTraceRecords module). Every integer is
 * little-endian, every structure is packed by construction (no holes: the
 * static assertions below prove it). TRACE-FORMAT.md explains the format; a
 * change here changes that text, the golden traces and the reader in the same
 * commit.
 *
 * Unit suffixes: _ns nanoseconds, _bytes bytes. Times are CLOCK_MONOTONIC
 * unless a name says otherwise.
 */
#ifndef PI_TRACE_H
#define PI_TRACE_H

#if defined(__bpf__)
/* The BPF programs get these from <linux/types.h>; the kernel has no libc. */
#include <linux/types.h>
typedef __u8 pi_u8;
typedef __u16 pi_u16;
typedef __u32 pi_u32;
typedef __u64 pi_u64;
typedef __s32 pi_s32;
typedef __s64 pi_s64;
#else
#include <stddef.h>
#include <stdint.h>
typedef uint8_t pi_u8;
typedef uint16_t pi_u16;
typedef uint32_t pi_u32;
typedef uint64_t pi_u64;
typedef int32_t pi_s32;
typedef int64_t pi_s64;
#endif

/* ------------------------------------------------------------------ file */

/* As in PNG: a byte with the high bit, CR LF and ^Z show a transfer that
 * changed line ends or stripped bits. */
#define PI_FILE_MAGIC "\x93PITR\r\n\x1a"
#define PI_FORMAT_MAJOR 1
#define PI_FORMAT_MINOR 1

/* required_features: a reader that does not know a set bit must refuse.
 * optional_features: a reader may ignore bits that it does not know. */
#define PI_FEATURE_OPT_STRUCTURE 0x1ull /* tensors and graphs were recorded */
#define PI_FEATURE_OPT_EXPERTS 0x2ull   /* MoE routing was recorded */
#define PI_FEATURE_OPT_COUNTERS 0x4ull  /* 1.1: counter values follow some records */
#define PI_FEATURE_OPT_SCHED 0x8ull     /* 1.1: the scheduler's events were recorded */

struct pi_file_header {
  pi_u8 magic[8];
  pi_u16 major;
  pi_u16 minor;
  pi_u32 header_bytes; /* of this structure as written; later minors may grow it */
  pi_u64 required_features;
  pi_u64 optional_features;
  pi_u8 trace_id[16]; /* random, for the archive */
  pi_u64 created_realtime_ns;
  pi_u32 machine; /* ELF e_machine of the recording machine: 62 x86_64, 183 aarch64 */
  pi_u32 crc32;   /* CRC-32 (zlib) of the bytes before this field */
};

/* ----------------------------------------------------------------- chunk */

#define PI_CHUNK_MAGIC 0x4b434950u /* "PICK" */

enum pi_chunk_kind {
  PI_CHUNK_METADATA = 1, /* payload: one UTF-8 JSON object */
  PI_CHUNK_EVENTS = 2,   /* payload: the groups of the group table, one after the other */
  PI_CHUNK_END = 3,      /* payload as EVENTS, holding one PI_RECORD_END; nothing follows */
};

enum pi_codec {
  PI_CODEC_STORED = 0,
  PI_CODEC_ZSTD = 1, /* one zstd frame, decodable alone */
};

/* No honest chunk is larger; a reader refuses a header that claims more. */
#define PI_CHUNK_MAX_RAW_BYTES (16u << 20)

struct pi_chunk_header {
  pi_u32 magic;
  pi_u16 kind;
  pi_u16 codec;
  pi_u32 header_bytes; /* this structure and both tables behind it */
  pi_u32 stored_bytes; /* payload bytes in the file, behind the tables */
  pi_u32 raw_bytes;    /* payload bytes after decompression */
  pi_u32 number;       /* 0, 1, 2 … in file order */
  pi_u64 first_time_ns;
  pi_u64 last_time_ns;
  pi_u32 record_count;
  pi_u16 cpu_count;     /* entries of the CPU table, right behind this structure */
  pi_u16 group_count;   /* entries of the group table, behind the CPU table */
  pi_u32 payload_crc32; /* CRC-32 (zlib) of the stored payload */
  pi_u32 header_crc32;  /* CRC-32 (zlib) of header and tables with this field 0 */
  pi_u64 reserved;
};

/* Which sequence numbers of one CPU a chunk holds. Numbers of one CPU rise by
 * one for each record its programs tried to write, written or not: a number
 * that no chunk holds is a lost record. */
struct pi_cpu_entry {
  pi_u16 cpu;
  pi_u16 reserved;
  pi_u32 first_sequence;
  pi_u32 last_sequence;
  pi_u32 count;
};

enum pi_encoding {
  PI_ENCODING_ROWS = 0,    /* the records, one after the other */
  PI_ENCODING_COLUMNS = 1, /* transposed, see TRACE-FORMAT.md */
};

struct pi_group_entry {
  pi_u8 type; /* enum pi_record_type; unknown types are skipped by size */
  pi_u8 encoding;
  pi_u16 record_bytes; /* of each record of the group, a multiple of 8 */
  pi_u32 count;
  pi_u32 delta_columns; /* COLUMNS: bit i set: column i holds zigzag differences */
  pi_u32 reserved;
};

/* ---------------------------------------------------------------- records */

enum pi_record_type {
  /* written by the BPF programs, counted in the CPU's sequence */
  PI_RECORD_TOKEN_BEGIN = 1,
  PI_RECORD_TOKEN_END = 2,
  PI_RECORD_UBATCH_BEGIN = 3,
  PI_RECORD_UBATCH_END = 4,
  PI_RECORD_GRAPH_BEGIN = 5,
  PI_RECORD_GRAPH_END = 6,
  PI_RECORD_OP_BEGIN = 7,
  PI_RECORD_OP_FUSED = 8,
  PI_RECORD_BARRIER = 9,
  PI_RECORD_STRUCTURE_BEGIN = 10,
  PI_RECORD_NODE_LIST = 11,
  PI_RECORD_TENSOR = 12,
  PI_RECORD_STRUCTURE_END = 13,
  PI_RECORD_EXPERTS = 14,
  PI_RECORD_SAMPLE_BEGIN = 15,
  PI_RECORD_SAMPLE_END = 16,
  PI_RECORD_WARMUP = 17,
  /* since 1.1 */
  PI_RECORD_SWITCH_OUT = 18,
  PI_RECORD_SWITCH_IN = 19,
  PI_RECORD_WAKEUP = 20,
  PI_RECORD_BACKEND = 21,
  PI_RECORD_ENQUEUE_BEGIN = 22,
  PI_RECORD_ENQUEUE_END = 23,
  PI_RECORD_DRAFT_BEGIN = 24,
  PI_RECORD_DRAFT_END = 25,
  PI_RECORD_ACCEPT = 26,
  /* written by the recorder's user space: sequence is 0 and not counted */
  PI_RECORD_FIRST_USER = 128,
  PI_RECORD_CLOCK = 128,
  PI_RECORD_LOSS = 129,
  PI_RECORD_COST = 130,
  PI_RECORD_THREAD = 131,
  PI_RECORD_SITE = 132,
  PI_RECORD_EXIT = 133,
  PI_RECORD_END = 134,
  PI_RECORD_PROCESS = 135,
  /* since 1.1 */
  PI_RECORD_FREQUENCY = 136,
  PI_RECORD_TEMPERATURE = 137,
  PI_RECORD_COUNTER = 138,
  PI_RECORD_PROBES = 139,
};

/* The head of every record. Records that need no more are just this. */
struct pi_record {
  pi_u64 time_ns;
  pi_u32 tid; /* as the initial PID namespace sees it; 0: the recorder itself */
  pi_u16 cpu;
  pi_u8 type;
  pi_u8 flags;     /* meaning depends on the type */
  pi_u32 sequence; /* per CPU, see pi_cpu_entry */
  pi_u32 ref;      /* meaning depends on the type */
};

/* Since 1.1. TOKEN_BEGIN, TOKEN_END, GRAPH_BEGIN, GRAPH_END, OP_BEGIN, OP_FUSED,
 * BARRIER, SWITCH_OUT and SWITCH_IN may be longer than their structure: then it is
 * followed by one pi_u64 for each counter of the metadata that has a column, in the
 * order of columns. A value counts what the CPU of the record did since the recording
 * began, for whatever task; values of different CPUs have nothing in common. */
#define PI_COUNTERS_CAPACITY 8
#define PI_COUNTER_UNREAD 0xffffffffffffffffull /* not readable, or no such counter on this CPU */

/* A tensor is referred to by the low 32 bits of (address >> 4): ggml aligns its
 * tensors to 16 bytes, so within 64 GiB no two tensors share a reference. */
#define PI_TENSOR_REF(address) ((pi_u32)((pi_u64)(address) >> 4))

/* TOKEN_BEGIN / TOKEN_END flags: the function entered or left. TOKEN_END is a
 * bare pi_record whose ref is the function's return value (signed). */
enum pi_token_api {
  PI_TOKEN_DECODE = 1,  /* llama_decode(ctx, batch) */
  PI_TOKEN_PROCESS = 2, /* llama_process(ctx, type, batch) */
  PI_TOKEN_ENCODE = 3,  /* llama_encode(ctx, batch) */
};

#define PI_UNKNOWN_COUNT 0xffffffffu

struct pi_token_begin {
  struct pi_record head; /* ref: n_tokens, or PI_UNKNOWN_COUNT where the API hides it */
  pi_u64 context;        /* llama_context * in the target */
  pi_u64 argument;       /* PROCESS: the llama_process_type */
};

/* One micro-batch: llama_context::process_ubatch. UBATCH_END is a bare record. */
struct pi_ubatch_begin {
  struct pi_record head; /* ref: n_tokens */
  pi_u64 context;
  pi_s32 position; /* pos[0] of the batch; -1 where it could not be read */
  pi_u32 n_sequences;
};

enum pi_graph_kind {
  PI_GRAPH_CPU = 1,     /* ggml_graph_compute(cgraph, cplan) */
  PI_GRAPH_BACKEND = 2, /* ggml_backend_graph_compute_async(backend, cgraph) */
};

/* GRAPH_END is a bare record, flags as here, ref the returned status. */
struct pi_graph_begin {
  struct pi_record head; /* flags: pi_graph_kind; ref: structure number, 0 none known */
  pi_u64 cgraph;
  pi_u64 uid;     /* ggml_cgraph.uid, 0 where unset or the layout has none */
  pi_u64 backend; /* ggml_backend_t, 0 for PI_GRAPH_CPU */
  pi_s32 n_nodes;
  pi_s32 n_threads; /* ggml_cplan.n_threads; 0 for PI_GRAPH_BACKEND */
};

/* OP_BEGIN is a bare record: ref = PI_TENSOR_REF of the node that this thread
 * starts. BARRIER is a bare record: this thread arrived at the graph loop's
 * barrier, which ends the operator it was in; flags as below. */
enum pi_barrier_site { PI_BARRIER_LOOP = 0, PI_BARRIER_FINAL = 1 };

enum pi_fusion { PI_FUSION_RMS_NORM_MUL = 1 };

struct pi_op_fused {
  struct pi_record head; /* flags: pi_fusion; ref: the first node */
  pi_u32 last_ref;       /* the last node fused */
  pi_u32 reserved;
};

/* The structure of a graph is walked in the probe when ggml_graph_compute or
 * ggml_backend_graph_compute_async is entered with a graph whose (address, uid) is not known. On the same
 * thread, before that graph's GRAPH_BEGIN: STRUCTURE_BEGIN, its NODE_LISTs, each TENSOR that is new or
 * changed since it was last recorded (nodes, and the sources and view_src of changed nodes), STRUCTURE_END. A
 * tensor's bytes are those of the last TENSOR record with its address before STRUCTURE_END. */
struct pi_structure_begin {
  struct pi_record head; /* ref: structure number, unique in the recording, never 0 */
  pi_u64 cgraph;
  pi_u64 nodes; /* ggml_cgraph.nodes */
  pi_u64 uid;
  pi_s32 n_nodes;
  pi_s32 n_leafs;
};

#define PI_NODE_LIST_CAPACITY 64
struct pi_node_list {
  struct pi_record head; /* ref: structure number */
  pi_u32 first;          /* index of address[0] in the graph's nodes */
  pi_u32 count;          /* used entries */
  pi_u64 address[PI_NODE_LIST_CAPACITY];
};

#define PI_TENSOR_MAX_BYTES 512
struct pi_tensor {
  struct pi_record head; /* ref: structure number */
  pi_u64 address;
  pi_u32 tensor_bytes; /* of the ggml_tensor behind this structure */
  pi_u32 reserved;
  /* pi_u8 bytes[tensor_bytes], padded to a multiple of 8 */
};

struct pi_structure_end {
  struct pi_record head; /* ref: structure number */
  pi_u32 tensors;        /* TENSOR records written */
  pi_u32 unwritten;      /* TENSOR and NODE_LIST records that found no room */
  pi_u32 unreadable;     /* reads of the target's memory that failed */
  pi_u32 node_limit;     /* nodes that the walk can hold; more are cut off */
};

/* One row of a MUL_MAT_ID's ids: the experts of one token in one layer. */
#define PI_EXPERTS_CAPACITY 64
#define PI_EXPERTS_CUT 1      /* flags: more than PI_EXPERTS_CAPACITY experts a token */
#define PI_EXPERTS_ROWS_CUT 2 /* flags: last row recorded, the batch has more */
struct pi_experts {
  struct pi_record head; /* ref: PI_TENSOR_REF of the MUL_MAT_ID node */
  pi_u32 token;          /* row: index of the token in the micro-batch */
  pi_u32 token_count;    /* rows of the ids tensor */
  pi_u32 used;           /* experts a token, ids that follow (at most the capacity) */
  pi_u32 reserved;
  /* pi_s32 expert[used], then, for an odd number, 4 bytes without meaning */
};

/* SAMPLE_BEGIN, SAMPLE_END: bare records; SAMPLE_END's ref is the token id returned.
 * flags: */
enum pi_sampler { PI_SAMPLER_COMMON = 1, PI_SAMPLER_LLAMA = 2 };

/* WARMUP: bare record, llama_set_warmup(ctx, ref). */

/* -------------------------------------------------------------- since 1.1 */

/* The state in which a thread of the target left the CPU. */
enum pi_thread_state {
  PI_THREAD_RUNNABLE = 0, /* preempted: it would have gone on */
  PI_THREAD_SLEEPING = 1, /* waits, can be interrupted by signals */
  PI_THREAD_WAITING = 2,  /* waits and cannot be interrupted: mostly for a disk */
  PI_THREAD_ENDED = 3,
  PI_THREAD_STOPPED = 4, /* by a signal or a debugger */
  PI_THREAD_UNKNOWN = 255,
};

/* head.tid: a thread of the target leaves the CPU; flags: pi_thread_state; ref: tid
 * of who gets it, 0 for the idle task. */
struct pi_switch_out {
  struct pi_record head;
  pi_u32 next_tgid; /* 0 idle, PI_UNKNOWN_COUNT where the kernel does not tell */
  pi_u32 reserved;
  pi_u8 next_comm[16]; /* NUL-padded; any bytes */
};

/* SWITCH_IN: bare record; head.tid: a thread of the target gets the CPU, ref: tid of
 * who had it. */

/* WAKEUP: bare record; head.tid: a thread of the target becomes runnable, ref: tid
 * that was running where that happened, cpu: there. */

/* The identity of a backend, once for each, on the thread and before the GRAPH_BEGIN
 * that names it. */
struct pi_backend {
  struct pi_record head;
  pi_u64 backend; /* ggml_backend_t */
  pi_u8 guid[16]; /* *ggml_backend.guid; zeros where it could not be read */
};

/* A node is encoded for, or handed to, a device: the time between these is not that
 * of the device. Bare records; ref: the node; ENQUEUE_END: the returned value. flags: */
enum pi_device {
  PI_DEVICE_OPENCL = 1,   /* ggml_cl_compute_forward(backend, tensor) */
  PI_DEVICE_ROCKCHIP = 2, /* ggml_rk_compute_forward(backend, tensor) */
  PI_DEVICE_VULKAN = 3,   /* ggml_vk_build_graph(ctx, cgraph, node_idx, …) */
};

/* Speculative decoding. DRAFT_BEGIN, DRAFT_END: common_speculative_draft runs; the
 * token steps between them are the draft's. ACCEPT: common_speculative_accept; ref:
 * drafted tokens that the target model accepted. Bare records. */

/* ------------------------------------------- records of the user space part */

struct pi_clock {
  struct pi_record head; /* time_ns: monotonic */
  pi_s64 boottime_ns;
  pi_s64 realtime_ns;
};

/* Cumulative counters of one CPU (head.cpu). */
struct pi_loss {
  struct pi_record head;
  pi_u64 lost_records;  /* the ring buffer was full */
  pi_u64 unreadable;    /* reads of the target's memory that failed */
  pi_u64 experts_cut;   /* expert rows not or not wholly recorded */
  pi_u64 last_sequence; /* sequence numbers given out so far */
};

/* The recorder's own cost so far. */
struct pi_cost {
  struct pi_record head;
  pi_u64 cpu_ns;         /* user + system time of the recorder */
  pi_u64 resident_bytes; /* peak */
  pi_u64 written_bytes;  /* to the trace, before this chunk */
  pi_u64 records;        /* drained so far */
};

struct pi_thread {
  struct pi_record head; /* tid: the thread */
  pi_u32 tgid;
  pi_u32 reserved;
  pi_u8 comm[16]; /* NUL-padded; from other people's machines: any bytes */
};

/* How often a site fired until now; ref: index in the metadata's sites. flags, since 1.1: */
enum pi_site_flag {
  PI_SITE_SILENT = 1, /* never fired although its neighbours did */
  PI_SITE_SHARED = 2, /* hits are those of all sites of this role */
};
struct pi_site {
  struct pi_record head;
  pi_u64 hits;
};

/* The target ended. head.ref: the wait status, or PI_UNKNOWN_COUNT where the
 * recorder is not its parent; head.tid: its pid. Bare record. */

/* PROCESS: a process of the target is followed from here on. Bare record; tid: its pid,
 * ref: its parent's pid. */

/* FREQUENCY (1.1): bare record; head.cpu runs at ref kHz. */

struct pi_temperature {  /* 1.1 */
  struct pi_record head; /* ref: index in the metadata's thermal_zones */
  pi_s32 millicelsius;
  pi_u32 reserved;
};

/* What a counter of a CPU (head.cpu) counted so far, and for how much of the time: a
 * counter that shares its register with others runs only part of it. 1.1 */
struct pi_counter {
  struct pi_record head; /* ref: column of the counter */
  pi_u64 value;
  pi_u64 enabled_ns;
  pi_u64 running_ns;
};

/* PROBES (1.1): --qos-min-tps took operator probes out or put them back. Bare record;
 * flags below; ref: decoded tokens in 1,000 seconds, which made it so. */
enum pi_probes { PI_PROBES_DROPPED = 1, PI_PROBES_RESUMED = 2 };

enum pi_end_reason {
  PI_END_TARGET_EXITED = 1,
  PI_END_INTERRUPTED = 2, /* SIGINT, SIGTERM, SIGHUP, SIGQUIT */
  PI_END_TOKENS = 3,      /* --tokens reached */
  PI_END_DURATION = 4,    /* --duration reached */
  PI_END_ERROR = 5,       /* the recorder had to stop; what is here is whole */
};

/* The last record of a complete trace. */
struct pi_end {
  struct pi_record head; /* flags: pi_end_reason */
  pi_u64 records;        /* drained from the BPF programs */
  pi_u64 lost_records;   /* of all CPUs */
  pi_u32 chunks;         /* before this one */
  pi_u32 reserved;
};

/* ------------------------------------------------------------- assertions */

#define PI_ASSERT_SIZE(type, bytes)                                                                          \
  _Static_assert(sizeof(struct type) == (bytes), #type " must have " #bytes " bytes")
PI_ASSERT_SIZE(pi_file_header, 64);
PI_ASSERT_SIZE(pi_chunk_header, 64);
PI_ASSERT_SIZE(pi_cpu_entry, 16);
PI_ASSERT_SIZE(pi_group_entry, 16);
PI_ASSERT_SIZE(pi_record, 24);
PI_ASSERT_SIZE(pi_token_begin, 40);
PI_ASSERT_SIZE(pi_ubatch_begin, 40);
PI_ASSERT_SIZE(pi_graph_begin, 56);
PI_ASSERT_SIZE(pi_op_fused, 32);
PI_ASSERT_SIZE(pi_structure_begin, 56);
PI_ASSERT_SIZE(pi_node_list, 544);
PI_ASSERT_SIZE(pi_tensor, 40);
PI_ASSERT_SIZE(pi_structure_end, 40);
PI_ASSERT_SIZE(pi_experts, 40);
PI_ASSERT_SIZE(pi_switch_out, 48);
PI_ASSERT_SIZE(pi_backend, 48);
PI_ASSERT_SIZE(pi_clock, 40);
PI_ASSERT_SIZE(pi_loss, 56);
PI_ASSERT_SIZE(pi_cost, 56);
PI_ASSERT_SIZE(pi_thread, 48);
PI_ASSERT_SIZE(pi_site, 32);
PI_ASSERT_SIZE(pi_temperature, 32);
PI_ASSERT_SIZE(pi_counter, 48);
PI_ASSERT_SIZE(pi_end, 48);

#endif
