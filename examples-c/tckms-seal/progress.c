#define _XOPEN_SOURCE 700

#include "progress.h"

#include <stdio.h>

#include "interrupt.h"

#define BAR "##############################"
#define BAR_WIDTH (sizeof BAR - 1)

void progress_start(struct progress *progress, int wanted, uint64_t limit) {
  progress->wanted = wanted;
  progress->shown = 0;
  progress->limit = limit;
  progress->over_limit = 0;
  clock_gettime(CLOCK_MONOTONIC, &progress->started);
}

static double seconds_since(const struct timespec *started) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - started->tv_sec) + (double)(now.tv_nsec - started->tv_nsec) / 1e9;
}

static void draw(const struct progress *progress, double done, double total) {
  double seconds = seconds_since(&progress->started), megabytes = done / 1e6;
  double rate = seconds > 0 ? megabytes / seconds : 0, part = total > 0 ? done / total : 0;
  if (total > 0) {
    part = part > 1 ? 1 : part;
    fprintf(stderr, "\r[%-*.*s] %3.0f%% ", (int)BAR_WIDTH, (int)(part * BAR_WIDTH), BAR, part * 100);
  } else {
    fputc('\r', stderr);
  }
  fprintf(stderr, "%.1f MB %.1f MB/s   ", megabytes, rate);
}

int progress_show(void *userdata, uint64_t done, uint64_t total) {
  struct progress *progress = userdata;
  if (progress->wanted) {
    draw(progress, (double)done, total == UINT64_MAX ? 0 : (double)total);
    progress->shown = 1;
  }
  progress->over_limit = done > progress->limit;
  return progress->over_limit || interrupt_signal() != 0;
}

void progress_end(const struct progress *progress) {
  if (progress->shown) {
    fputc('\n', stderr);
  }
}
