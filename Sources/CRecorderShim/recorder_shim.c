/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "recorder_shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int argument_count;
static char **arguments;

/* glibc hands main's arguments to constructors too; Embedded Swift has no
 * CommandLine. */
__attribute__((constructor)) static void keep_arguments(int argc, char **argv) {
  argument_count = argc;
  arguments = argv;
}

int shim_argument_count(void) { return argument_count; }
const char *shim_argument(int index) { return index < argument_count ? arguments[index] : NULL; }
int shim_errno(void) { return errno; }
const char *shim_error_text(int error) { return strerror(error); }

int shim_open_read(const char *path) { return open(path, O_RDONLY | O_CLOEXEC); }

int shim_create(const char *path) {
  return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int shim_file_kind(const char *path) {
  struct stat status;

  if (lstat(path, &status))
    return errno == ENOENT ? shim_kind_none : -1;
  return S_ISREG(status.st_mode)   ? shim_kind_regular
         : S_ISLNK(status.st_mode) ? shim_kind_link
                                   : shim_kind_other;
}

int shim_open_special(const char *path) {
  struct stat status;
  int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

  /* It may have become something else since it was looked at. */
  if (fd >= 0 && (fstat(fd, &status) || S_ISREG(status.st_mode))) {
    close(fd);
    errno = EEXIST;
    return -1;
  }
  return fd;
}

int shim_rename(const char *from, const char *to) { return rename(from, to); }
int shim_make_directory(const char *path) { return mkdir(path, 0755); }

int64_t shim_read(int fd, void *buffer, uint64_t bytes) { return read(fd, buffer, bytes); }

int64_t shim_write(int fd, const void *buffer, uint64_t bytes) { return write(fd, buffer, bytes); }
int shim_truncate(int fd, uint64_t bytes) { return ftruncate(fd, (off_t)bytes); }
void shim_unlink(const char *path) { unlink(path); }
void shim_close(int fd) { close(fd); }
bool shim_is_terminal(int fd) { return isatty(fd); }

bool shim_is_regular(int fd) {
  struct stat status;

  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

const void *shim_map_file(int fd, uint64_t *bytes) {
  struct stat status;

  if (fstat(fd, &status))
    return NULL;
  if (!S_ISREG(status.st_mode) || status.st_size <= 0) {
    errno = EINVAL;
    return NULL;
  }
  void *address = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED)
    return NULL;
  *bytes = (uint64_t)status.st_size;
  return address;
}

void *shim_map_shared(int fd, uint64_t bytes) {
  void *address = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  return address == MAP_FAILED ? NULL : address;
}

void shim_touch_pages(uint32_t pages) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED)
    return;
  for (uint32_t i = 0; i < pages; i++)
    *(volatile char *)(memory + i * page) = 1;
  munmap(memory, pages * page);
}

void shim_unmap(const void *address, uint64_t bytes) { munmap((void *)address, bytes); }

int shim_same_file(const char *path, const char *other) {
  struct stat status, other_status;

  if (stat(other, &other_status) || stat(path, &status))
    return -1;
  return status.st_dev == other_status.st_dev && status.st_ino == other_status.st_ino;
}

uint64_t shim_inode(const char *path) {
  struct stat status;

  return stat(path, &status) ? 0 : status.st_ino;
}

int64_t shim_read_link(const char *path, char *buffer, uint64_t bytes) {
  return readlink(path, buffer, bytes);
}

int shim_list_directory(const char *path, void *context, void (*each)(void *context, const char *name)) {
  DIR *directory = opendir(path);
  struct dirent *entry;

  if (!directory)
    return -1;
  while ((entry = readdir(directory)))
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
      each(context, entry->d_name);
  closedir(directory);
  return 0;
}

static int64_t clock_ns(clockid_t clock) {
  struct timespec now;

  clock_gettime(clock, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

uint64_t shim_clock_monotonic(void) { return (uint64_t)clock_ns(CLOCK_MONOTONIC); }
int64_t shim_clock_boottime(void) { return clock_ns(CLOCK_BOOTTIME); }
int64_t shim_clock_realtime(void) { return clock_ns(CLOCK_REALTIME); }

void shim_sleep_ns(uint64_t nanoseconds) {
  struct timespec duration = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};

  nanosleep(&duration, NULL);
}

void shim_utc_stamp(int64_t realtime_ns, char buffer[17]) {
  time_t seconds = realtime_ns / 1000000000;
  struct tm utc;

  gmtime_r(&seconds, &utc);
  strftime(buffer, 17, "%Y%m%dT%H%M%SZ", &utc);
}

static struct utsname *kernel(void) {
  static struct utsname names;

  if (!names.sysname[0])
    uname(&names);
  return &names;
}

const char *shim_kernel_release(void) { return kernel()->release; }
const char *shim_kernel_version(void) { return kernel()->version; }
const char *shim_machine(void) { return kernel()->machine; }
const char *shim_hostname(void) { return kernel()->nodename; }
int shim_cpu_count(void) { return (int)sysconf(_SC_NPROCESSORS_CONF); }
uint64_t shim_page_bytes(void) { return (uint64_t)sysconf(_SC_PAGESIZE); }
uint64_t shim_memory_bytes(void) { return (uint64_t)sysconf(_SC_PHYS_PAGES) * shim_page_bytes(); }
uint64_t shim_cpu_time_ns(void) { return (uint64_t)clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

uint64_t shim_peak_resident_bytes(void) {
  struct rusage usage;

  return getrusage(RUSAGE_SELF, &usage) ? 0 : (uint64_t)usage.ru_maxrss * 1024;
}

int shim_random(void *buffer, uint64_t bytes) {
  return getrandom(buffer, bytes, 0) == (ssize_t)bytes ? 0 : -1;
}

int shim_own_pid(void) { return (int)getpid(); }

static volatile sig_atomic_t caught, last_signal, last_was_sent_to_group;

static void on_signal(int number, siginfo_t *information, void *context) {
  (void)context;
  caught = caught + 1;
  last_signal = number;
  /* A terminal signals all processes of its foreground group; SI_KERNEL is how it does. */
  last_was_sent_to_group = information->si_code == SI_KERNEL;
}

void shim_catch_signals(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, before;

  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGQUIT, &action, NULL);
  /* Under nohup it stays ignored. */
  if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
    sigaction(SIGHUP, &action, NULL);
  /* A reader of `-o -` that goes away shows as EPIPE, a file that may not grow as EFBIG,
   * like every other write error. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

int shim_signals_caught(void) { return caught; }
int shim_last_signal(void) { return last_signal; }
bool shim_last_signal_reached_all(void) { return last_was_sent_to_group; }

void shim_guard_standard_streams(void) {
  int fd;

  do
    fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= 2);
  if (fd > 2)
    close(fd);
}

uint64_t shim_raise_descriptor_limit(void) {
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit))
    return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

void shim_exit(int status) { exit(status); }

const int shim_sigstop = SIGSTOP, shim_sigcont = SIGCONT;
const int shim_kind_none = 0, shim_kind_regular = 1, shim_kind_link = 2, shim_kind_other = 3;
