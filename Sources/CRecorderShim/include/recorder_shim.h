/* SPDX-License-Identifier: MIT
 *
 * The operating system as pi-record needs it: what Swift cannot import (errno,
 * variadic functions, macros, fork) or should not depend on (Foundation, the C
 * library's Swift overlay, which does not exist for Embedded Swift).
 *
 * Functions that can fail return -1 (or NULL) and leave the reason in shim_errno().
 */
#ifndef RECORDER_SHIM_H
#define RECORDER_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* arguments and messages */
int shim_argument_count(void);
const char *shim_argument(int index);
int shim_errno(void);
void shim_exit(int status) __attribute__((noreturn));
const char *shim_error_text(int error);

/* files */
int shim_open_read(const char *path);
/* A new file with mode 0600; whatever is there already, links too, is refused. */
int shim_create(const char *path);
/* What is at a path, links not followed; -1 where it cannot be seen. */
extern const int shim_kind_none, shim_kind_regular, shim_kind_link, shim_kind_other;
int shim_file_kind(const char *path);
/* For writing: a pipe or a device. */
int shim_open_special(const char *path);
int shim_rename(const char *from, const char *to);
int shim_make_directory(const char *path);
int64_t shim_read(int fd, void *buffer, uint64_t bytes);
int64_t shim_write(int fd, const void *buffer, uint64_t bytes);
int shim_truncate(int fd, uint64_t bytes);
void shim_close(int fd);
void shim_unlink(const char *path);
bool shim_is_terminal(int fd);
bool shim_is_regular(int fd);
const void *shim_map_file(int fd, uint64_t *bytes);
/* Maps so many pages, writes to each, and lets them go: each is a page fault. */
void shim_touch_pages(uint32_t pages);
/* Memory that a BPF map and this process share. */
void *shim_map_shared(int fd, uint64_t bytes);
void shim_unmap(const void *address, uint64_t bytes);
/* 1 for the same file, 0 for another, -1 when one of them cannot be seen. */
int shim_same_file(const char *path, const char *other);
/* Inode number, 0 when the file cannot be seen. */
uint64_t shim_inode(const char *path);
int64_t shim_read_link(const char *path, char *buffer, uint64_t bytes);

/* directories: calls `each` with every name but "." and ".." */
int shim_list_directory(const char *path, void *context, void (*each)(void *context, const char *name));

/* time */
uint64_t shim_clock_monotonic(void);
int64_t shim_clock_boottime(void);
int64_t shim_clock_realtime(void);
void shim_sleep_ns(uint64_t nanoseconds); /* returns early on a signal */
/* "20260131T235959Z" of a realtime clock value, 16 characters and a NUL */
void shim_utc_stamp(int64_t realtime_ns, char buffer[17]);

/* this machine and this process */
const char *shim_kernel_release(void);
const char *shim_kernel_version(void);
const char *shim_machine(void);
const char *shim_hostname(void);
int shim_cpu_count(void); /* configured CPUs, online or not */
uint64_t shim_memory_bytes(void);
uint64_t shim_page_bytes(void);
uint64_t shim_cpu_time_ns(void); /* user and system time of this process */
uint64_t shim_peak_resident_bytes(void);
int shim_random(void *buffer, uint64_t bytes);
int shim_own_pid(void);

/* signals: counts SIGINT, SIGTERM, SIGQUIT and SIGHUP; ignores SIGPIPE and SIGXFSZ */
void shim_catch_signals(void);
int shim_signals_caught(void);
int shim_last_signal(void);
/* Whether the command got the last one, too: a terminal sends it to both. */
bool shim_last_signal_reached_all(void);

/* Puts /dev/null where standard input, output or error is closed: a file opened later would get its number.
 */
void shim_guard_standard_streams(void);
/* As many descriptors as this process may have; how many that is. */
uint64_t shim_raise_descriptor_limit(void);

/* processes */
struct shim_child {
  int pid;
  int go;     /* write end: a byte lets the child exec */
  int failed; /* read end: an int with errno when exec failed, else end of file */
};
/* Forks. output_to_stderr: the child's standard output is the recorder's standard error. */
int shim_prepare(char *const argv[], bool output_to_stderr, struct shim_child *child);
/* Lets the child exec. 0, or the errno of the exec that failed (the child is reaped then). */
int shim_release(struct shim_child *child);
/* Whether it ended. It is not reaped: until it is, /proc tells its name. */
bool shim_child_ended(int pid);
/* Waits until it ends and reaps it: 1 and the wait status; 0 when a signal came first. */
int shim_wait(int pid, int *status);
int shim_kill(int pid, int signal);
int shim_pidfd(int pid);
bool shim_pidfd_ended(int fd);
/* Runs `work` in a child, which writes its answer to `output` and ends. The answer, to be
 * unmapped, or NULL when there is none; how the child ended does not matter. */
const void *shim_run_in_child(void *context, void (*work)(void *context, int output), uint64_t *bytes);
int shim_write_all(int fd, const void *buffer, uint64_t bytes);
/* A process that calls `last` when this one has ended, however it ended, and then ends. It
 * keeps the descriptors `keep` and `keep_too`. A descriptor to close, which ends it, or -1. */
int shim_start_watchdog(int keep, int keep_too, void *context, void (*last)(void *context));
/* A child with this name (at most 15 characters) that makes a system call each millisecond
 * until it is ended. Its pid, or -1. */
int shim_fork_sleeper(const char *name);
void shim_end_sleeper(int pid);
extern const int shim_sigstop, shim_sigcont;

/* a BPF ring buffer of so many bytes, a power of two */
struct shim_ring;
struct shim_ring *shim_ring_open(int map, uint64_t bytes); /* NULL: see shim_errno() */
void shim_ring_close(struct shim_ring *ring);
/* Hands over the records that are complete, about a buffer full at most. How many bytes of
 * the buffer that freed. */
uint64_t shim_ring_drain(struct shim_ring *ring, void *context,
                         void (*take)(void *context, const void *record, uint32_t bytes));

/* perf events: one event on one CPU, for every task there. A descriptor, or -1. */
int shim_open_counter(uint32_t type, uint64_t config, int cpu, bool user_only);
struct shim_counter_value {
  uint64_t value;
  uint64_t enabled_ns;
  uint64_t running_ns;
};
int shim_read_counter(int fd, struct shim_counter_value *value);
/* This process goes on on that CPU if it may; negative: on those that it could use before. */
void shim_run_on(int cpu);

/* Whether a trivial BPF program loads: 0, or errno. */
int shim_try_bpf(void);
/* Whether programs may read the kernel's memory, which lockdown=confidentiality forbids: 0, or errno. */
int shim_try_kernel_read(void);
/* Whether a raw tracepoint of this name exists: 0, or errno. */
int shim_try_tracepoint(const char *name);

/* No messages of libbpf on standard error. */
void shim_quiet_libbpf(void);

/* BPF links with many uprobes, which libbpf 1.1 does not know (Linux 6.6) */
extern const int shim_attach_uprobe_multi; /* BPF_TRACE_UPROBE_MULTI */
bool shim_has_uprobe_multi(void);
/* A link's descriptor, or -1. */
int shim_link_uprobes(int program, const char *path, const uint64_t *offsets, const uint64_t *cookies,
                      uint32_t count, int pid, bool at_return);

#endif
