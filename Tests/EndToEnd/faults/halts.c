// Targets that give the recorder's halting a hard time: a command is stopped each time it has mapped code.
//
//   halts maps THREADS TIMES     each thread maps a program's code so often, all at once
//   halts burst CHILDREN         so many children exec at the same moment

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int file, times;

static void *map_often(void *unused) {
  for (int i = 0; i < times; i++) {
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    if (code == MAP_FAILED)
      exit(1);
    munmap(code, 4096);
  }
  return unused;
}

static int maps(int threads) {
  pthread_t thread[64];

  file = open("/bin/true", O_RDONLY);
  for (int i = 0; i < threads; i++)
    pthread_create(&thread[i], NULL, map_often, NULL);
  for (int i = 0; i < threads; i++)
    pthread_join(thread[i], NULL);
  return 7;
}

static int burst(int children) {
  int start[2], status, good = 0;
  char byte;

  if (pipe(start))
    return 1;
  for (int i = 0; i < children; i++)
    if (fork() == 0) {
      close(start[1]);
      if (read(start[0], &byte, 1) == 0)
        execl("/bin/true", "true", NULL);
      _exit(1);
    }
  close(start[1]);
  close(start[0]);
  for (int i = 0; i < children; i++)
    good += wait(&status) > 0 && status == 0;
  return good == children ? 7 : 1;
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "maps")) {
    times = atoi(argv[3]);
    return maps(atoi(argv[2]));
  }
  if (argc == 3 && !strcmp(argv[1], "burst"))
    return burst(atoi(argv[2]));
  fprintf(stderr, "usage: halts maps THREADS TIMES | burst CHILDREN\n");
  return 2;
}
