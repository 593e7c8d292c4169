/* SPDX-License-Identifier: MIT
 * Processes: the command, helpers that work in the recorder's stead, and the watchdog. */
#define _GNU_SOURCE
#include "recorder_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child exists before the probes do, so that its pid can be compiled into the
 * BPF programs as a constant; it execs when everything is ready. */
int shim_prepare(char *const argv[], bool output_to_stderr, struct shim_child *child) {
  int go[2], failed[2];

  if (pipe2(go, O_CLOEXEC))
    return -1;
  if (pipe2(failed, O_CLOEXEC)) {
    close(go[0]);
    close(go[1]);
    return -1;
  }
  int pid = fork();
  if (pid < 0) {
    close(go[0]);
    close(go[1]);
    close(failed[0]);
    close(failed[1]);
    return -1;
  }
  if (pid == 0) {
    char byte;

    close(go[1]);
    close(failed[0]);
    if (output_to_stderr)
      dup2(2, 1);
    /* End of file instead of a byte: the recorder gave up. */
    if (read(go[0], &byte, 1) != 1)
      _exit(125);
    execvp(argv[0], argv);
    int error = errno;
    if (write(failed[1], &error, sizeof(error)) != sizeof(error))
      _exit(125);
    _exit(error == ENOENT ? 127 : 126);
  }
  close(go[0]);
  close(failed[1]);
  child->pid = pid;
  child->go = go[1];
  child->failed = failed[0];
  return 0;
}

int shim_release(struct shim_child *child) {
  char byte = 1;
  int error = 0;

  if (write(child->go, &byte, 1) != 1)
    return errno;
  close(child->go);
  while (1) {
    ssize_t got = read(child->failed, &error, sizeof(error));
    if (got < 0 && errno == EINTR)
      continue;
    close(child->failed);
    if (got != sizeof(error))
      return 0;
    break;
  }
  waitpid(child->pid, NULL, 0);
  return error;
}

int shim_wait(int pid, int *status) {
  int got;

  do
    got = waitpid(pid, status, 0);
  while (got < 0 && errno == EINTR && !shim_signals_caught());
  return got == pid;
}

bool shim_child_ended(int pid) {
  siginfo_t info = {0};

  return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

int shim_kill(int pid, int number) { return kill(pid, number); }

int shim_pidfd(int pid) {
#ifdef SYS_pidfd_open
  return (int)syscall(SYS_pidfd_open, pid, 0);
#else
  errno = ENOSYS;
  return -1;
#endif
}

bool shim_pidfd_ended(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

  return poll(&poll_fd, 1, 0) == 1;
}

int shim_fork_sleeper(const char *name) {
  int ready[2];
  char byte = 1;

  if (pipe2(ready, O_CLOEXEC))
    return -1;
  int pid = fork();
  if (pid == 0) {
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (write(ready[1], &byte, 1) == 1)
      while (1)
        shim_sleep_ns(1000000);
    _exit(1);
  }
  close(ready[1]);
  if (pid > 0 && read(ready[0], &byte, 1) != 1) {
    shim_end_sleeper(pid);
    pid = -1;
  }
  close(ready[0]);
  return pid;
}

void shim_end_sleeper(int pid) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

int shim_write_all(int fd, const void *buffer, uint64_t bytes) {
  const char *at = buffer;

  while (bytes > 0) {
    ssize_t count = write(fd, at, bytes);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return -1;
    at += count;
    bytes -= (uint64_t)count;
  }
  return 0;
}

static void ignore_ends(void) {
  static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2};

  for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
    signal(ends[i], SIG_IGN);
}

int shim_start_watchdog(int keep, int keep_too, void *context, void (*last)(void *context)) {
  int alive[2];

  if (pipe2(alive, O_CLOEXEC))
    return -1;
  int pid = fork();
  if (pid < 0) {
    close(alive[0]);
    close(alive[1]);
    return -1;
  }
  if (pid == 0) {
    char byte;

    prctl(PR_SET_NAME, "pi-record-watch");
    setsid(); /* out of the reach of the terminal */
    ignore_ends();
    /* Nothing of the recorder's may live on in here: its pipes, its trace. */
    for (int fd = 0; fd < 1024; fd++)
      if (fd != alive[0] && fd != keep && fd != keep_too)
        close(fd);
    while (read(alive[0], &byte, 1) < 0 && errno == EINTR)
      ;
    /* A program that was running when the recorder died may halt somebody yet. */
    for (int i = 0; i < 20; i++) {
      last(context);
      shim_sleep_ns(10000000);
    }
    _exit(0);
  }
  close(alive[0]);
  return alive[1];
}

/* The answer goes through a file in memory: a pipe would have to be read while the child
 * works, and the answer's size is not known. */
const void *shim_run_in_child(void *context, void (*work)(void *context, int output), uint64_t *bytes) {
  const void *answer = NULL;
  int file = memfd_create("pi-record", MFD_CLOEXEC);

  if (file < 0)
    return NULL;
  int pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent ends the recording on these; a child that it waits for would only be in its way. */
    ignore_ends();
    /* A file may lie where nobody answers, on a halted process's own file system even. */
    signal(SIGALRM, SIG_DFL);
    alarm(10);
    work(context, file);
    _exit(0);
  }
  if (pid > 0) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
      ;
    answer = shim_map_file(file, bytes);
  }
  close(file);
  return answer;
}
