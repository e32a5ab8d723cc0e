/* Runs a command and writes its wall-clock seconds, its CPU seconds and its peak memory in KiB to a file: run FILE COMMAND...
 * The peak that the kernel reports includes the memory of the process that starts the command, so this program is small. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv) {
  struct timespec began, ended;
  struct rusage usage;
  int status = 0;
  FILE *file;
  pid_t child;
  if (argc < 3) {
    return 2;
  }
  clock_gettime(CLOCK_MONOTONIC, &began);
  child = vfork();
  if (child == 0) {
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  if (child < 0 || wait4(child, &status, 0, &usage) != child) {
    return 1;
  }
  clock_gettime(CLOCK_MONOTONIC, &ended);
  file = fopen(argv[1], "w");
  if (file == NULL) {
    return 1;
  }
  fprintf(file, "%.9f %.6f %ld\n",
          (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9,
          seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
  fclose(file);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
